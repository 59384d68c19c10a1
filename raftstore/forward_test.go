package raftstore

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"herald/registry"
	"herald/registry/mvcc"
)

// Every server takes every call, and each sees at once what any acknowledged.
func TestAnyServerTakesAnyRequest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		c.leader()
		for i, s := range c.stores {
			key := fmt.Sprintf("k%d", i)
			rev := mustPut(t, s, key, "v")
			// Its own view has what it acknowledged.
			if got := s.machine.View().Revision(registry.SpaceKV); got < rev {
				t.Errorf("server %d acknowledged revision %d and is at %d", i, rev, got)
			}
			for _, o := range c.stores {
				wantValue(t, o, key, "v")
			}
			lease, err := s.GrantLease(t.Context(), 0, 10*time.Second)
			if err != nil || lease.ID <= 0 || lease.TTL != 10*time.Second {
				t.Fatalf("grant by server %d: %+v, %v", i, lease, err)
			}
			if _, err := s.GrantLease(t.Context(), lease.ID, time.Second); !errors.Is(err, registry.ErrLeaseExists) {
				t.Errorf("grant of the same id by server %d: %v", i, err)
			}
			for j, o := range c.stores {
				if l, err := o.KeepAlive(t.Context(), lease.ID); err != nil || l.Remaining != 10*time.Second {
					t.Errorf("keepalive by server %d: %+v, %v", j, l, err)
				}
				time.Sleep(time.Second)
				if l, err := o.Lease(t.Context(), lease.ID, false); err != nil || l.Remaining > 9*time.Second || l.Remaining < 8*time.Second {
					t.Errorf("lease by server %d, a second later: %+v, %v", j, l, err)
				}
			}
			leased, err := registry.Put(t.Context(), s, registry.PutRequest{Key: "leased", Lease: lease.ID})
			if err != nil {
				t.Fatal(err)
			}
			if after, err := s.RevokeLease(t.Context(), lease.ID); err != nil || after[registry.SpaceKV] != leased.Revision+1 {
				t.Errorf("revoke by server %d: %v, %v; want revision %d", i, after, err, leased.Revision+1)
			}
			// What ended is told, beside what there was not.
			lasts := grant(t, s, time.Minute, "leased")
			after, err := s.RevokeLease(t.Context(), 4711, lasts, 4712)
			if !errors.Is(err, registry.ErrLeaseNotFound) || !strings.HasSuffix(err.Error(), ": 4711, 4712") || after[registry.SpaceKV] != leased.Revision+3 {
				t.Errorf("revoke of some by server %d: %v, %v; want revision %d", i, after, err, leased.Revision+3)
			}
			if _, err := c.stores[(i+1)%3].KeepAlive(t.Context(), lease.ID); !errors.Is(err, registry.ErrLeaseNotFound) {
				t.Errorf("keepalive of a revoked lease: %v", err)
			}
			// What a transaction that writes finds in the past is in its answer.
			past, err := s.Txn(t.Context(), registry.Txn{Then: []registry.Op{
				{Put: &registry.PutRequest{Key: key, Value: []byte("new")}},
				{Range: &registry.RangeRequest{KeyRange: registry.One(key), Revision: rev}},
			}})
			if err != nil || len(past.Results[1].Range.KVs) != 1 || string(past.Results[1].Range.KVs[0].Value) != "v" {
				t.Errorf("a read of the past within a transaction by server %d: %+v, %v", i, past, err)
			}
			// An error of the state machine keeps what it says.
			_, err = registry.Put(t.Context(), s, registry.PutRequest{Key: "k", Lease: 99})
			if !errors.Is(err, registry.ErrLeaseNotFound) {
				t.Errorf("put with an unknown lease by server %d: %v", i, err)
			}
			if err := s.Compact(t.Context(), registry.SpaceKV, 1<<40); !errors.Is(err, registry.ErrFutureRevision) {
				t.Errorf("compaction of the future by server %d: %v", i, err)
			}
			if !s.Status().Ready {
				t.Errorf("server %d is not ready", i)
			}
		}
	})
}

