package raftstore

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/raft"

	"herald/registry"
)

const (
	// keepSnapshots is how many snapshots are kept. Two: if the newer cannot be
	// read, the older and the log (see guardedLog.keepFrom) still hold everything.
	keepSnapshots = 2

	// The names that raft's file store uses.
	snapshotsDir  = "snapshots"
	snapshotMeta  = "meta.json"
	snapshotState = "state.bin"
	unfinished    = ".tmp"

	corruptDir = "corrupt"
)

// remedy adds to an error about what is in a data directory what can be done.
func remedy(err error, dir string) error {
	if errors.Is(err, registry.ErrFormat) {
		return fmt.Errorf("%w: a newer version wrote it: upgrade herald", err)
	}
	return fmt.Errorf("%w: restore %s from a backup, or empty it and let this server join the cluster anew", err, dir)
}

// checkTerm refuses a log that has seen a later term than the votes have: the file
// of the votes was lost or put back from an older copy, and this server might vote a
// second time in a term, for another leader.
func checkTerm(d *dataDir, st *stores) error {
	last, err := st.log.LastIndex()
	if err != nil || last == 0 {
		return err
	}
	var l raft.Log
	if err := st.log.GetLog(last, &l); err != nil {
		return fmt.Errorf("log entry %d: %w", last, err)
	}
	term, err := readUint(st.stable, keyTerm)
	if err != nil {
		return err
	}
	if l.Term > term {
		return remedy(fmt.Errorf("%w: %s knows terms up to %d, the log has seen %d",
			registry.ErrCorrupt, d.raft(stableFile), term, l.Term), d.path)
	}
	return nil
}

// snapshotFile is a snapshot on disk, known by the name of its directory.
type snapshotFile struct {
	name  string
	path  string
	term  uint64
	index uint64
}

// recoverSnapshots makes sure that raft will start from a snapshot that is whole
// and a log that goes on from it. Raft by itself passes over a snapshot it cannot
// read in favour of an older one, or of none, whether or not the log reaches back that far.
//
// Corrupt snapshots are moved aside if nothing is lost without them, and what a crash left of
// unfinished ones is removed; otherwise it fails with registry.ErrCorrupt and touches nothing.
func recoverSnapshots(d *dataDir, logs raft.LogStore, log *slog.Logger) error {
	files, partial, err := listSnapshots(d)
	if err != nil {
		return err
	}
	var bad []snapshotFile
	var why []error
	var from uint64 // where the log has to go on from; 0 is the very beginning
	for _, f := range files {
		err := f.verify()
		if err == nil {
			from = f.index
			break
		}
		if !errors.Is(err, registry.ErrCorrupt) {
			return err
		}
		bad = append(bad, f)
		why = append(why, err)
	}
	if len(bad) > 0 {
		if err := moveAside(d, logs, log, bad, why, from); err != nil {
			return err
		}
	}
	for _, path := range partial {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	return nil
}

// moveAside moves corrupt snapshots, newest first, out of raft's sight, if the log has all that
// they held since the entry from.
func moveAside(d *dataDir, logs raft.LogStore, log *slog.Logger, bad []snapshotFile, why []error, from uint64) error {
	// The newest snapshot is bad[0]; what it held was committed.
	if err := logCovers(logs, from+1, bad[0].index); err != nil {
		return remedy(fmt.Errorf("%w; without it state is lost: %v", errors.Join(why...), err), d.path)
	}
	aside := d.raft(corruptDir)
	if err := makeDir(aside); err != nil {
		return err
	}
	for i, f := range bad {
		to := filepath.Join(aside, f.name)
		if err := os.Rename(f.path, to); err != nil {
			return err
		}
		log.Warn("snapshot is corrupt; starting from the one before it and the log",
			"error", why[i], "moved_to", to, "from_index", from)
	}
	return errors.Join(syncDir(aside), syncDir(d.raft(snapshotsDir)))
}

// listSnapshots returns the finished snapshots, newest first, and the paths of what a
// crash left of unfinished ones.
func listSnapshots(d *dataDir) (files []snapshotFile, partial []string, err error) {
	dir := d.raft(snapshotsDir)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		f := snapshotFile{name: e.Name(), path: filepath.Join(dir, e.Name())}
		if !e.IsDir() {
			continue
		}
		if strings.HasSuffix(f.name, unfinished) {
			partial = append(partial, f.path)
			continue
		}
		var millis int64
		if n, err := fmt.Sscanf(f.name, "%d-%d-%d", &f.term, &f.index, &millis); err != nil || n != 3 {
			return nil, nil, fmt.Errorf("%w: %s is not the name of a snapshot: move it out of there", registry.ErrCorrupt, f.path)
		}
		files = append(files, f)
	}
	slices.SortFunc(files, func(a, b snapshotFile) int {
		switch {
		case a.term != b.term:
			return compare(b.term, a.term)
		case a.index != b.index:
			return compare(b.index, a.index)
		}
		return strings.Compare(b.name, a.name)
	})
	return files, partial, nil
}

func compare(a, b uint64) int {
	if a < b {
		return -1
	}
	return 1
}

// verify reads the whole snapshot. It fails with registry.ErrCorrupt if it is not
// what was written.
func (f *snapshotFile) verify() error {
	corrupt := func(format string, args ...any) error {
		return fmt.Errorf("%w: snapshot %s: "+format, append([]any{registry.ErrCorrupt, f.path}, args...)...)
	}
	b, err := os.ReadFile(filepath.Join(f.path, snapshotMeta))
	if errors.Is(err, fs.ErrNotExist) {
		return corrupt("%s is missing", snapshotMeta)
	}
	if err != nil {
		return err
	}
	var meta struct {
		raft.SnapshotMeta
		CRC []byte
	}
	if err := json.Unmarshal(b, &meta); err != nil {
		return corrupt("%s: %v", snapshotMeta, err)
	}
	// The metadata has no checksum of its own; its name says the same twice.
	if meta.ID != f.name || meta.Index != f.index || meta.Term != f.term || len(meta.Configuration.Servers) == 0 {
		return corrupt("%s does not describe it", snapshotMeta)
	}
	state, err := os.Open(filepath.Join(f.path, snapshotState))
	if errors.Is(err, fs.ErrNotExist) {
		return corrupt("%s is missing", snapshotState)
	}
	if err != nil {
		return err
	}
	defer state.Close()
	sum := crc64.New(crc64.MakeTable(crc64.ECMA))
	if _, err := io.Copy(sum, state); err != nil {
		return err
	}
	if !bytes.Equal(sum.Sum(nil), meta.CRC) {
		return corrupt("%s has another checksum than when it was written", snapshotState)
	}
	return nil
}

// logCovers checks that every entry from first to last is in the log.
func logCovers(logs raft.LogStore, first, last uint64) error {
	have, err := logs.FirstIndex()
	if err != nil {
		return err
	}
	to, err := logs.LastIndex()
	if err != nil {
		return err
	}
	if have == 0 || have > first || to < last {
		return fmt.Errorf("the log holds entries %d to %d, %d to %d are needed", have, to, first, last)
	}
	var l raft.Log
	for i := first; i <= last; i++ {
		if err := logs.GetLog(i, &l); err != nil {
			return fmt.Errorf("log entry %d: %w", i, err)
		}
	}
	return nil
}
