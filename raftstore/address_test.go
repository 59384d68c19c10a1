//go:build !race

// Not under the race detector, which is right: a leader of raft v1.7.3 that changes a follower's address
// overwrites the follower's id by an equal one, while updateLastAppended (replication.go)
// reads it without the lock.

package raftstore

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
)

func TestAddressesChange(t *testing.T) {
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
