package raftstore

import (
	"context"
	"errors"
	"syscall"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// hastenPoll is how often a follower looks whether it is time, once it has seen that its
	// leader's process is gone.
	hastenPoll = 10 * time.Millisecond
	// hastenLast is how much later the one goes that is to win.
	hastenLast = 50 * time.Millisecond
)

// leaderIsGone reports whether err says that nobody listens any more where the leader was: its
// process has ended. A leader that is slow, frozen or cut off gives other errors, or none.
func leaderIsGone(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// isAhead reports whether no voter that answers, the leader aside, has a longer log than this
// server; among equals, the one whose id comes last.
func (s *Store) isAhead(leader string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.LeaderLeaseTimeout/4)
	defer cancel()
	others := s.others(func(srv raft.Server) bool { return srv.Suffrage == raft.Voter && string(srv.ID) != leader })
	longer := make(chan bool, len(others))
	for _, o := range others {
		s.loops.Go(func() {
			d, err := s.askDescription(ctx, o)
			mine := s.raft.LastIndex()
			longer <- err == nil && (d.LastIndex > mine || d.LastIndex == mine && d.ID > s.self())
		})
	}
	for range others {
		if <-longer {
			return false
		}
	}
	return true
}

// hasten stands for election early because the leader's process is gone: as soon as
// nothing was heard for the time after which a leader that is cut off steps down, instead of
// the one to two heartbeat timeouts that allow for a slow network. It returns when this
// server is no follower any more, somebody else leads, or it was of no use.
//
// Raft decides as always: while the timeout is lowered it finds that it has waited long enough, and
// asks for pre-votes, which whoever still hears from the leader refuses. So one server that is
// wrong, because a firewall answers for the leader, disturbs nobody.
//
// Whoever stands first is refused by those that have not noticed yet, and then has to wait for
// another try; so the one whose log is the longest, which alone may be able to win, goes last, when
// the others know of no leader any more.
func (s *Store) hasten(known *knownLeader) {
	usual := s.raft.ReloadableConfig()
	soon := s.cfg.LeaderLeaseTimeout
	if soon >= usual.HeartbeatTimeout {
		return
	}
	at := soon
	if s.isAhead(known.id) {
		at += hastenLast
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
		if silent >= at && !lowered {
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