// The limit on a write is the same on every server, whoever asks: who and when do not count.
func TestAnyServerHasTheSameLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, func(cfg *Config) { cfg.MaxRequestBytes = 4096 })
		c.leader()
		size := func(value int) int {
			command := mvcc.Command{Txn: &registry.Txn{Then: []registry.Op{{Put: &registry.PutRequest{Key: "k", Value: make([]byte, value)}}}}}
			return len(command.AppendTo(nil))
		}
		most := 4096 - (size(4000) - 4000)
		for _, who := range []string{"", "a", strings.Repeat("a client with a long name", 10)} {
			ctx := registry.WithCaller(t.Context(), registry.Caller{Identity: who})
			for i, s := range c.stores {
				if _, err := registry.Put(ctx, s, registry.PutRequest{Key: "k", Value: make([]byte, most)}); err != nil {
					t.Errorf("server %d, %q: %v", i, who, err)
				}
				if _, err := registry.Put(ctx, s, registry.PutRequest{Key: "k", Value: make([]byte, most+1)}); !errors.Is(err, registry.ErrTooLarge) {
					t.Errorf("server %d, %q, a byte more: %v", i, who, err)
				}
			}
		}
	})
}

// What one server acknowledges the others have without a wait for raft's next message,
// so a linearizable read from any of them is no slower.
func TestFollowersLearnOfCommitsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		l := c.leader()
		settle()
		for i := range 20 {
			key := fmt.Sprintf("k%d", i)
			start := time.Now()
			mustPut(t, c.stores[l], key, "v")
			for _, s := range c.stores {
				wantValue(t, s, key, "v")
			}
			// Nothing on this network takes time but waiting for a timer.
			if took := time.Since(start); took > time.Millisecond {
				t.Fatalf("a write and a read of every server took %v", took)
			}
			time.Sleep(7 * time.Millisecond)
		}
	})
}

func TestCallsWaitOutAnElection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		old := c.leader()
		follower := c.stores[(old+1)%3]
		lease, err := follower.GrantLease(t.Context(), 0, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		c.isolate(old)
		// What the follower passes on now the old leader may or may not have carried out;
		// what only reads, or renews, is asked again.
		if _, err := follower.KeepAlive(t.Context(), lease.ID); err != nil {
			t.Errorf("keepalive over an election: %v", err)
		}
		wantGone(t, follower, "k")
		mustPut(t, follower, "k", "v")
		c.heal(old)
		wantValue(t, c.stores[old], "k", "v")
	})
}

// A leader whose process has ended is replaced sooner than one that is silent.
func TestElectionIsHastenedWhenTheLeaderIsGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		hastened := 0
		for range 5 {
			old := c.leader()
			settle()
			lost := time.Now()
			// As when its process is killed: raft ends, and the system answers for it.
			if err := c.stores[old].raft.Shutdown().Error(); err != nil {
				t.Fatal(err)
			}
			c.net.Kill(host(old))
			now := c.leader(old)
			if took := time.Since(lost); took > 1700*time.Millisecond {
				t.Errorf("without a leader for %v", took)
			} else if took < time.Second {
				hastened++
			}
			mustPut(t, c.stores[now], "k", "v")
			if err := c.stores[old].Close(); err != nil && !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
			c.start(old)
			settle()
		}
		// One that is silent is given a second at least. Now and then it takes a second try.
		if hastened < 3 {
			t.Errorf("of 5 elections %d took less than a second", hastened)
		}
	})
}

// A follower that is refused by its leader, and hears from it all the same, leaves it alone.
func TestHeardLeaderIsLeftAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		l := c.leader()
		settle()
		f := c.stores[(l+1)%3]
		term := f.raft.CurrentTerm()
		for range 5 {
			f.hasten(f.known.Load())
		}
		settle()
		if now := c.leader(); now != l || f.raft.CurrentTerm() != term {
			t.Errorf("server %d leads in term %d, want %d in term %d", now, f.raft.CurrentTerm(), l, term)
		}
	})
}

