package raftstore

import (
	"testing"
	"testing/synctest"
)

// A tenure outlives its leadership for a moment. What is committed by then is the next leader's
// log: told of in the name of the term before, it would make a follower that has not heard yet
// commit an entry of that term in its place.
func TestDeposedLeaderGivesNoCommitNotices(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		old := c.leader()
		s := c.stores[old]
		mustPut(t, s, "k", "1")
		term, _ := s.leads()
		tenure := &tenure{s: s, term: term}
		before, ok := tenure.committed()
		if !ok || before == 0 || before != s.raft.CommitIndex() {
			t.Errorf("the leader says %d, %v; want %d", before, ok, s.raft.CommitIndex())
		}
		if err := s.Transfer(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		mustPut(t, c.stores[c.leader(old)], "k", "2")
		settle()
		if s.raft.CommitIndex() <= before {
			t.Fatal("nothing was committed by the next leader")
		}
		if index, ok := tenure.committed(); ok {
			t.Errorf("deposed, it says that %d is committed in term %d", index, term)
		}
		// Nor does it in a later term of its own.
		if err := c.stores[c.leader(old)].Transfer(t.Context(), string(c.servers[old].ID)); err != nil {
			t.Fatal(err)
		}
		settle()
		if _, leads := s.leads(); !leads {
			t.Fatal("it does not lead again")
		}
		if index, ok := tenure.committed(); ok {
			t.Errorf("leading again, it says that %d is committed in term %d", index, term)
		}
	})
}
