package raftstore

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/hashicorp/raft"

	"herald/raftstore/peer"
	"herald/registry"
)

// knownLeader is who leads, as far as this server knows.
type knownLeader struct {
	id      string // "" if nobody is known to
	address string
	since   time.Time
	// over ends when it is no longer known to lead.
	over context.Context
	end  context.CancelCauseFunc
}

// askWhoLeadsEvery is how often a server whose own raft cannot tell asks the others.
const askWhoLeadsEvery = 200 * time.Millisecond

// trackLeader keeps known up to date. It returns when the store is closing.
//
// Who leads is what raft says, but while this server has yielded: its raft is then
// waiting for the disk and hears of nobody, so the other servers are asked.
func (s *Store) trackLeader() {
	changes := make(chan raft.Observation, 1)
	// An observation that finds the slot taken is dropped; the one in it makes us look.
	observer := raft.NewObserver(changes, false, func(o *raft.Observation) bool {
		_, ok := o.Data.(raft.LeaderObservation)
		return ok
	})
	s.raft.RegisterObserver(observer)
	defer s.raft.DeregisterObserver(observer)
	defer func() { s.known.Load().end(registry.ErrStopped) }()

	var poll <-chan time.Time
	for {
		if s.yielded.Load() {
			s.setKnown(s.askWhoLeads())
			poll = time.After(askWhoLeadsEvery)
		} else {
			addr, id := s.raft.LeaderWithID()
			s.setKnown(string(id), string(addr))
			poll = nil
		}
		select {
		case <-changes:
		case <-s.yieldChanged:
		case <-poll:
		case <-s.closing:
			return
		}
	}
}

// setKnown is called by trackLeader only, but for the first.
func (s *Store) setKnown(id, address string) {
	old := s.known.Load()
	if old != nil && old.id == id && old.address == address {
		return
	}
	k := &knownLeader{id: id, address: address, since: time.Now()}
	k.over, k.end = context.WithCancelCause(context.Background())
	s.known.Store(k)
	if old != nil {
		old.end(errLeaderChanged)
		// Whether this server has its place is asked of a leader, and once it has, an operator may
		// take it away: until it knows, it would ask to be taken in again.
		s.members.wake()
	}
}

// askWhoLeads asks the other servers. The answer of the latest term counts.
func (s *Store) askWhoLeads() (id, address string) {
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.HeartbeatTimeout)
	defer cancel()
	others := s.others(func(raft.Server) bool { return true })
	answers := make(chan leaderAnswer, len(others))
	for _, o := range others {
		s.loops.Go(func() {
			var a leaderAnswer
			if b, err := s.port.Call(ctx, o, methodLeader, nil); err == nil {
				a = decodeLeaderAnswer(b)
			}
			answers <- a
		})
	}
	var best leaderAnswer
	for range others {
		if a := <-answers; a.id != "" && a.id != s.self() && a.term >= best.term {
			best = a
		}
	}
	return best.id, best.address
}

// leaderAnswer is what another server knows of the leader.
type leaderAnswer struct {
	term        uint64
	id, address string
}

// handleLeader says who leads.
func (s *Store) handleLeader(context.Context, peer.Identity, []byte) ([]byte, error) {
	addr, id := s.raft.LeaderWithID()
	b := binary.AppendUvarint(nil, s.raft.CurrentTerm())
	b = binary.AppendUvarint(b, uint64(len(id)))
	b = append(b, id...)
	return append(b, addr...), nil
}

func decodeLeaderAnswer(b []byte) (a leaderAnswer) {
	term, w := binary.Uvarint(b)
	if w <= 0 {
		return a
	}
	b = b[w:]
	n, w := binary.Uvarint(b)
	if w <= 0 || n > uint64(len(b)-w) {
		return a
	}
	b = b[w:]
	return leaderAnswer{term, string(b[:n]), string(b[n:])}
}

// others are the other servers of the configuration of which ok is true, with where to
// reach them.
func (s *Store) others(ok func(raft.Server) bool) []peer.Target {
	var all []peer.Target
	for _, srv := range s.raft.GetConfiguration().Configuration().Servers {
		if string(srv.ID) != s.self() && ok(srv) {
			all = append(all, s.target(string(srv.ID), string(srv.Address)))
		}
	}
	return all
}

// target is where to reach a server: where it was last met, or else where it is said to be.
func (s *Store) target(id, address string) peer.Target {
	if a, ok := s.addressOf(raft.ServerID(id)); ok {
		address = string(a)
	}
	return peer.Target{Node: id, Address: address}
}
