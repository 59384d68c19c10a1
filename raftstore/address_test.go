//go:build !race

// Not under the race detector, which is right: a leader of raft v1.7.3 that changes a follower's address
// overwrites the follower's id by an equal one, while updateLastAppended (replication.go)
// reads it without the lock.

package raftstore

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"herald/registry"
)

func TestAddressesChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := strangers(t, 3, 3, nil)
		id := c.one(nil)
		mustPut(t, c.stores[0], "k", "v")
		move := func(i int, name string) {
			c.configs[i].PeerAddress = name + ":7400"
			c.names[i] = name
		}
		where := func() (all []string) {
			for _, srv := range c.stores[c.leader()].raft.GetConfiguration().Configuration().Servers {
				all = append(all, string(srv.Address))
			}
			slices.Sort(all)
			return all
		}

		// One moves, and knows no address but the old ones.
		l := c.leader()
		i := (l + 1) % 3
		c.stop(i)
		c.names = map[int]string{}
		move(i, "elsewhere")
		c.start(i)
		c.one(nil)
		settle()
		if all := where(); !slices.Contains(all, "elsewhere:7400") {
			t.Errorf("the configuration has %v", all)
		}

		// All move at once. Only the addresses to join are new.
		for i := range c.stores {
			c.stop(i)
		}
		for i := range c.stores {
			move(i, fmt.Sprint("new-", i))
			c.configs[i].Join = []string{"new-0:7400", "new-1:7400", "new-2:7400"}
		}
		for i := range c.stores {
			c.start(i)
		}
		if again := c.one(nil); again != id {
			t.Errorf("the cluster is %s, it was %s", again, id)
		}
		wantValue(t, c.stores[1], "k", "v")
		settle()
		if all := where(); !slices.Equal(all, []string{"new-0:7400", "new-1:7400", "new-2:7400"}) {
			t.Errorf("the configuration has %v", all)
		}

		// They trade places: each address is another's.
		for i := range c.stores {
			c.stop(i)
		}
		for i := range c.stores {
			move(i, fmt.Sprint("new-", (i+1)%3))
		}
		for i := range c.stores {
			c.start(i)
		}
		c.one(nil)
		settle()
		if all := where(); !slices.Equal(all, []string{"new-0:7400", "new-1:7400", "new-2:7400"}) {
			t.Errorf("the configuration has %v", all)
		}
		wantValue(t, c.stores[2], "k", "v")
	})
}

func TestReaddress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := strangers(t, 3, 3, nil)
		c.one(nil)
		l := c.leader()
		follower, third := c.stores[(l+1)%3], (l+2)%3
		id := string(c.servers[third].ID)
		at := func() string {
			for _, m := range follower.Servers() {
				if m.ID == id {
					return m.Address
				}
			}
			return ""
		}
		was := at()
		if err := follower.Readdress(t.Context(), id, was); err != nil || at() != was {
			t.Errorf("to where it is: %v, at %s", err, at())
		}
		c.stop(third)
		if err := follower.Readdress(t.Context(), id, "elsewhere.invalid:7400"); err != nil {
			t.Fatal(err)
		}
		settle()
		if got := at(); got != "elsewhere.invalid:7400" {
			t.Errorf("it is at %s", got)
		}
		if err := follower.Readdress(t.Context(), "nobody", "a.invalid:1"); !errors.Is(err, registry.ErrMemberNotFound) {
			t.Errorf("of a stranger: %v", err)
		}
		if err := follower.Readdress(t.Context(), id, follower.PeerAddress()); !errors.Is(err, registry.ErrMembership) || at() != "elsewhere.invalid:7400" {
			t.Errorf("to where another is: %v, at %s", err, at())
		}
		if err := follower.Readdress(t.Context(), id, "no port"); !errors.Is(err, registry.ErrInvalid) {
			t.Errorf("an address that is none: %v", err)
		}
		// It says where it is itself when it is back.
		c.start(third)
		c.one(nil)
		time.Sleep(10 * time.Second)
		if got := at(); got != was {
			t.Errorf("it is back, and known at %s, want %s", got, was)
		}
	})
}
