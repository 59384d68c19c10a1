package raftstore

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"herald/registry"
)

const (
	// dirFormat is the format of the data directory that this version writes. A
	// directory with a higher one is refused.
	dirFormat = 1

	identityFile = "herald.json"
	lockFile     = "lock"
	raftDir      = "raft"

	filePerm = 0o600
	dirPerm  = 0o700
)

// identity is what herald.json says: whose directory this is.
type identity struct {
	Format   int       `json:"format_version"`
	NodeID   string    `json:"node_id"`
	LogStore string    `json:"log_store"`
	Created  time.Time `json:"created"`
	charter
}

// dataDir is a data directory that this process owns until close.
type dataDir struct {
	path string
	// id is fixed but for the charter, which recharter changes: with changing held, and mu
	// too while it is written to memory.
	id       identity
	changing sync.Mutex
	mu       sync.Mutex
	lock     *flock.Flock
}

func (d *dataDir) raft(name ...string) string {
	return filepath.Join(append([]string{d.path, raftDir}, name...)...)
}

// openDataDir takes the directory for this process, making it if need be. A
// directory that it refuses is left as it was, to the byte.
func openDataDir(cfg *Config) (*dataDir, error) {
	path := filepath.Clean(cfg.DataDir)
	// Looked at before the lock is taken: the lock is a file too, and a
	// directory of another node or of a newer version must not gain one.
	if _, err := checkIdentity(path, cfg); err != nil {
		return nil, err
	}
	if err := makeDir(path); err != nil {
		return nil, fmt.Errorf("data directory %s: %w", path, err)
	}
	lock := flock.New(filepath.Join(path, lockFile), flock.SetPermissions(filePerm))
	ok, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock data directory %s: %w", path, err)
	}
	if !ok {
		return nil, fmt.Errorf("%w: %s: stop that process, or give this one a directory of its own", registry.ErrDataDirLocked, path)
	}
	d := &dataDir{path: path, lock: lock}
	if err := d.own(cfg); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// own reads or writes the identity, now that nobody else can.
func (d *dataDir) own(cfg *Config) error {
	id, err := checkIdentity(d.path, cfg)
	if err != nil {
		return err
	}
	if id != nil {
		d.id = *id
	} else {
		d.id = identity{Format: dirFormat, NodeID: cfg.NodeID, LogStore: cfg.LogStore, Created: time.Now().UTC()}
		if d.id.NodeID == "" {
			d.id.NodeID = newUUID()
		}
		if err := d.writeIdentity(&d.id); err != nil {
			return err
		}
	}
	if err := makeDir(d.raft()); err != nil {
		return fmt.Errorf("data directory %s: %w", d.path, err)
	}
	return nil
}

// checkIdentity reads herald.json, and nil if there is none, without changing
// anything. It refuses a directory that cfg must not open.
func checkIdentity(path string, cfg *Config) (*identity, error) {
	file := filepath.Join(path, identityFile)
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		// The identity is written before anything else is, so a log without one has
		// lost it, and with it the name this node votes under.
		if _, err := os.Stat(filepath.Join(path, raftDir)); err == nil {
			return nil, fmt.Errorf("%w: %s is missing while %s exists: put the file back from a backup, or start with an empty directory", registry.ErrCorrupt, file, filepath.Join(path, raftDir))
		}
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("data directory %s: %w", path, err)
	}
	id, err := decodeIdentity(b)
	switch {
	case errors.Is(err, registry.ErrFormat):
		return nil, fmt.Errorf("data directory %s: %w: upgrade herald, or start with an empty directory", path, err)
	case err != nil:
		return nil, fmt.Errorf("%s: %w: put the file back from a backup", file, err)
	case cfg.NodeID != "" && cfg.NodeID != id.NodeID:
		return nil, fmt.Errorf("%w: %s is of node %s, this is configured as node %s: correct the node id, or give this node a directory of its own", registry.ErrDataDirOwner, path, id.NodeID, cfg.NodeID)
	case id.LogStore != cfg.LogStore:
		return nil, fmt.Errorf("%w: data directory %s keeps its log in %q, the configuration says %q: correct the log store, or start with an empty directory", registry.ErrInvalid, path, id.LogStore, cfg.LogStore)
	}
	return &id, checkStores(path, &id)
}

// checkStores refuses a directory whose identity is there and whose log or votes are not: a
// disk below it was not mounted, or somebody removed them. The server would begin
// with nothing under the id of one that may vote, vote again in terms in which it has voted, and
// help to elect a leader that lacks what it had acknowledged. Both files are made before a
// server becomes part of a cluster, so no crash leaves it like this.
func checkStores(path string, id *identity) error {
	if id.ClusterID == "" {
		return nil
	}
	for _, name := range []string{stableFile, logMark(id.LogStore)} {
		file := filepath.Join(path, raftDir, name)
		switch _, err := os.Stat(file); {
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("%w: %s is missing, though data directory %s is of server %s of cluster %s: put it back if it is elsewhere (is a disk not mounted?); otherwise empty the directory and let this server join the cluster anew",
				registry.ErrCorrupt, file, path, id.NodeID, id.ClusterID)
		case err != nil:
			return fmt.Errorf("data directory %s: %w", path, err)
		}
	}
	return nil
}

// decodeIdentity reads an identity of a format that this version knows. Its errors are
// registry.ErrFormat and registry.ErrCorrupt.
func decodeIdentity(b []byte) (identity, error) {
	// The format alone first: a newer one may give every other field another type.
	var format struct {
		Version int `json:"format_version"`
	}
	if err := json.Unmarshal(b, &format); err != nil {
		return identity{}, fmt.Errorf("%w: %v", registry.ErrCorrupt, err)
	}
	switch {
	case format.Version > dirFormat:
		return identity{}, fmt.Errorf("%w: it has format %d, this version knows up to %d", registry.ErrFormat, format.Version, dirFormat)
	case format.Version < 1:
		return identity{}, fmt.Errorf("%w: there is no format version", registry.ErrCorrupt)
	}
	var id identity
	if err := json.Unmarshal(b, &id); err != nil {
		return identity{}, fmt.Errorf("%w: %v", registry.ErrCorrupt, err)
	}
	if id.NodeID == "" {
		return identity{}, fmt.Errorf("%w: there is no node id", registry.ErrCorrupt)
	}
	return id, nil
}

// writeIdentity puts herald.json in place, whole or not at all.
func (d *dataDir) writeIdentity(id *identity) error {
	b, err := json.MarshalIndent(id, "", "  ")
	if err != nil {
		return err
	}
	file := filepath.Join(d.path, identityFile)
	tmp := file + ".tmp"
	if err := writeSynced(tmp, append(b, '\n')); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	if err := os.Rename(tmp, file); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return syncDir(d.path)
}

func (d *dataDir) close() error { return d.lock.Close() }

func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, filePerm)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// makeDir makes a directory and what is missing above it, each durable in its parent.
func makeDir(path string) error {
	if st, err := os.Stat(path); err == nil {
		if !st.IsDir() {
			return fmt.Errorf("%s is not a directory", path)
		}
		return nil
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := makeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, dirPerm); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(parent)
}

// syncDir makes the entries of a directory durable. Windows does so by itself
// and cannot be asked to.
func syncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// newUUID is a random (version 4) UUID.
func newUUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: it ends the process instead
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}