// A leader whose disk hangs gives up leadership; whoever asks that server is served by
// the next.
func TestLeaderWithAHungDiskYields(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		disks := make([]*stallingLog, 3)
		c := &cluster{logOf: func(i int, l raft.LogStore) raft.LogStore {
			disks[i] = &stallingLog{LogStore: l}
			return disks[i]
		}}
		c.init(t, 3, nil)
		old := c.leader()
		mustPut(t, c.stores[old], "before", "v")
		release := disks[old].stall()
		_, err := registry.Put(t.Context(), c.stores[old], registry.PutRequest{Key: "hung"})
		if !errors.Is(err, registry.ErrTimeout) {
			t.Errorf("a write to the hanging disk: %v, want ErrTimeout", err)
		}
		now := c.leader(old)
		for i, s := range c.stores {
			start := time.Now()
			mustPut(t, s, fmt.Sprintf("k%d", i), "v")
			if took := time.Since(start); took > time.Second {
				t.Errorf("a write to server %d took %v", i, took)
			}
		}
		if st := c.stores[old].Status(); st.IsLeader || st.Leader != string(c.servers[now].ID) {
			t.Errorf("the server with the hung disk says that %q leads (itself: %v), want %q", st.Leader, st.IsLeader, c.servers[now].ID)
		}
		res, err := c.stores[old].Range(t.Context(), registry.RangeRequest{KeyRange: registry.One("before"), Consistency: registry.Stale})
		if err != nil || len(res.KVs) != 1 || res.Age < time.Second {
			t.Errorf("stale read of the server with the hung disk: %+v, %v", res, err)
		}
		within, err := c.stores[old].Txn(t.Context(), registry.Txn{Then: []registry.Op{
			{Range: &registry.RangeRequest{KeyRange: registry.One("before"), Consistency: registry.Stale}}}})
		if err != nil || len(within.Results[0].Range.KVs) != 1 {
			t.Errorf("transaction of stale reads on the server with the hung disk: %+v, %v", within, err)
		}
		if err := c.stores[old].transport.InstallSnapshot(c.servers[now].ID, c.servers[now].Address, nil, nil, nil); !errors.Is(err, errMuted) {
			t.Errorf("it sends a snapshot: %v", err)
		}
		release()
		settle()
		if got := c.leader(); got != now {
			t.Errorf("server %d leads, want %d", got, now)
		}
		for i, s := range c.stores {
			for k := range c.stores {
				wantValue(t, s, fmt.Sprintf("k%d", k), "v")
			}
			if i != old {
				continue
			}
			if age := s.age(); age > time.Second {
				t.Errorf("the server whose disk hung is still %v behind", age)
			}
		}
	})
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d servers", n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var free atomic.Int64
				free.Store(1 << 40)
				c := &cluster{space: func(string) (int64, error) { return free.Load(), nil }}
				c.init(t, n, nil)
				l := c.leader()
				mustPut(t, c.stores[l], "before", "v")
				settle()
				free.Store(0)
				settle()
				for i, s := range c.stores {
					if _, err := registry.Put(t.Context(), s, registry.PutRequest{Key: "k"}); !errors.Is(err, registry.ErrDiskFull) {
						t.Errorf("put to server %d: %v, want ErrDiskFull", i, err)
					}
					wantValue(t, s, "before", "v")
					wantGone(t, s, "k")
				}
				if now := c.leader(); now != l {
					t.Errorf("leadership went from %d to %d", l, now)
				}
				free.Store(1 << 40)
				settle()
				for i, s := range c.stores {
					mustPut(t, s, "k", fmt.Sprint(i))
				}
			})
		})
	}
}

// clusterWithADisk is three servers, of which the one whose data directory is stored has no room on its
// disk.
func clusterWithADisk(t *testing.T) (c *cluster, full *atomic.Value) {
	full = new(atomic.Value)
	full.Store("")
	c = &cluster{space: func(path string) (int64, error) {
		if path == full.Load() {
			return 0, nil
		}
		return 1 << 40, nil
	}}
	c.init(t, 3, nil)
	return c, full
}

// A leader whose disk is full hands leadership to a server that has room.
func TestLeaderWithAFullDiskHandsOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, full := clusterWithADisk(t)
		old := c.leader()
		mustPut(t, c.stores[old], "k", "1")
		full.Store(c.configs[old].DataDir)
		time.Sleep(2 * time.Second)
		if now := c.leader(); now == old {
			t.Fatal("the server without room leads on")
		}
		for i, s := range c.stores {
			mustPut(t, s, fmt.Sprintf("k%d", i), "v")
		}
		full.Store("")
		time.Sleep(20 * time.Second) // raft backs off
		if got := count(t, c.stores[old], "k"); got != 4 {
			t.Errorf("it has %d keys, want 4", got)
		}
	})
}

// A follower whose disk is full holds nobody up, and catches up.
func TestFollowerWithAFullDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, full := clusterWithADisk(t)
		l := c.leader()
		f := (l + 1) % 3
		full.Store(c.configs[f].DataDir)
		settle()
		for i := range 10 {
			mustPut(t, c.stores[f], fmt.Sprintf("k%d", i), "v") // passed on
		}
		full.Store("")
		time.Sleep(20 * time.Second) // raft backs off
		if got := count(t, c.stores[f], "k"); got != 10 {
			t.Errorf("it has %d keys, want 10", got)
		}
	})
}

