package raftstore

import (
	"time"

	"github.com/hashicorp/raft"
)

// watchdogEvery is how often the disk is looked at.
const watchdogEvery = 100 * time.Millisecond

// watchAppends looks whether an append to the log hangs. It returns when the store is closing.
//
// Raft goes on heartbeating while its disk hangs: the goroutine that writes is not the one
// that sends heartbeats. A leader whose append has hung for DiskStallTimeout yields: its
// transport falls silent, the others elect another, and its own calls go there.
func (s *Store) watchAppends() { s.everySoOften(s.lookAtAppend) }

// watchSpace looks whether the disk that the log is on has room. It returns when the store is
// closing. A disk that hangs may not tell, so watchAppends does not wait for it.
func (s *Store) watchSpace() { s.everySoOften(s.lookAtSpace) }

func (s *Store) everySoOften(look func()) {
	ticker := time.NewTicker(watchdogEvery)
	defer ticker.Stop()
	for {
		look()
		select {
		case <-ticker.C:
		case <-s.closing:
			return
		}
	}
}

func (s *Store) lookAtAppend() {
	hangs := s.log.hangsFor()
	switch yielded := s.yielded.Load(); {
	case !yielded && hangs > s.cfg.DiskStallTimeout && s.hasPeers():
		s.cfg.Log.Error("the disk does not answer; giving up leadership if this server has it", "append_for", hangs, "directory", s.dir.path)
		s.yield(true)
	case yielded && hangs <= s.cfg.DiskStallTimeout:
		s.cfg.Log.Info("the disk answers again")
		s.yield(false)
	}
}

func (s *Store) yield(y bool) {
	s.transport.muted.Store(y)
	s.yielded.Store(y)
	select {
	case s.yieldChanged <- struct{}{}:
	default:
	}
}

// hasPeers reports whether another server may lead.
func (s *Store) hasPeers() bool {
	return len(s.others(func(srv raft.Server) bool { return srv.Suffrage == raft.Voter })) > 0
}

// lookAtSpace closes the log to commands while the disk has less room than
// DiskReserve, and opens it again.
func (s *Store) lookAtSpace() {
	if s.cfg.DiskReserve == 0 {
		return
	}
	free, err := s.freeSpace(s.dir.path)
	if err != nil {
		s.cfg.Log.Debug("cannot tell how much space is left", "directory", s.dir.path, "error", err)
		return
	}
	full := free < s.cfg.DiskReserve
	if was := s.log.full.Swap(full); was == full {
		return
	}
	if full {
		s.cfg.Log.Error("the disk is full: writes are refused until there is space", "directory", s.dir.path, "free_bytes", free, "needed_bytes", s.cfg.DiskReserve)
	} else {
		s.cfg.Log.Info("there is space on the disk again", "directory", s.dir.path, "free_bytes", free)
	}
}
