package raftstore

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"herald/registry"
)

func TestLeaveAndComeBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := strangers(t, 3, 3, nil)
		id := c.one(nil)
		mustPut(t, c.stores[0], "k", "v")
		// The leader leaves: it hands on leadership first.
		old := c.leader()
		if err := c.stores[old].Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		now := c.leader(old)
		if servers := c.stores[now].raft.GetConfiguration().Configuration().Servers; len(servers) != 2 {
			t.Errorf("after it left: %v", servers)
		}
		settle()
		if st := c.stores[old].Status(); st.Leader != "" || st.ClusterID != "" || st.IsLeader {
			t.Errorf("who left says %+v", st)
		}
		if err := c.stores[old].Leave(t.Context()); !errors.Is(err, registry.ErrMembership) {
			t.Errorf("leaving twice: %v", err)
		}
		mustPut(t, c.stores[now], "k", "w")
		time.Sleep(time.Minute)
		if _, in := c.stores[now].configured(c.stores[old].self()); in {
			t.Error("who left came back by itself")
		}

		// Told so, it comes back, as the same, with a vote after a while.
		if err := c.stores[old].Join(t.Context(), "nobody:7400"); !errors.Is(err, registry.ErrUnavailable) {
			t.Errorf("joining by an address where nobody is: %v", err)
		}
		if err := c.stores[old].Join(t.Context(), host(now)+":7400"); err != nil {
			t.Fatal(err)
		}
		if again := c.one(nil); again != id {
			t.Errorf("it is part of %s, was of %s", again, id)
		}
		wantValue(t, c.stores[old], "k", "w")
		if err := c.stores[old].Join(t.Context(), host(now)+":7400"); !errors.Is(err, registry.ErrMembership) {
			t.Errorf("joining twice: %v", err)
		}

		// It leaves again. Started anew, without and then with addresses to join.
		if err := c.stores[old].Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		join := c.configs[old].Join
		c.stop(old)
		c.configs[old].BootstrapExpect, c.configs[old].Join = 1, nil // nor does it found another
		c.start(old)
		time.Sleep(time.Minute)
		if st := c.stores[old].Status(); st.Leader != "" || st.ClusterID != "" {
			t.Errorf("who left, started again, says %+v", st)
		}
		c.stop(old)
		c.configs[old].Join = join
		c.start(old)
		c.one(nil)
	})
}

func TestRemove(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := strangers(t, 3, 3, nil)
		c.one(nil)
		l := c.leader()
		a, b := (l+1)%3, (l+2)%3
		id := func(i int) string { return string(c.servers[i].ID) }
		if err := c.stores[a].Remove(t.Context(), "nobody"); !errors.Is(err, registry.ErrMemberNotFound) {
			t.Errorf("removing a stranger: %v", err)
		}
		c.stop(b)
		settle()
		err := c.stores[a].Remove(t.Context(), id(a))
		if !errors.Is(err, registry.ErrMembership) || !errors.Is(err, registry.ErrQuorum) || !strings.Contains(err.Error(), id(b)) {
			t.Errorf("removing one of the last two of three: %v", err)
		}
		// The dead one may go, and then another, leader or not.
		if err := c.stores[a].Remove(t.Context(), id(b)); err != nil {
			t.Fatal(err)
		}
		if err := c.stores[a].Remove(t.Context(), id(l)); err != nil {
			t.Fatal(err)
		}
		if now := c.leader(l); now != a {
			t.Fatalf("server %d leads", now)
		}
		if err := c.stores[a].Leave(t.Context()); !errors.Is(err, registry.ErrMembership) {
			t.Errorf("the last leaves: %v", err)
		}
		mustPut(t, c.stores[a], "k", "v")
		// The one that was removed while it ran finds out; the other when it is started, and as
		// it has addresses to join, it comes back.
		time.Sleep(30 * time.Second)
		if st := c.stores[l].Status(); st.ClusterID != "" {
			t.Errorf("who was removed says %+v", st)
		}
		c.start(b)
		time.Sleep(15 * time.Second)
		if srv, in := c.stores[a].configured(id(b)); !in || srv.Suffrage != raft.Voter {
			t.Errorf("who was removed and started again: %+v, %v", srv, in)
		}
	})
}

