package raftstore

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"herald/registry"
)

// undisturbed notes who leads in which term, and who asks the servers for votes. The function that it
// returns fails the test if any of that has changed, or anybody of whom strangers is true has asked.
func (c *cluster) undisturbed() func() {
	l := c.leader()
	term := c.stores[l].raft.CurrentTerm()
	votes := make(chan raft.Observation, 1000)
	for _, s := range c.stores {
		if s != nil {
			o := raft.NewObserver(votes, false, func(o *raft.Observation) bool {
				switch o.Data.(type) {
				case raft.RequestVoteRequest, raft.RequestPreVoteRequest:
					return true
				}
				return false
			})
			s.raft.RegisterObserver(o)
		}
	}
	return func() {
		c.t.Helper()
		if now := c.leader(); now != l || c.stores[now].raft.CurrentTerm() != term {
			c.t.Errorf("server %d leads in term %d; it was %d in %d", now, c.stores[now].raft.CurrentTerm(), l, term)
		}
		for len(votes) > 0 {
			c.t.Errorf("asked for a vote: %+v", (<-votes).Data)
		}
	}
}

func (c *cluster) expel(i int) {
	c.t.Helper()
	if err := c.stores[c.leader(i)].Remove(c.t.Context(), string(c.servers[i].ID)); err != nil {
		c.t.Fatal(err)
	}
}

// wantOutside checks that a server knows that it is not part of the cluster, and behaves so.
func (c *cluster) wantOutside(i int, why string) {
	c.t.Helper()
	s := c.stores[i]
	if st := s.Status(); st.ClusterID != "" || st.Leader != "" || st.IsLeader {
		c.t.Errorf("server %d, which is out, says %+v", i, st)
	}
	if got := s.Waiting(); !strings.Contains(got, why) {
		c.t.Errorf("server %d waits for %q, want %q", i, got, why)
	}
	stale := registry.RangeRequest{KeyRange: registry.One("k"), Consistency: registry.Stale}
	if res, err := s.Range(c.t.Context(), stale); !errors.Is(err, registry.ErrNoLeader) {
		c.t.Errorf("server %d, which is out, reads %+v, %v", i, res, err)
	}
	if res, err := s.Txn(c.t.Context(), registry.Txn{Then: []registry.Op{{Range: &stale}}}); !errors.Is(err, registry.ErrNoLeader) {
		c.t.Errorf("server %d, which is out, reads %+v, %v", i, res, err)
	}
}

// wantSuffrage waits for a while until the leader has a server with a say.
func (c *cluster) wantSuffrage(i int, want registry.Suffrage, within time.Duration) {
	c.t.Helper()
	for deadline := time.Now().Add(within); ; time.Sleep(50 * time.Millisecond) {
		srv, in := c.stores[c.leader()].configured(string(c.servers[i].ID))
		if in && suffrage(srv) == want {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("server %d is to be a %s within %v: %+v, %v", i, want, within, srv, in)
		}
	}
}

const longStabilization = 2 * time.Minute

func steady(cfg *Config) { cfg.StabilizationTime = longStabilization }

func TestRemovedWhileDownComesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := strangers(t, 4, 4, steady)
		c.one(nil)
		mustPut(t, c.stores[c.leader()], "k", "old")
		settle()
		gone := (c.leader() + 1) % 4
		c.stop(gone)
		settle()
		c.expel(gone)
		mustPut(t, c.stores[c.leader()], "k", "new")
		settle()
		check := c.undisturbed()
		c.start(gone)
		c.wantSuffrage(gone, registry.NonVoter, time.Second)
		settle()
		wantValue(t, c.stores[gone], "k", "new")
		if st := c.stores[gone].Status(); !st.Ready || st.ClusterID == "" || c.stores[gone].Waiting() != "" {
			t.Errorf("let in again: %+v, waiting for %q", st, c.stores[gone].Waiting())
		}
		check()
		c.wantSuffrage(gone, registry.Voter, 2*longStabilization)
		check()
		c.one(nil)
	})
}

// Without addresses to join it stays out, says so, and disturbs nobody.
func TestRemovedWhileDownStaysOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := strangers(t, 4, 4, steady)
		c.one(nil)
		mustPut(t, c.stores[c.leader()], "k", "old")
		settle()
		gone := (c.leader() + 1) % 4
		c.stop(gone)
		settle()
		c.expel(gone)
		c.configs[gone].Join, c.configs[gone].BootstrapExpect = nil, 0
		c.start(gone)
		time.Sleep(15 * time.Second)
		check := c.undisturbed()
		time.Sleep(2 * time.Minute)
		c.wantOutside(gone, "herald join")
		check()
		if err := c.stores[gone].Join(t.Context(), host(c.leader())+":7400"); err != nil {
			t.Fatal(err)
		}
		c.wantSuffrage(gone, registry.NonVoter, time.Second)
		settle()
		wantValue(t, c.stores[gone], "k", "old")
		check()
	})
}

// One that is removed while it runs stays out, until it is started again.
func TestRemovedWhileUpComesBack(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]bool{"in touch": false, "cut off": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := strangers(t, 4, 4, steady)
				c.one(nil)
				mustPut(t, c.stores[c.leader()], "k", "old")
				settle()
				gone := (c.leader() + 1) % 4
				if cut {
					c.isolate(gone)
					settle()
				}
				c.expel(gone)
				mustPut(t, c.stores[c.leader()], "k", "new")
				if cut {
					time.Sleep(time.Minute)
					c.heal(gone)
				}
				time.Sleep(15 * time.Second)
				check := c.undisturbed()
				time.Sleep(2 * time.Minute)
				c.wantOutside(gone, "herald join")
				check()
				c.stop(gone)
				check = c.undisturbed()
				c.start(gone)
				c.wantSuffrage(gone, registry.NonVoter, time.Second)
				settle()
				wantValue(t, c.stores[gone], "k", "new")
				check()
			})
		})
	}
}

// One whose name another has taken is refused for as long as that one is alive.
func TestRemovedAndItsNameTaken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := strangers(t, 3, 3, steady)
		c.one(nil)
		mustPut(t, c.stores[c.leader()], "k", "old")
		settle()
		gone := (c.leader() + 1) % 3
		c.stop(gone)
		settle()
		c.expel(gone)
		other := c.add("id-other", func(cfg *Config) { cfg.NodeName = host(gone) })
		c.servers = append(c.servers, raft.Server{ID: "id-other"})
		c.wantSuffrage(other, registry.Voter, 2*longStabilization)

		c.start(gone)
		time.Sleep(15 * time.Second)
		check := c.undisturbed()
		time.Sleep(2 * time.Minute)
		c.wantOutside(gone, "give each server a name of its own")
		if _, in := c.stores[c.leader()].configured(string(c.servers[gone].ID)); in {
			t.Error("it was let in")
		}
		check()
		// The name is free again.
		c.stop(other)
		settle()
		c.expel(other)
		c.wantSuffrage(gone, registry.NonVoter, 2*refusedPause)
	})
}
