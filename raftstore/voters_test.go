package raftstore

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"herald/registry"
)

func TestPromote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// None gets its vote by itself, once there are three.
		c := strangers(t, 3, 3, func(cfg *Config) { cfg.StabilizationTime = time.Hour })
		c.one(nil)
		follower := c.stores[(c.leader()+1)%3]
		if err := follower.Promote(t.Context(), follower.self()); !errors.Is(err, registry.ErrVoter) {
			t.Errorf("of one that votes: %v", err)
		}
		if err := follower.Promote(t.Context(), "nobody"); !errors.Is(err, registry.ErrMemberNotFound) {
			t.Errorf("of a stranger: %v", err)
		}
		i := c.add("id-new", nil)
		c.one(map[int]registry.Suffrage{i: registry.NonVoter})
		settle()
		if err := follower.Promote(t.Context(), "id-new"); err != nil {
			t.Fatal(err)
		}
		c.one(nil)

		// One that does not answer cannot have caught up.
		j := c.add("id-mute", nil)
		c.one(map[int]registry.Suffrage{j: registry.NonVoter})
		c.stop(j)
		if err := follower.Promote(t.Context(), "id-mute"); !errors.Is(err, registry.ErrNotInSync) {
			t.Errorf("of one that is down: %v", err)
		}
	})
}

func TestReaddress(t *testing.T) {
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
		for name, err := range map[string]error{
			"nobody": follower.Readdress(t.Context(), "nobody", "a.invalid:1"),
		} {
			if !errors.Is(err, registry.ErrMemberNotFound) {
				t.Errorf("%s: %v", name, err)
			}
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

func TestServersAreKnownWithoutAsking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := strangers(t, 3, 3, nil)
		c.one(nil)
		l := c.leader()
		mustPut(t, c.stores[l], "k", "v")
		settle()
		for i, s := range c.stores {
			leaders := 0
			for _, m := range s.Servers() {
				if m.Name == "" || m.Address == "" || m.Suffrage != registry.Voter {
					t.Errorf("server %d knows %+v", i, m)
				}
				if m.Leader {
					leaders++
					if m.ID != string(c.servers[l].ID) {
						t.Errorf("server %d says that %s leads", i, m.ID)
					}
				}
			}
			if n := len(s.Servers()); n != 3 || leaders != 1 {
				t.Errorf("server %d knows %d servers, %d of which lead", i, n, leaders)
			}
			if st := s.Status(); st.Bytes <= 0 || s.Term() != st.Term {
				t.Errorf("server %d: %d bytes, term %d and %d", i, st.Bytes, s.Term(), st.Term)
			}
		}
	})
}
