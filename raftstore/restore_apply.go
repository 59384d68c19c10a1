package raftstore

import (
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/raft"

	"herald/registry/archive"
	"herald/registry/mvcc"
)

var (
	// errRestoreOver is the result of an entry of a restore that is not under way any more.
	errRestoreOver = errors.New("the restore is over")
	// errRestoring is why no snapshot is taken during a restore: it would not contain
	// the pieces that it stands for.
	errRestoring = errors.New("a restore is under way")
)

// restoring is a restore whose archive comes in through the log. The machine's
// goroutine owns it, and waits for the one that decodes.
type restoring struct {
	id, term uint64
	size     uint64 // so far
	in       *io.PipeWriter
	decoded  chan struct{}

	// Of the decoding goroutine, until decoded is closed.
	state *mvcc.State
	err   error
}

// beginRestore starts to build a state beside the one there is.
func beginRestore(id, term uint64) *restoring {
	out, in := io.Pipe()
	r := &restoring{id: id, term: term, in: in, decoded: make(chan struct{})}
	go func() {
		defer close(r.decoded)
		// Whatever is still written finds nobody reading, and does not wait.
		defer out.Close()
		r.state, _, r.err = archive.ReadAll(out)
	}()
	return r
}

// dropRestore ends a restore that does not happen.
func (m *machine) dropRestore() {
	if r := m.restoring; r != nil {
		m.restoring = nil
		r.in.CloseWithError(errRestoreOver)
		<-r.decoded
	}
}

// applyRestore applies an entry of a restore. An error is the end of the machine.
func (m *machine) applyRestore(l *raft.Log) (*entryResult, error) {
	e, err := decodeRestoreEntry(l.Data)
	if err != nil {
		return nil, err
	}
	m.state.SetApplied(l.Index)
	done := func(err error) (*entryResult, error) {
		return &entryResult{results: []mvcc.Result{{Err: err}}}, nil
	}
	if e.fence != l.Term {
		return done(errFenced)
	}
	if e.kind == restorePiece && e.offset == 0 {
		m.dropRestore()
		m.restoring = beginRestore(e.id, l.Term)
	}
	r := m.restoring
	if r == nil || r.id != e.id || e.kind != restoreCancel && r.size != e.offset {
		return done(errRestoreOver)
	}
	switch e.kind {
	case restorePiece:
		// Decoding fails where it fails on every server; the end says so.
		_, _ = r.in.Write(e.data)
		r.size += uint64(len(e.data))
		return done(nil)
	case restoreCancel:
		m.dropRestore()
		return done(nil)
	}

	m.restoring = nil
	r.in.Close()
	<-r.decoded
	if r.err != nil {
		// The leader has read it all before it let it into the log.
		return nil, fmt.Errorf("restore: %w", r.err)
	}
	by, err := decodeOrigin(e.data)
	if err != nil {
		return nil, err
	}
	if err := r.state.Supersede(m.state.Publish().Revisions(), by); err != nil {
		return done(err)
	}
	r.state.SetApplied(l.Index)
	m.changes = m.changes[:0] // of leases that are no more
	m.replace(r.state)
	m.restored(m.View())
	return done(nil)
}

// replace puts another state in the place of the one there is.
func (m *machine) replace(s *mvcc.State) {
	m.state = s
	v := s.Publish()
	m.view.Store(v)
	m.hub.Reset(v)
	m.waiting.wake(v.Applied())
}
