package raftstore

import "testing"

func TestStateHashFollowsTheState(t *testing.T) {
	t.Parallel()
	s := openReady(t, testConfig(t))
	mustPut(t, s, "a", "1")
	applied, hash := s.StateHash()
	if again, same := s.StateHash(); again != applied || same != hash {
		t.Errorf("nothing was written, and the hash went from %x at %d to %x at %d", hash, applied, same, again)
	}
	mustPut(t, s, "a", "2")
	if later, other := s.StateHash(); later <= applied || other == hash {
		t.Errorf("hash %x at %d, and %x at %d after a write", hash, applied, other, later)
	}
}
