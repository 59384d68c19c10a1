package raftstore

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"herald/raftstore/peer/memnet"
	"herald/registry"
)

// cluster is servers in one synctest bubble, on real directories and an in-memory network.
type cluster struct {
	t       *testing.T
	base    string
	net     *memnet.Net
	stores  []*Store
	configs []Config
	servers []raft.Server
	// strangers are servers that have to find each other.
	strangers bool
	names     map[int]string                             // of hosts, where they are not host(i)
	log       func(raft.LogStore) raft.LogStore          // of every server, if set
	logOf     func(i int, l raft.LogStore) raft.LogStore // of each, if set
	space     func(path string) (int64, error)           // if set
}

// newCluster starts n servers that vote.
func newCluster(t *testing.T, n int, adjust func(*Config)) *cluster {
	c := &cluster{}
	c.init(t, n, adjust)
	return c
}

func host(i int) string { return fmt.Sprintf("server-%d", i) }

func (c *cluster) init(t *testing.T, n int, adjust func(*Config)) {
	c.t, c.base, c.net = t, t.TempDir(), memnet.New()
	for i := range n {
		c.servers = append(c.servers, raft.Server{
			ID: raft.ServerID(fmt.Sprintf("id-%d", i)), Address: raft.ServerAddress(host(i) + ":7400"),
		})
	}
	for i, srv := range c.servers {
		cfg := testConfig(t)
		cfg.DataDir = filepath.Join(c.base, host(i))
		cfg.NodeID, cfg.NodeName = string(srv.ID), host(i)
		cfg.PeerAddress = string(srv.Address)
		cfg.SegmentBytes = 256 << 10
		if adjust != nil {
			adjust(&cfg)
		}
		c.configs = append(c.configs, cfg)
		c.stores = append(c.stores, nil)
		c.start(i)
	}
	t.Cleanup(func() {
		for i, s := range c.stores {
			if s != nil {
				c.stop(i)
			}
		}
	})
}

func (c *cluster) start(i int) {
	c.t.Helper()
	o := options{network: c.net.Host(c.host(i)), servers: c.servers, cluster: "test", log: c.log, space: c.space, piece: 4 << 10}
	if c.strangers {
		o.servers, o.cluster = nil, ""
	}
	if c.logOf != nil {
		o.log = func(l raft.LogStore) raft.LogStore { return c.logOf(i, l) }
	}
	s, err := open(c.configs[i], o)
	if err != nil {
		c.t.Fatal(err)
	}
	c.stores[i] = s
}

// stop stops a server without a word to the others.
func (c *cluster) stop(i int) {
	c.t.Helper()
	c.isolate(i)
	if err := c.stores[i].Close(); err != nil {
		c.t.Error(err)
	}
	c.stores[i] = nil
	c.net.Kill(c.host(i))
	c.heal(i)
}

// host is where a server is.
func (c *cluster) host(i int) string {
	if name, ok := c.names[i]; ok {
		return name
	}
	return host(i)
}

// isolate cuts a server off.
func (c *cluster) isolate(i int) { c.net.Isolate(c.host(i)) }

func (c *cluster) heal(i int) { c.net.Rejoin(c.host(i)) }

// leader waits for a server, other than except, that leads and is ready.
func (c *cluster) leader(except ...int) int {
	c.t.Helper()
	for range 600 {
	servers:
		for i, s := range c.stores {
			for _, e := range except {
				if i == e {
					continue servers
				}
			}
			if s != nil {
				if _, ok := s.leads(); ok {
					return i
				}
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	c.t.Fatal("no leader in a minute")
	return 0
}

// settle lets the servers catch up.
func settle() { time.Sleep(3 * time.Second) }

func TestThreeServersReplicate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		l := c.leader()
		for i := range 20 {
			mustPut(t, c.stores[l], fmt.Sprintf("k%d", i), "v")
		}
		settle()
		want := c.stores[l].machine.View()
		for i, s := range c.stores {
			if v := s.machine.View(); v.Applied() != want.Applied() || v.Hash() != want.Hash() {
				t.Errorf("server %d: applied %d, hash %x; the leader: %d, %x", i, v.Applied(), v.Hash(), want.Applied(), want.Hash())
			}
			res, err := s.Range(t.Context(), registry.RangeRequest{KeyRange: registry.One("k3"), Consistency: registry.Stale})
			if err != nil || len(res.KVs) != 1 || res.Age > time.Second {
				t.Errorf("stale read of server %d: %+v, %v", i, res, err)
			}
		}
		if got, _ := get(t, c.stores[l], "k3"); got != "v" {
			t.Errorf("linearizable read of the leader: %q", got)
		}
	})
}

