package raftstore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	raftwal "github.com/hashicorp/raft-wal"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"herald/registry"
)

const (
	walDir     = "wal"
	stableFile = "stable.db"
	logFile    = "log.db"
	// walMeta is the file that raft-wal makes first and keeps.
	walMeta = "wal-meta.db"
)

// logMark is the file that is there as long as the log of a kind of log store is, below the
// directory raft.
func logMark(kind string) string {
	if kind == LogBoltDB {
		return logFile
	}
	return filepath.Join(walDir, walMeta)
}

// stores are what raft keeps on disk, but for snapshots.
type stores struct {
	log    raft.LogStore
	stable raft.StableStore
	close  func() error
}

// openStores opens the log and the votes of a data directory. A record that a crash
// cut short at the end of the log was never acknowledged, and is dropped.
func openStores(d *dataDir, cfg *Config) (s stores, err error) {
	var closers []io.Closer
	s.close = func() error {
		var errs []error
		for i := len(closers) - 1; i >= 0; i-- {
			errs = append(errs, closers[i].Close())
		}
		return errors.Join(errs...)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()

	stable, err := openBolt(d, stableFile)
	if err != nil {
		return s, err
	}
	closers = append(closers, stable)
	s.stable = stable

	if cfg.LogStore == LogBoltDB {
		db, err := openBolt(d, logFile)
		if err != nil {
			return s, err
		}
		closers = append(closers, db)
		s.log = db
		return s, nil
	}

	dir := d.raft(walDir)
	if err := makeDir(dir); err != nil {
		return s, fmt.Errorf("log directory: %w", err)
	}
	wal, err := raftwal.Open(dir, raftwal.WithSegmentSize(cfg.SegmentBytes), raftwal.WithLogger(newRaftLog(cfg.Log, "wal")))
	if errors.Is(err, raftwal.ErrCorrupt) || damagedBolt(err) {
		err = remedy(fmt.Errorf("%w: %w", registry.ErrCorrupt, err), d.path)
	}
	if err != nil {
		return s, fmt.Errorf("open the log in %s: %w", dir, err)
	}
	closers = append(closers, wal)
	s.log = wal
	return s, nil
}

// openBolt opens one BoltDB file, so that a crash while it is made leaves none:
// a file that BoltDB had half initialized could not be opened again.
func openBolt(d *dataDir, name string) (*raftboltdb.BoltStore, error) {
	path := d.raft(name)
	open := func(path string) (*raftboltdb.BoltStore, error) {
		db, err := raftboltdb.New(raftboltdb.Options{
			Path: path,
			// The directory's own lock keeps others out; the timeout only keeps a
			// stranger that holds the file from hanging us.
			BoltOptions: &bbolt.Options{Timeout: time.Second, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType},
		})
		if err != nil {
			return nil, fmt.Errorf("open %s: %w", path, err)
		}
		return db, nil
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		tmp := path + ".tmp"
		if err := os.RemoveAll(tmp); err != nil {
			return nil, err
		}
		db, err := open(tmp)
		if err != nil {
			return nil, err
		}
		if err := db.Close(); err != nil {
			return nil, err
		}
		if err := os.Rename(tmp, path); err != nil {
			return nil, err
		}
		if err := syncDir(d.raft()); err != nil {
			return nil, err
		}
	}
	db, err := open(path)
	if damagedBolt(err) {
		err = remedy(fmt.Errorf("%w: %w", registry.ErrCorrupt, err), d.path)
	}
	return db, err
}

func damagedBolt(err error) bool {
	return errors.Is(err, bolterrors.ErrInvalid) || errors.Is(err, bolterrors.ErrChecksum) || errors.Is(err, bolterrors.ErrVersionMismatch)
}

// guardedLog is the log as raft sees it. It keeps what an older snapshot would
// need, and stops the store when an append fails.
type guardedLog struct {
	raft.LogStore
	// keepFrom is the lowest index that must stay: the log has to reach back to
	// the older of the two snapshots that are kept, or the older is no use when the
	// newer turns out to be corrupt.
	keepFrom func() (uint64, error)
	// failed is told that an append failed. The disk may have lost it, or not;
	// and after a failed sync a later one that succeeds proves nothing. Only a
	// restart, which reads what is there, can tell.
	failed   func(error)
	broken   atomic.Bool // an append has failed: none is tried again
	appended func(entries int, took time.Duration)

	// bytes counts what has been appended; grew is called with the total.
	bytes atomic.Int64
	grew  func(total int64)

	// full is set while the disk has no room to spare: entries that carry commands are refused
	// before the log below is touched. Those of raft itself are few and small, and
	// keep the cluster one that can be read.
	full atomic.Bool
	// cut is set while the end of the log has been dropped and what replaces it is not there yet:
	// that is then not refused. Raft would never notice that the old end is gone, and find
	// fault with every entry for its place.
	cut atomic.Bool
	// last is the last index that is in the log.
	last atomic.Uint64
	// begun is when the append under way began, in nanoseconds since epoch; 0 if none is.
	begun atomic.Int64
	epoch time.Time
}

var errBrokenLog = errors.New("an earlier append to the log failed")

// hangsFor is how long the append under way has taken; 0 if none is.
func (g *guardedLog) hangsFor() time.Duration {
	if at := g.begun.Load(); at != 0 {
		return time.Since(g.epoch) - time.Duration(at)
	}
	return 0
}

// refuse says why entries are not taken, or nil.
func (g *guardedLog) refuse(logs []*raft.Log) error {
	if g.broken.Load() {
		return errBrokenLog
	}
	if !g.full.Load() || g.cut.Load() {
		return nil
	}
	for _, l := range logs {
		if l.Type == raft.LogCommand && !isBarrier(l.Data) && !isRestoreCancel(l.Data) {
			return registry.ErrDiskFull
		}
	}
	return nil
}

func (g *guardedLog) StoreLog(l *raft.Log) error { return g.StoreLogs([]*raft.Log{l}) }

func (g *guardedLog) StoreLogs(logs []*raft.Log) error {
	if err := g.refuse(logs); err != nil {
		return err
	}
	start := time.Now()
	g.begun.Store(max(int64(start.Sub(g.epoch)), 1))
	err := g.LogStore.StoreLogs(logs)
	g.begun.Store(0)
	if err != nil {
		g.broken.Store(true)
		g.failed(fmt.Errorf("append to the log: %w: free or repair the disk, then start again", err))
		return err
	}
	g.cut.Store(false)
	g.last.Store(logs[len(logs)-1].Index)
	if g.appended != nil {
		g.appended(len(logs), time.Since(start))
	}
	var n int64
	for _, l := range logs {
		n += int64(len(l.Data))
	}
	g.grew(g.bytes.Add(n))
	return nil
}

// DeleteRange deletes entries, inclusive. Compaction deletes from the front: it
// is held back to keepFrom. A conflicting tail is dropped, unless the disk is too full
// for what replaces it. Nothing stands in the way of deleting everything, which raft does after it installed a snapshot
// from the leader: the log must then go on from that snapshot, without a gap.
func (g *guardedLog) DeleteRange(first, last uint64) error {
	front, err := g.FirstIndex()
	if err != nil {
		return err
	}
	back, err := g.LastIndex()
	if err != nil {
		return err
	}
	if first <= front && last < back {
		keep, err := g.keepFrom()
		if err != nil {
			return fmt.Errorf("which entries the older snapshot needs: %w", err)
		}
		if keep == 0 || keep <= first {
			return nil
		}
		last = min(last, keep-1)
	}
	if last >= back {
		if first > front && g.full.Load() {
			return registry.ErrDiskFull
		}
		g.cut.Store(true)
		g.last.Store(first - 1)
	}
	return g.LogStore.DeleteRange(first, last)
}

// IsMonotonic says whether the store refuses gaps. Embedding alone would hide it.
func (g *guardedLog) IsMonotonic() bool {
	m, ok := g.LogStore.(raft.MonotonicLogStore)
	return ok && m.IsMonotonic()
}

// load finds out what is in the log.
func (g *guardedLog) load() error {
	last, err := g.LastIndex()
	g.last.Store(last)
	return err
}
