package raftstore

import (
	"bufio"
	"errors"
	"io"
	"time"

	"github.com/hashicorp/raft"

	"herald/registry"
	"herald/registry/mvcc"
)

const snapshotBuf = 256 << 10

// snapshot is a state held for raft to write. Holding it costs nothing.
type snapshot struct {
	view *mvcc.View
	// closing ends the writing early.
	closing <-chan struct{}
	done    func(time.Duration, error)
}

// Persist writes the state, while newer entries are applied beside it.
func (s *snapshot) Persist(sink raft.SnapshotSink) error {
	start := time.Now()
	err := s.write(sink)
	if err != nil {
		err = errors.Join(err, sink.Cancel())
	} else {
		err = sink.Close()
	}
	if s.done != nil {
		s.done(time.Since(start), err)
	}
	return err
}

func (s *snapshot) write(w io.Writer) error {
	b := bufio.NewWriterSize(stoppableWriter{w, s.closing}, snapshotBuf)
	if err := s.view.Encode(b); err != nil {
		return err
	}
	return b.Flush()
}

func (s *snapshot) Release() {}

// stoppableWriter fails once stop is closed, so that closing the store does not
// wait for a large snapshot.
type stoppableWriter struct {
	w    io.Writer
	stop <-chan struct{}
}

func (w stoppableWriter) Write(b []byte) (int, error) {
	select {
	case <-w.stop:
		return 0, registry.ErrStopped
	default:
		return w.w.Write(b)
	}
}

func decodeSnapshot(r io.Reader) (*mvcc.State, error) {
	return mvcc.Decode(bufio.NewReaderSize(r, snapshotBuf))
}

// snapshotByBytes takes a snapshot whenever the log has grown by SnapshotBytes
// since the last. Raft counts entries only, and one entry holds one command or a
// thousand. It returns when the store is closing.
func (s *Store) snapshotByBytes() {
	for {
		select {
		case <-s.logGrew:
		case <-s.closing:
			return
		}
		s.snapshotAt.Store(s.log.bytes.Load())
		err := s.raft.Snapshot().Error()
		if err != nil && !errors.Is(err, raft.ErrNothingNewToSnapshot) && !errors.Is(err, raft.ErrRaftShutdown) {
			s.cfg.Log.Warn("cannot take a snapshot; the log keeps growing", "error", err)
		}
	}
}

// noteLogGrowth is called after every append, by raft.
func (s *Store) noteLogGrowth(total int64) {
	if total-s.snapshotAt.Load() < s.cfg.SnapshotBytes {
		return
	}
	select {
	case s.logGrew <- struct{}{}:
	default:
	}
}