func TestLeaderThatLostItsQuorum(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		old := c.leader()
		mustPut(t, c.stores[old], "k", "1")
		c.isolate(old)

		// It does not know yet. What it is asked now it must not answer.
		if _, err := c.stores[old].Range(t.Context(), registry.RangeRequest{KeyRange: registry.One("k")}); err == nil {
			t.Error("a linearizable read was answered without a quorum")
		}
		_, err := registry.Put(t.Context(), c.stores[old], registry.PutRequest{Key: "k", Value: []byte("lost")})
		if !errors.Is(err, registry.ErrTimeout) && !errors.Is(err, registry.ErrNoLeader) {
			t.Errorf("put without a quorum: %v, want ErrTimeout or ErrNoLeader", err)
		}
		if _, err := registry.Put(t.Context(), c.stores[old], registry.PutRequest{Key: "k"}); !errors.Is(err, registry.ErrNoLeader) {
			t.Errorf("put after it stepped down: %v, want ErrNoLeader", err)
		}

		now := c.leader(old)
		wantValue(t, c.stores[now], "k", "1")
		mustPut(t, c.stores[now], "k", "2")
		c.heal(old)
		settle()
		l := c.leader()
		wantValue(t, c.stores[l], "k", "2")
		if v, w := c.stores[old].machine.View(), c.stores[l].machine.View(); v.Hash() != w.Hash() {
			t.Error("the old leader's state differs")
		}
	})
}

func TestProposalsWithoutLeaderEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		l := c.leader()
		for i := range c.stores {
			if i != l {
				c.stop(i)
			}
		}
		settle()
		start := time.Now()
		_, err := registry.Put(t.Context(), c.stores[l], registry.PutRequest{Key: "k"})
		if !errors.Is(err, registry.ErrNoLeader) {
			t.Errorf("put: %v, want ErrNoLeader", err)
		}
		if _, err := c.stores[l].GrantLease(t.Context(), 0, time.Second); !errors.Is(err, registry.ErrNoLeader) {
			t.Errorf("grant: %v, want ErrNoLeader", err)
		}
		if _, err := c.stores[l].KeepAlive(t.Context(), 1); !errors.Is(err, registry.ErrNoLeader) {
			t.Errorf("keepalive: %v, want ErrNoLeader", err)
		}
		if _, err := c.stores[l].Range(t.Context(), registry.RangeRequest{KeyRange: registry.All()}); !errors.Is(err, registry.ErrNoLeader) {
			t.Errorf("read: %v, want ErrNoLeader", err)
		}
		if took := time.Since(start); took > c.configs[l].ProposeTimeout {
			t.Errorf("that took %v", took)
		}
		res, err := c.stores[l].Range(t.Context(), registry.RangeRequest{KeyRange: registry.All(), Consistency: registry.Stale})
		if err != nil || res.Age < 2*time.Second {
			t.Errorf("stale read: age %v, %v", res.Age, err)
		}
	})
}

func grant(t testing.TB, s registry.Store, ttl time.Duration, key string) registry.LeaseID {
	t.Helper()
	l, err := s.GrantLease(context.Background(), 0, ttl)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := registry.Put(context.Background(), s, registry.PutRequest{Key: key, Lease: l.ID}); err != nil {
		t.Fatal(err)
	}
	return l.ID
}

