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

	"herald/agent/durable"
	"herald/registry"
)

// diskFormat is the version of every file in the data directory but the journal,
// which has its own.
const diskFormat = 1

// disk is the agent's data directory:
//
//	lock               held by the agent that uses it
//	registrations.log  what was registered over the API: a journal (agent/durable)
//	ttl.json           how the ttl checks stand
//	lease.json         the lease that everything hangs from
//
// The latter two are replaced whole, so that each is the old one or the new one after
// a crash. Files may hold secrets (a check's headers) and are the owner's alone. A
// nil disk keeps nothing.
type disk struct {
	dir    string
	log    *slog.Logger
	unlock func()
	// registrations has a record for each service that was registered over the API, and
	// each check that was by itself. Agent.edit guards it.
	registrations *durable.Journal
	// kept is what it held at the start, until that has been loaded.
	kept map[string][]byte
	// leaseWritten is the lease that leaseFile holds, as far as this run wrote it.
	leaseWritten registry.LeaseID
}

// envelope is what such a file holds: the record, and enough to tell that it is
// whole and of a format that is known.
type envelope struct {
	Format int             `json:"format"`
	SHA256 string          `json:"sha256"` // of Record's bytes
	Record json.RawMessage `json:"record"`
}

const (
	registrationsFile = "registrations.log"
	ttlFile           = "ttl.json"
	leaseFile         = "lease.json"
)

// openDisk opens a data directory. If anything there is of a newer version nothing is
// touched: registry.ErrFormat.
func openDisk(dir string, log *slog.Logger) (*disk, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("agent's data directory: %w", err)
	}
	unlock, err := lockFile(filepath.Join(dir, "lock"))
	if errors.Is(err, errLocked) {
		return nil, fmt.Errorf("%s: %w: give this agent another, or stop that one", dir, registry.ErrDataDirLocked)
	}
	if err != nil {
		return nil, fmt.Errorf("locking the agent's data directory: %w", err)
	}
	d := &disk{dir: dir, log: log, unlock: unlock}
	if err := d.open(); err != nil {
		d.close()
		return nil, fmt.Errorf("agent's data directory: %w", err)
	}
	return d, nil
}

func (d *disk) open() (err error) {
	old, err := d.filesOfV1()
	if err != nil {
		return err
	}
	for _, name := range append([]string{ttlFile, leaseFile}, old...) {
		path := filepath.Join(d.dir, name)
		// One that cannot be read is dealt with when it is.
		if b, err := os.ReadFile(path); err == nil && errors.Is(open(b, &json.RawMessage{}), registry.ErrFormat) {
			return fmt.Errorf("%s: %w", path, open(b, &json.RawMessage{}))
		}
	}
	d.registrations, d.kept, err = durable.Open(filepath.Join(d.dir, registrationsFile), d.log)
	if err != nil {
		return err
	}
	return d.takeOver(old)
}

func (d *disk) close() {
	if d == nil {
		return
	}
	if d.registrations != nil {
		_ = d.registrations.Close() // every change was synced
	}
	d.unlock()
}

// write makes a file hold a record, durably.
func (d *disk) write(name string, record any) error {
	raw, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("keeping %s: %w", name, err)
	}
	sum := sha256.Sum256(raw)
	b, err := json.Marshal(envelope{Format: diskFormat, SHA256: hex.EncodeToString(sum[:]), Record: raw})
	if err != nil {
		return fmt.Errorf("keeping %s: %w", name, err)
	}
	path := filepath.Join(d.dir, name)
	if err := durable.WriteFile(path, append(b, '\n')); err != nil {
		return fmt.Errorf("keeping %s: %w", path, err)
	}
	return nil
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
	return decode(e.Record, record)
}

// decode decodes a record, which has no fields but those that are known.
func decode(b []byte, record any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(record); err != nil {
		return fmt.Errorf("%w: %w", registry.ErrCorrupt, err)
	}
	return nil
}
