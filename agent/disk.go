package agent

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"herald/registry"
)

// diskFormat is the version of every file in the data directory.
const diskFormat = 1

// disk is the agent's data directory:
//
//	lock             held by the agent that uses it
//	services/*.json  a service registered over the API, one in each
//	checks/*.json    a check registered over the API by itself, one in each
//	ttl.json         how the ttl checks stand
//	lease.json       the lease that everything hangs from
//
// Every file is written beside its place, synced, and renamed into it, so that it
// is the old one or the new one after a crash. Files may hold secrets (a check's
// headers) and are the owner's alone. A nil disk keeps nothing.
type disk struct {
	dir    string
	log    *slog.Logger
	unlock func()
	// leaseWritten is the lease that leaseFile holds, as far as this run wrote it.
	leaseWritten registry.LeaseID
}

// envelope is what every file holds: the record, and enough to tell that it is
// whole and of a format that is known.
type envelope struct {
	Format int             `json:"format"`
	SHA256 string          `json:"sha256"` // of Record's bytes
	Record json.RawMessage `json:"record"`
}

const (
	serviceFiles = "services"
	checkFiles   = "checks"
	ttlFile      = "ttl.json"
	leaseFile    = "lease.json"
)

func openDisk(dir string, log *slog.Logger) (*disk, error) {
	for _, d := range []string{dir, filepath.Join(dir, serviceFiles), filepath.Join(dir, checkFiles)} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("agent's data directory: %w", err)
		}
	}
	path := filepath.Join(dir, "lock")
	unlock, err := lockFile(path)
	if errors.Is(err, errLocked) {
		return nil, fmt.Errorf("%s: %w: give this agent another, or stop that one", dir, registry.ErrDataDirLocked)
	}
	if err != nil {
		return nil, fmt.Errorf("locking the agent's data directory: %w", err)
	}
	return &disk{dir: dir, log: log, unlock: unlock}, nil
}

func (d *disk) close() {
	if d != nil {
		d.unlock()
	}
}

// fileOf is where the record of an id is. Ids hold any character and may differ
// by case alone, so the name is a hash.
func fileOf(kind, id string) string {
	sum := sha256.Sum256([]byte(id))
	return filepath.Join(kind, hex.EncodeToString(sum[:16])+".json")
}

// write makes a file hold a record, durably.
func (d *disk) write(name string, record any) error {
	return d.writeAll([]kept{{name, record}})
}

// kept is a record and the file that is to hold it.
type kept struct {
	name   string
	record any
}

// syncsAtOnce is how many files are synced side by side: the disk does most of that together.
const syncsAtOnce = 16

// writeAll makes files hold records, durably. They are written beside those that they replace, all of them, before any takes its
// place: an error until then changes nothing.
func (d *disk) writeAll(all []kept) error {
	errs := make([]error, len(all))
	turns := make(chan struct{}, syncsAtOnce)
	var wg sync.WaitGroup
	for i := range all {
		turns <- struct{}{}
		wg.Go(func() {
			errs[i] = d.writeBeside(&all[i])
			<-turns
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		for i := range all {
			_ = os.Remove(d.beside(all[i].name)) // the error to tell is the first
		}
		return err
	}
	var changed []string
	for i := range all {
		path := filepath.Join(d.dir, all[i].name)
		if err := os.Rename(d.beside(all[i].name), path); err != nil {
			return fmt.Errorf("keeping %s: %w", path, err)
		}
		changed = append(changed, filepath.Dir(path))
	}
	return syncDirs(changed)
}

// beside is where a file is written before it takes its place. There is one writer for each file, and none of two runs.
func (d *disk) beside(name string) string { return filepath.Join(d.dir, name) + ".tmp" }

func (d *disk) writeBeside(k *kept) error {
	raw, err := json.Marshal(k.record)
	if err != nil {
		return fmt.Errorf("keeping %s: %w", k.name, err)
	}
	sum := sha256.Sum256(raw)
	b, err := json.Marshal(envelope{Format: diskFormat, SHA256: hex.EncodeToString(sum[:]), Record: raw})
	if err != nil {
		return fmt.Errorf("keeping %s: %w", k.name, err)
	}
	f, err := os.OpenFile(d.beside(k.name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err == nil {
		_, err = f.Write(append(b, '\n'))
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err != nil {
		return fmt.Errorf("keeping %s: %w", filepath.Join(d.dir, k.name), err)
	}
	return nil
}

// syncDirs makes what was renamed and removed in directories last.
func syncDirs(dirs []string) error {
	slices.Sort(dirs)
	for _, dir := range slices.Compact(dirs) {
		if err := syncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

func (d *disk) remove(names ...string) error {
	var changed []string
	for _, name := range names {
		path := filepath.Join(d.dir, name)
		switch err := os.Remove(path); {
		case err == nil:
			changed = append(changed, filepath.Dir(path))
		case !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("forgetting %s: %w", path, err)
		}
	}
	return syncDirs(changed)
}

// read fills record from a file. A file that is not there leaves record alone and
// reports false, and so does a corrupt one, which is set aside. A newer format
// fails with registry.ErrFormat.
func (d *disk) read(name string, record any) (bool, error) {
	path := filepath.Join(d.dir, name)
	b, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("agent's data directory: %w", err)
	}
	problem := open(b, record)
	if errors.Is(problem, registry.ErrFormat) {
		return false, fmt.Errorf("%s: %w", path, problem)
	}
	if problem == nil {
		return true, nil
	}
	aside := path + ".corrupt"
	if err := os.Rename(path, aside); err != nil {
		return false, fmt.Errorf("%s: %w, and cannot be set aside: %w", path, problem, err)
	}
	d.log.Error("a file of the agent's data directory cannot be read and is set aside; what it held must be registered again",
		"file", path, "aside", aside, "error", problem)
	return false, nil
}

// open checks what a file holds and decodes it.
func open(b []byte, record any) error {
	var e envelope
	if err := json.Unmarshal(b, &e); err != nil {
		return fmt.Errorf("%w: %w", registry.ErrCorrupt, err)
	}
	if e.Format > diskFormat {
		return fmt.Errorf("%w: format %d, this one knows up to %d; start it with the newer version", registry.ErrFormat, e.Format, diskFormat)
	}
	sum := sha256.Sum256(e.Record)
	if e.Format != diskFormat || e.SHA256 != hex.EncodeToString(sum[:]) {
		return fmt.Errorf("%w: its checksum does not match", registry.ErrCorrupt)
	}
	dec := json.NewDecoder(bytes.NewReader(e.Record))
	dec.DisallowUnknownFields()
	if err := dec.Decode(record); err != nil {
		return fmt.Errorf("%w: %w", registry.ErrCorrupt, err)
	}
	return nil
}

// list returns the files of one kind.
func (d *disk) list(kind string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(d.dir, kind))
	if err != nil {
		return nil, fmt.Errorf("agent's data directory: %w", err)
	}
	var names []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".json") {
			names = append(names, filepath.Join(kind, e.Name()))
		}
	}
	return names, nil
}