// untilGone returns how long it takes until a key is gone.
func untilGone(t testing.TB, s registry.Store, key string) time.Duration {
	t.Helper()
	start := time.Now()
	for {
		if _, ok := get(t, s, key); !ok {
			return time.Since(start)
		}
		if time.Since(start) > time.Hour {
			t.Fatalf("%s is still there after an hour", key)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func TestDeadLeaseEndsInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, nil)
		s := c.stores[c.leader()]
		for _, ttl := range []time.Duration{time.Second, 10 * time.Second, time.Minute} {
			id := grant(t, s, ttl, "k")
			lived := untilGone(t, s, "k")
			if lived < ttl || lived > ttl+2*time.Second {
				t.Errorf("a lease of %v ended after %v", ttl, lived)
			}
			if _, err := s.KeepAlive(t.Context(), id); !errors.Is(err, registry.ErrLeaseNotFound) {
				t.Errorf("keepalive of an ended lease: %v", err)
			}
		}
		// Why it went is kept with it.
		var last registry.Commit
		v := s.machine.View()
		if err := v.Commits(registry.SpaceKV, v.Revision(registry.SpaceKV), v.Revision(registry.SpaceKV), func(c registry.Commit) bool {
			last = c
			return true
		}); err != nil || last.Origin.Why != registry.ReasonLeaseEnd {
			t.Errorf("the last commit is %+v (%v), want the end of a lease", last, err)
		}
	})
}

func TestKeptAliveLeaseStays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, nil)
		s := c.stores[c.leader()]
		id := grant(t, s, 3*time.Second, "k")
		for range 100 {
			time.Sleep(time.Second)
			l, err := s.KeepAlive(t.Context(), id)
			if err != nil || l.TTL != 3*time.Second || l.Remaining != 3*time.Second {
				t.Fatalf("keepalive: %+v, %v", l, err)
			}
		}
		wantValue(t, s, "k", "")
		time.Sleep(time.Second)
		l, err := s.Lease(t.Context(), id, true)
		if err != nil || l.Remaining > 2*time.Second || l.Remaining < 1800*time.Millisecond || len(l.Keys) != 1 {
			t.Errorf("lease: %+v, %v; want 2s left and one key", l, err)
		}
		if lived := untilGone(t, s, "k"); lived > 4*time.Second {
			t.Errorf("gone %v after the last keepalive but one second", lived)
		}
	})
}

// A restart is an outage: no lease is charged for it, and each starts anew.
func TestLeasesAfterRestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, nil)
		s := c.stores[c.leader()]
		id := grant(t, s, 10*time.Second, "k")
		time.Sleep(8 * time.Second)
		c.stop(0)
		time.Sleep(time.Hour)
		c.start(0)
		s = c.stores[c.leader()]
		l, err := s.Lease(t.Context(), id, false)
		if err != nil || l.Remaining < 9*time.Second {
			t.Errorf("after a restart: %+v, %v; want 10s left", l, err)
		}
		if lived := untilGone(t, s, "k"); lived < 9*time.Second || lived > 12*time.Second {
			t.Errorf("lived %v after the restart, want 10s", lived)
		}
	})
}

func TestLongLeaseIsCheckpointed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, nil)
		s := c.stores[c.leader()]
		left, kept := grant(t, s, time.Hour, "left"), grant(t, s, time.Hour, "kept")
		time.Sleep(31 * time.Minute)
		if _, err := s.KeepAlive(t.Context(), kept); err != nil {
			t.Fatal(err)
		}
		c.stop(0)
		c.start(0)
		s = c.stores[c.leader()]
		for id, want := range map[registry.LeaseID]time.Duration{left: 30 * time.Minute, kept: time.Hour} {
			l, err := s.Lease(t.Context(), id, false)
			if err != nil || l.Remaining > want+time.Second || l.Remaining < want-time.Minute {
				t.Errorf("%d has %v left (%v), want %v", id, l.Remaining, err, want)
			}
		}
	})
}

