package raftstore

import (
	"context"
	"slices"
	"time"

	"github.com/hashicorp/raft"

	"herald/registry"
)

const (
	tendEvery = time.Second
	// maxPromoteLag is how many entries a server may be behind to get a vote. It is what a
	// leader under load commits in a moment; the rest comes by itself.
	maxPromoteLag = 1000
	// smallStabilization replaces a longer StabilizationTime while there are fewer than three
	// voters: they tolerate no failure, so a vote more is worth more than caution.
	smallStabilization = 2 * time.Second
	// minVoters is what removing servers that are dead for long leaves at least. Two voters
	// tolerate no more than three of which one is dead, and cannot use the one that comes back.
	minVoters = registry.MinVoters
	// replacedAfter is how long a server has to be silent before another of its name counts as
	// its replacement.
	replacedAfter = 10 * time.Second
)

// standing is what the leader knows of one server of the configuration.
type standing struct {
	id, name string
	voter    bool
	self     bool
	// answering is for how long it has answered every time it was asked, silent for how long it
	// has not. One of them is 0. Both count from the beginning of the tenure at the earliest.
	answering, silent time.Duration
	able              bool // it answered, in the leader's term, and takes part
	lag               uint64
}

// action is what the leader does about a server.
type action struct {
	kind actionKind
	id   string
	why  string
}

type actionKind string

const (
	promote actionKind = "promote"
	remove  actionKind = "remove"
)

// tendingRules are the settings that decide goes by.
type tendingRules struct {
	stabilization   time.Duration
	deadServerAfter time.Duration // 0 is never
}

// decide is what the leader does next about the servers of the cluster, in the order of
// the configuration: one thing at a time, since each changes what is right after it.
//
//   - A server without a vote gets one when it has answered for long enough and its log is almost
//     the leader's. Voters are added, never swapped: the quorum of those alive stays.
//   - A server that is silent is removed when another of the same name has taken its place: one that
//     votes, if the silent one does.
//   - A server that is silent for DeadServerAfter is removed, if it has no vote, or at least
//     three others have.
//
// Only servers that are silent are removed, and only while a quorum answers, so the quorum of
// those alive stays here, too.
func decide(all []standing, rules tendingRules) action {
	voters, alive := 0, 0
	for _, s := range all {
		if s.voter {
			voters++
			if s.silent == 0 {
				alive++
			}
		}
	}
	if alive < voters/2+1 {
		return action{} // what is known is about to be out of date
	}
	need := rules.stabilization
	if voters < minVoters {
		need = min(need, smallStabilization)
	}
	for _, s := range all {
		if !s.voter && s.able && s.answering >= need && s.lag <= maxPromoteLag {
			return action{promote, s.id, "it has caught up"}
		}
	}
	for i, s := range all {
		if s.self || s.silent == 0 {
			continue
		}
		if s.silent >= replacedAfter && replaced(all, i) {
			return action{remove, s.id, "another server has taken its place"}
		}
		if after := rules.deadServerAfter; after > 0 && s.silent >= after && (!s.voter || voters > minVoters) {
			return action{remove, s.id, "it has not answered for " + s.silent.Round(time.Second).String()}
		}
	}
	return action{}
}

// replaced reports whether another server has taken the name, and the vote, of the i-th.
// It comes later in the configuration, where new servers are appended, and it was taken in when nobody
// of that name answered: see localLeader.admit.
func replaced(all []standing, i int) bool {
	gone := all[i]
	return gone.name != "" && slices.ContainsFunc(all[i+1:], func(s standing) bool {
		return s.name == gone.name && s.silent == 0 && (s.voter || !gone.voter)
	})
}

