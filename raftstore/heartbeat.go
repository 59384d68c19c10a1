package raftstore

import (
	"time"

	"github.com/hashicorp/raft"
)

// raftState is what a server may say of itself beside raft's main goroutine. *raft.Raft
// implements it.
type raftState interface {
	State() raft.RaftState
	CurrentTerm() uint64
	LastIndex() uint64
}

// SetHeartbeatHandler implements raft.Transport and does not take what raft gives it. Raft
// would handle heartbeats on the goroutine of their connection, beside its main one, and
// there take on their term: a leader that has been replaced, but whose main goroutine does not
// know yet, then appends its next entry in the term of the leader that replaced it. Two
// different entries of the same index and term are never told apart again
// (https://github.com/hashicorp/raft/issues/695, docs/adr/0015-heartbeats.md). Here all that
// changes raft goes through its main goroutine.
func (t *transport) SetHeartbeatHandler(func(raft.RPC)) {
	t.NetworkTransport.SetHeartbeatHandler(t.heartbeat)
}

// attend says for whom heartbeats may be answered.
func (t *transport) attend(r raftState) { t.raft.Store(&r) }

// heartbeat hands raft's main goroutine a heartbeat. While that does not take it, because it
// writes to a disk that is slow, the sender is told what it may be told without: that this
// server follows it in its term.
func (t *transport) heartbeat(r raft.RPC) {
	for {
		patience := time.NewTimer(t.patience)
		select {
		case t.requests <- r:
			patience.Stop()
			return
		case <-t.done:
			patience.Stop()
			r.Respond(nil, raft.ErrTransportShutdown)
			return
		case <-patience.C:
		}
		if answer, ok := t.follows(r.Command); ok {
			r.Respond(answer, nil)
			return
		}
	}
}

// follows reports whether this server follows the sender of a heartbeat, and the answer that says so.
func (t *transport) follows(command any) (*raft.AppendEntriesResponse, bool) {
	s := t.raft.Load()
	req, ok := command.(*raft.AppendEntriesRequest)
	if !ok || s == nil {
		return nil, false
	}
	// Of a term there is one leader, so who follows in its term follows it. A server gives up
	// following before it takes on another term: what is read in this order held at once.
	if (*s).CurrentTerm() != req.Term || (*s).State() != raft.Follower || (*s).CurrentTerm() != req.Term {
		return nil, false
	}
	return &raft.AppendEntriesResponse{
		RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax},
		Term:      req.Term,
		LastLog:   (*s).LastIndex(),
		Success:   true,
	}, true
}