// A follower that acknowledges what its state does not contain yet does not go back behind that:
// what its client watches from then on begins after it, and so does what it says of the present.
func TestFollowerStartsAfterWhatItAcknowledged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, full := clusterWithADisk(t)
		f := (c.leader() + 1) % 3
		s := c.stores[f]
		mustPut(t, s, "before", "v")
		full.Store(c.configs[f].DataDir)
		settle()
		var rev int64
		for i := range 3 {
			rev = mustPut(t, s, "acknowledged", fmt.Sprint(i))
		}
		if behind := s.machine.View().Revision(registry.SpaceKV); behind >= rev {
			t.Fatalf("the follower is at %d already", behind)
		}
		if now := s.Status().Revisions[registry.SpaceKV]; now != rev {
			t.Errorf("it says that revision %d is current, having acknowledged %d", now, rev)
		}
		w, err := s.Watch(t.Context(), registry.WatchRequest{KeyRange: registry.All()})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		if w.StartedAt() != rev {
			t.Errorf("a watch of what comes next started at %d, want %d", w.StartedAt(), rev)
		}
		elsewhere, err := s.Watch(t.Context(), registry.WatchRequest{Space: registry.SpaceSession, KeyRange: registry.All()})
		if err != nil || elsewhere.StartedAt() != 1 {
			t.Errorf("a watch of another space: %v, %v", elsewhere, err)
		}
		defer elsewhere.Close()
		full.Store("")
		time.Sleep(20 * time.Second) // raft backs off
		mustPut(t, s, "after", "v")
		commits, err := w.Next(t.Context())
		if err != nil || len(commits) != 1 || commits[0].Revision != rev+1 || commits[0].Events[0].KV.Key != "after" {
			t.Errorf("it saw %+v, %v; want what came after revision %d", commits, err, rev)
		}
	})
}

// A follower whose disk is full while its leader replaces the end of its log catches up all the
// same when there is space: it has not given up the old end without having taken the new one.
func TestConflictingTailOnAFullDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, full := clusterWithADisk(t)
		old := c.leader()
		mustPut(t, c.stores[old], "k", "1")
		c.isolate(old)
		if _, err := registry.Put(t.Context(), c.stores[old], registry.PutRequest{Key: "k", Value: []byte("lost")}); !errors.Is(err, registry.ErrTimeout) {
			t.Fatalf("put without a quorum: %v, want ErrTimeout", err)
		}
		full.Store(c.configs[old].DataDir)
		now := c.leader(old)
		mustPut(t, c.stores[now], "k", "2")
		c.heal(old)
		settle()
		full.Store("")
		time.Sleep(time.Minute) // raft backs off
		wantValue(t, c.stores[old], "k", "2")
		if age := c.stores[old].age(); age > time.Second {
			t.Errorf("with space on its disk again, it is %v behind", age)
		}
	})
}

// A disk that does not even say how much room there is, is found out like any that hangs.
func TestHungDiskThatDoesNotTellItsSpace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		disks := make([]*stallingLog, 3)
		answers := make(chan struct{})
		var hung atomic.Value
		hung.Store("")
		c := &cluster{
			logOf: func(i int, l raft.LogStore) raft.LogStore {
				disks[i] = &stallingLog{LogStore: l}
				return disks[i]
			},
			space: func(path string) (int64, error) {
				if path == hung.Load() {
					<-answers
				}
				return 1 << 40, nil
			},
		}
		c.init(t, 3, nil)
		old := c.leader()
		release := disks[old].stall()
		hung.Store(c.configs[old].DataDir)
		time.Sleep(time.Second)
		go registry.Put(t.Context(), c.stores[old], registry.PutRequest{Key: "hung"})
		settle()
		settle()
		mustPut(t, c.stores[c.leader(old)], "k", "v")
		release()
		settle()
		if c.stores[old].yielded.Load() {
			t.Error("it still takes its disk for hung")
		}
		close(answers)
	})
}

// The only voter has nobody to yield to, whoever else there is: what does not need its disk
// goes on.
func TestLoneVoterWithAHungDiskDoesNotYield(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		disk := &stallingLog{}
		c := &cluster{log: func(l raft.LogStore) raft.LogStore { disk.LogStore = l; return disk }}
		c.init(t, 1, nil)
		s := c.stores[c.leader()]
		if err := s.raft.AddNonvoter("id-n", "nowhere:7400", 0, 0).Error(); err != nil {
			t.Fatal(err)
		}
		mustPut(t, s, "k", "v")
		defer disk.stall()()
		if _, err := registry.Put(t.Context(), s, registry.PutRequest{Key: "hung"}); !errors.Is(err, registry.ErrTimeout) {
			t.Errorf("a write to the hanging disk: %v, want ErrTimeout", err)
		}
		wantValue(t, s, "k", "v")
	})
}
