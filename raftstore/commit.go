package raftstore

import (
	"context"
	"encoding/binary"
	"sync"

	"github.com/hashicorp/raft"

	"herald/raftstore/peer"
)

// commitNotices bring what the leader has committed to its followers at once. Raft tells
// them with the next entries, or every 50 to 100 ms: without the notices a
// linearizable read from a follower would wait for that, and so would its watchers.
//
// A notice names a term and an index that is committed in it. A follower whose log has come
// that far hands its own raft what its leader would send it next: an AppendEntries
// without entries, of that term, behind that index. Raft checks it as it checks any.
type commitNotices struct {
	mu    sync.Mutex
	from  string // the leader
	term  uint64
	index uint64

	wake chan struct{} // one slot
}

// noticeCommits is woken when entries were applied, and tells the followers how far the
// log is committed. It is a loop of the tenure.
func (t *tenure) noticeCommits() {
	s := t.s
	var told uint64
	for {
		select {
		case <-s.published:
		case <-t.ctx.Done():
			return
		}
		index, ok := t.committed()
		if !ok || index <= told {
			continue
		}
		told = index
		b := binary.AppendUvarint(binary.AppendUvarint(nil, t.term), index)
		for _, o := range s.others(func(raft.Server) bool { return true }) {
			s.port.Notify(o, methodCommit, b)
		}
	}
}

// committed is how far the log is committed in this term. It is not ok once this server leads it
// no more.
func (t *tenure) committed() (index uint64, ok bool) {
	// The index is read first. A tenure ends some time after leadership does, and what is
	// committed by then is another leader's: a follower that still has an entry of our term in
	// that place would take that one for committed. If we lead now, we did when it was read,
	// since nobody leads a term twice; and from the barrier on, entries are of this term.
	index = t.s.raft.CommitIndex()
	term, ok := t.s.leads()
	return index, ok && term == t.term
}

// handleCommit takes a notice.
func (s *Store) handleCommit(_ context.Context, from peer.Identity, b []byte) ([]byte, error) {
	term, w := binary.Uvarint(b)
	if w <= 0 {
		return nil, malformed("commit notice")
	}
	index, w := binary.Uvarint(b[w:])
	if w <= 0 {
		return nil, malformed("commit notice")
	}
	n := &s.notices
	n.mu.Lock()
	if term > n.term || term == n.term && index > n.index {
		n.from, n.term, n.index = from.Node, term, index
	}
	n.mu.Unlock()
	n.signal()
	return nil, nil
}

// signal makes followCommits look.
func (n *commitNotices) signal() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// followCommits is woken by notices, and by appends to the log that a notice may have been
// waiting for. It returns when the store is closing.
func (s *Store) followCommits() {
	n := &s.notices
	var done uint64
	for {
		select {
		case <-n.wake:
		case <-s.closing:
			return
		}
		n.mu.Lock()
		from, term, index := n.from, n.term, n.index
		n.mu.Unlock()
		// Looked up in our log, not in raft's memory: raft takes what it has just written
		// into account before it takes the next request.
		if index == done || s.log.last.Load() < index || s.raft.CommitIndex() >= index {
			continue
		}
		addr, id := s.raft.LeaderWithID()
		if string(id) != from || s.raft.CurrentTerm() != term || s.raft.State() != raft.Follower {
			continue
		}
		done = index
		s.transport.inject(&raft.AppendEntriesRequest{
			RPCHeader:         raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(id), Addr: []byte(addr)},
			Term:              term,
			PrevLogEntry:      index,
			PrevLogTerm:       term,
			LeaderCommitIndex: index,
		})
	}
}
