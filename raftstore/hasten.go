package raftstore

import (
	"errors"
	"syscall"
	"time"

	"github.com/hashicorp/raft"
)

// hastenPoll is how often a follower looks whether it is time, once it has seen that its leader's
// process is gone.
const hastenPoll = 10 * time.Millisecond

// leaderIsGone reports whether err says that nobody listens any more where the leader was: its
// process has ended. A leader that is slow, frozen or cut off gives other errors, or none.
func leaderIsGone(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// hasten stands for election early because the leader's process is gone: as soon as
// nothing was heard for the time after which a leader that is cut off steps down, instead of
// the one to two heartbeat timeouts that allow for a slow network. It returns when this
// server is no follower any more, somebody else leads, or it was of no use.
//
// Raft decides as always: while the timeout is lowered it finds that it has waited long enough, and
// asks for pre-votes, which whoever still hears from the leader refuses. So one server that is
// wrong, because a firewall answers for the leader, disturbs nobody.
func (s *Store) hasten(known *knownLeader) {
	usual := s.raft.ReloadableConfig()
	soon := s.cfg.LeaderLeaseTimeout
	if soon >= usual.HeartbeatTimeout {
		return
	}
	ticker := time.NewTicker(hastenPoll)
	defer ticker.Stop()
	lowered := false
	defer func() {
		if lowered {
			_ = s.raft.ReloadConfig(usual)
		}
	}()
	for give := time.Now().Add(usual.HeartbeatTimeout); time.Now().Before(give); {
		if s.raft.State() != raft.Follower || known.over.Err() != nil {
			return
		}
		silent := time.Since(s.raft.LastContact())
		if silent < soon/2 && lowered {
			return // it is heard again
		}
		if silent >= soon && !lowered {
			hurried := usual
			// The election timeout too: pre-votes may be refused by one that has not noticed
			// yet, and whose log is too short to win itself.
			hurried.HeartbeatTimeout, hurried.ElectionTimeout = soon, soon
			if s.raft.ReloadConfig(hurried) != nil {
				return
			}
			lowered = true
		}
		select {
		case <-ticker.C:
		case <-s.closing:
			return
		}
	}
}