// tend looks after the servers of the cluster as long as this server leads.
func (t *tenure) tend() {
	l := localLeader{t.s}
	began := time.Now()
	since := map[raft.ServerID]heard{}
	for wait := time.Duration(0); t.pause(wait); wait = tendEvery {
		// This server may have moved since the cluster heard of it.
		if err := l.readdress(t.ctx, l.self(), l.PeerAddress(), false); err != nil && t.ctx.Err() == nil {
			l.cfg.Log.Warn("cannot record this server's new address", "address", l.PeerAddress(), "error", err)
		}
		all := l.askMembers(t.ctx)
		now := time.Now()
		for i := range all {
			h, known := since[all[i].ID]
			if !known {
				h = heard{last: now, first: now}
				if all[i].err != nil {
					h.last = began
				}
			}
			since[all[i].ID] = h.update(all[i].err == nil, now)
		}
		a := decide(standings(all, since, now, l.self(), l.members.book), tendingRules{
			stabilization: l.cfg.StabilizationTime, deadServerAfter: l.cfg.DeadServerAfter,
		})
		if l.log.full.Load() {
			l.makeRoom(t.ctx, all)
		}
		if err := l.carryOut(t, a); err != nil && t.ctx.Err() == nil {
			l.cfg.Log.Warn("cannot "+string(a.kind)+" a server", "id", a.id, "why", a.why, "error", err)
		}
	}
}

// makeRoom hands leadership to a server that has room on its disk, when this one has none: it can
// take no writes, and end no lease.
func (l localLeader) makeRoom(ctx context.Context, all []answered) {
	var to *answered
	for i := range all {
		a := &all[i]
		voter, alive := a.votes()
		if voter && alive && string(a.ID) != l.self() && !a.said.Full && !a.said.Lost && (to == nil || a.said.LastIndex > to.said.LastIndex) {
			to = a
		}
	}
	if to == nil {
		return
	}
	if err := l.handOn(ctx, all, string(to.ID)); err != nil && ctx.Err() == nil {
		l.cfg.Log.Warn("the disk is full, and leadership cannot be handed on", "to", string(to.ID), "error", err)
	}
}

// heard is when a server answered.
type heard struct {
	first time.Time // of the answers since the last time that there was none
	last  time.Time
	mute  bool // it did not answer the last time
}

func (h heard) update(answered bool, now time.Time) heard {
	switch {
	case !answered:
		h.mute = true
	case h.mute:
		return heard{first: now, last: now}
	default:
		h.last = now
	}
	return h
}

func standings(all []answered, since map[raft.ServerID]heard, now time.Time, self string, book *peerBook) []standing {
	var leader description
	for i := range all {
		if string(all[i].ID) == self {
			leader = all[i].said
		}
	}
	out := make([]standing, len(all))
	for i := range all {
		a, h := &all[i], since[all[i].ID]
		s := standing{id: string(a.ID), self: string(a.ID) == self, name: book.get(string(a.ID)).Name}
		s.voter = a.Suffrage == raft.Voter
		if s.self {
			s.name = leader.Name
		}
		if h.mute {
			s.silent = max(now.Sub(h.last), 1)
		} else {
			s.answering = now.Sub(h.first)
			s.able = !a.said.Lost && a.said.Term == leader.Term
		}
		if a.said.LastIndex < leader.LastIndex {
			s.lag = leader.LastIndex - a.said.LastIndex
		}
		out[i] = s
	}
	return out
}

// carryOut does what was decided.
func (l localLeader) carryOut(t *tenure, a action) error {
	switch a.kind {
	case promote:
		l.cfg.Log.Info("giving a server a vote", "id", a.id, "why", a.why)
		return l.giveVote(t.ctx, a.id)
	case remove:
		l.cfg.Log.Warn("removing a server that is gone", "id", a.id, "why", a.why)
		return l.drop(t.ctx, a.id)
	}
	return nil
}

// giveVote gives a server a vote, if it is part of the configuration and has none.
func (l localLeader) giveVote(ctx context.Context, id string) error {
	return l.reconfigure(ctx, func(servers []raft.Server) (change, error) {
		for _, srv := range servers {
			if string(srv.ID) == id && suffrage(srv) == registry.NonVoter {
				return func(r *raft.Raft, timeout time.Duration) raft.IndexFuture {
					return r.AddVoter(srv.ID, srv.Address, 0, timeout)
				}, nil
			}
		}
		return nil, nil
	})
}