// A client that keeps trying never loses its lease, whatever the servers do; one
// that died is gone a TTL after there is a leader again, and 2 s.
func TestLeasesOverLeaderChanges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		const ttl = 4 * time.Second
		first := c.leader()
		live, dead := grant(t, c.stores[first], ttl, "live"), grant(t, c.stores[first], ttl, "dead")

		lost := make(chan error, 1)
		stop := make(chan struct{})
		finished := make(chan struct{})
		go func() {
			defer close(finished)
			for {
				for _, s := range c.stores {
					// A client that waits for one server for longer than it has is not alive.
					ctx, cancel := context.WithTimeout(context.Background(), ttl/4)
					_, err := s.KeepAlive(ctx, live)
					cancel()
					if err == nil {
						break
					}
					if errors.Is(err, registry.ErrLeaseNotFound) {
						lost <- err
						return
					}
				}
				select {
				case <-time.After(ttl / 3):
				case <-stop:
					return
				}
			}
		}()

		for range 3 {
			// The leader is cut off, for longer than the lease lives.
			old := c.leader()
			c.isolate(old)
			time.Sleep(2 * ttl)
			c.heal(old)
			time.Sleep(2 * time.Second)
			// Everyone is: there is no quorum at all for a while.
			for i := range c.stores {
				c.isolate(i)
			}
			time.Sleep(3 * ttl)
			for i := range c.stores {
				c.heal(i)
			}
			s := c.stores[c.leader()]
			wantValue(t, s, "live", "")
		}
		time.Sleep(ttl + 2*time.Second)
		s := c.stores[c.leader()]
		wantValue(t, s, "live", "")
		wantGone(t, s, "dead")
		if _, err := s.KeepAlive(t.Context(), dead); !errors.Is(err, registry.ErrLeaseNotFound) {
			t.Errorf("keepalive of the dead lease: %v", err)
		}
		close(stop)
		<-finished
		select {
		case err := <-lost:
			t.Errorf("a live client lost its lease: %v", err)
		default:
		}
		if gone := untilGone(t, s, "live"); gone > ttl+2*time.Second {
			t.Errorf("the lease outlived its client by %v", gone)
		}
	})
}

// A command that a leader decided on is not carried out in another term.
func TestFencedCommandOfAnEarlierTerm(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, nil)
		s := c.stores[c.leader()]
		id := grant(t, s, time.Hour, "k")
		term, _ := s.leads()
		if err := revokeFenced(s, id, term-1); !errors.Is(err, registry.ErrUnavailable) {
			t.Errorf("revoked in an earlier term's name: %v, want ErrUnavailable", err)
		}
		wantValue(t, s, "k", "")
		if err := revokeFenced(s, id, term); err != nil {
			t.Errorf("revoked in this term's name: %v", err)
		}
		wantGone(t, s, "k")
	})
}

// A server that joins late gets a snapshot, and goes on from it: also over a
// restart, and also with its own snapshots.
func TestServerCatchesUpBySnapshot(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{LogWAL, LogBoltDB} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t, 3, func(cfg *Config) { cfg.TrailingEntries, cfg.LogStore = 1, kind })
				l := c.leader()
				late := (l + 1) % 3
				mustPut(t, c.stores[l], "early", "v")
				settle()
				w, err := c.stores[late].Watch(t.Context(), registry.WatchRequest{KeyRange: registry.All()})
				if err != nil {
					t.Fatal(err)
				}
				defer w.Close()
				c.isolate(late)
				// The log is cut behind the older of two snapshots: two more are needed.
				// And the write-ahead log gives up whole segments only.
				for i := range 3 {
					for j := range 10 {
						mustPut(t, c.stores[l], fmt.Sprintf("k%d-%d", i, j), strings.Repeat("v", 64<<10))
					}
					takeSnapshot(t, c.stores[l])
				}
				c.heal(late)
				settle()
				l = c.leader()
				if got, err := w.Next(t.Context()); !errors.Is(err, registry.ErrWatchReset) {
					t.Errorf("watcher of the server that was restored: %+v, %v, want ErrWatchReset", got, err)
				}
				same := func(what string) {
					t.Helper()
					settle()
					a, b := c.stores[c.leader()].machine.View(), c.stores[late].machine.View()
					if a.Hash() != b.Hash() {
						t.Errorf("%s: state differs", what)
					}
				}
				same("restored")
				mustPut(t, c.stores[l], "after", "v")
				same("written to")
				c.stop(late)
				c.start(late)
				same("restarted")
				mustPut(t, c.stores[c.leader()], "later", "v")
				settle()
				if err := c.stores[late].raft.Snapshot().Error(); err != nil {
					t.Fatal(err)
				}
				c.stop(late)
				c.start(late)
				same("restarted from a snapshot of its own")
			})
		})
	}
}