// A server that has only just found its leader is as much part of the cluster as any other: when
// it is removed then, it does not ask to be taken in as one that has not found its place.
func TestRemoveRightAfterTheStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := strangers(t, 3, 3, nil)
		for round := range 4 {
			c.one(nil)
			for i := range c.stores {
				c.stop(i)
			}
			for i := range c.stores {
				c.start(i)
			}
			l := c.leader()
			a := (l + 1) % 3
			time.Sleep(50 * time.Millisecond) // far below what a server looks around every
			id := string(c.servers[l].ID)
			if err := c.stores[a].Remove(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			time.Sleep(15 * time.Second)
			if srv, in := c.stores[a].configured(id); in {
				t.Errorf("round %d: server %d was removed and is there again: %+v", round, l, srv)
			}
			c.stop(l)
			c.start(l) // it has addresses to join, and comes back
		}
		c.one(nil)
	})
}

// A change waits for the one before it no longer than the store's timeout, whoever is asked.
func TestRemoveEndsInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		l := c.leader()
		settle()
		third := string(c.servers[(l+2)%3].ID)
		c.stores[l].members.changing <- struct{}{} // one that does not end
		for _, i := range []int{l, (l + 1) % 3} {
			start := time.Now()
			err := c.stores[i].Remove(context.Background(), third)
			if took := time.Since(start); took > c.configs[i].ProposeTimeout+time.Second {
				t.Errorf("server %d, which leads: %v: it took %v", i, i == l, took)
			}
			if !errors.Is(err, registry.ErrTimeout) && !withoutEffect(err) {
				t.Errorf("server %d, which leads: %v: %v", i, i == l, err)
			}
		}
		<-c.stores[l].members.changing
		if err := c.stores[l].Remove(t.Context(), third); err != nil {
			t.Errorf("after it: %v", err)
		}
	})
}

// When the leader fails with a removal under way, whether the server was removed is not known.
func TestRemoveOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		l := c.leader()
		settle()
		old, third := c.stores[l], (l+2)%3
		old.members.changing <- struct{}{} // so that the leader has it, and does not come to it
		var err error
		var wg sync.WaitGroup
		wg.Go(func() { err = c.stores[(l+1)%3].Remove(context.Background(), string(c.servers[third].ID)) })
		time.Sleep(500 * time.Millisecond)
		c.isolate(third) // and nobody can lead instead
		if err := old.raft.Shutdown().Error(); err != nil {
			t.Fatal(err)
		}
		c.net.Kill(host(l))
		wg.Wait()
		if !errors.Is(err, registry.ErrTimeout) {
			t.Errorf("%v, want ErrTimeout", err)
		}
		<-old.members.changing
		if err := old.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		c.stores[l] = nil
		c.heal(third)
	})
}

func TestTransfer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := strangers(t, 3, 3, nil)
		c.one(nil)
		for i := range c.stores {
			asked := c.stores[(i+1)%3]
			if err := asked.Transfer(t.Context(), string(c.servers[i].ID)); err != nil {
				t.Fatalf("to server %d: %v", i, err)
			}
			if st := asked.Status(); st.Leader != string(c.servers[i].ID) {
				t.Errorf("%s leads, by who was asked, not server %d", st.Leader, i)
			}
		}
		l := c.leader()
		asked := c.stores[(l+1)%3]
		if err := asked.Transfer(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		if st := asked.Status(); st.Leader == string(c.servers[l].ID) || st.Leader == "" {
			t.Errorf("%q leads", st.Leader)
		}
		if err := asked.Transfer(t.Context(), "nobody"); !errors.Is(err, registry.ErrMemberNotFound) {
			t.Errorf("to a stranger: %v", err)
		}
		l = c.leader()
		dead := (l + 1) % 3
		c.stop(dead)
		if err := c.stores[l].Transfer(t.Context(), string(c.servers[dead].ID)); !errors.Is(err, registry.ErrMembership) {
			t.Errorf("to a dead server: %v", err)
		}
		if err := c.stores[l].Transfer(t.Context(), ""); err != nil { // to the one that is alive
			t.Error(err)
		}
		i := c.add("id-new", func(cfg *Config) { cfg.StabilizationTime = time.Hour })
		c.one(map[int]registry.Suffrage{i: registry.NonVoter})
	})
}
