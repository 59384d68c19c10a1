package raftstore

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"herald/registry"
)

func TestPromote(t *testing.T) {
	t.Parallel()
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

// A server that runs knows better than an operator where it is, the leader too.
func TestReaddressOfALiveServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := strangers(t, 2, 2, nil)
		c.one(nil)
		l := c.leader()
		index := c.stores[l].raft.LastIndex()
		for _, s := range c.stores {
			if err := c.stores[1-l].Readdress(t.Context(), s.self(), "elsewhere.invalid:7400"); err != nil {
				t.Fatal(err)
			}
		}
		for _, s := range c.stores {
			for i, m := range s.Servers() {
				if m.Address != c.stores[i].PeerAddress() {
					t.Errorf("%s has %s at %s", s.self(), m.ID, m.Address)
				}
			}
		}
		if now := c.stores[l].raft.LastIndex(); now != index {
			t.Errorf("the log has grown from %d to %d", index, now)
		}
	})
}

func TestMayPromote(t *testing.T) {
	t.Parallel()
	const newest = 5000
	server := func(s raft.ServerSuffrage, last uint64) answered {
		return answered{Server: raft.Server{ID: "a", Suffrage: s}, said: description{LastIndex: last}}
	}
	hung, mute := server(raft.Nonvoter, newest), server(raft.Nonvoter, 0)
	hung.said.Lost = true
	mute.err = fmt.Errorf("%w: busy", registry.ErrUnavailable)
	for _, c := range []struct {
		name string
		all  []answered
		want error
	}{
		{"a stranger", nil, registry.ErrMemberNotFound},
		{"one that votes", []answered{server(raft.Voter, newest)}, registry.ErrVoter},
		{"one that has everything", []answered{server(raft.Nonvoter, newest)}, nil},
		{"one that is ahead of when it was asked", []answered{server(raft.Nonvoter, newest+1)}, nil},
		{"one that is as far behind as may be", []answered{server(raft.Nonvoter, newest-maxPromoteLag)}, nil},
		{"one that is too far behind", []answered{server(raft.Nonvoter, newest-maxPromoteLag-1)}, registry.ErrNotInSync},
		{"one whose disk hangs", []answered{hung}, registry.ErrNotInSync},
		{"one that does not answer", []answered{mute}, registry.ErrNotInSync},
	} {
		err := mayPromote(c.all, "a", newest)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if err != nil && withoutEffect(err) {
			t.Errorf("%s: %v would be asked again", c.name, err)
		}
	}
}

func TestServersAreKnownWithoutAsking(t *testing.T) {
	t.Parallel()
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
