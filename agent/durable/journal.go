package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// Op is a step of a change: it puts a record, or deletes it if Value is nil.
type Op struct {
	Key   string
	Value []byte
}

// Journal is a set of records, each under a key, that outlives the process. Every
// change is appended to one file, so that it costs what it changes, and many go to
// disk with one sync. When what is no longer of use there outweighs the records,
// the file is written anew. One goroutine at a time may call its methods.
type Journal struct {
	path string
	log  *slog.Logger
	open func(path string) (file, error)

	f file // nil where it has to be opened again
	// size is where the next frame goes: behind all that was acknowledged.
	size int64
	// live is where the records are, which take liveBytes of the file.
	live      map[string]span
	liveBytes int64
	// slack is how many bytes of no use are never a reason to write the file anew. It
	// grows when that fails, lest each change try it again.
	slack int64
	// suspect says that behind size there may be what nobody acknowledged, or that
	// what was written may not be on disk: the file has to be written anew first.
	suspect bool
	closed  bool
	// unnamed says that the file of that name may yet be an older one after a crash.
	unnamed bool
}

// span is where the value of a record is, and its sum, so that it is not copied once
// it is damaged.
type span struct {
	at  int64
	n   int
	sum uint32
}

// cost is about what a record takes in the file by itself.
func (s span) cost(key string) int64 { return int64(frameBytes + 8 + len(key) + s.n) }

// file is what a journal needs of its file.
type file interface {
	ReadAt(p []byte, at int64) (int, error)
	WriteAt(p []byte, at int64) (int, error)
	Truncate(size int64) error
	Sync() error
	Close() error
}

func openFile(path string) (file, error) { return os.OpenFile(path, os.O_RDWR, 0o600) }

const (
	defaultSlack = 1 << 20
	// corrupt is added to the name of a file of which something cannot be read.
	corrupt = ".corrupt"
)

// Open opens the journal at path, which is made if it is not there, and returns it with
// its records. What a crash left of a write that was not acknowledged is cut off. Where
// the file is damaged, whatever can be read is used, and the log says where a copy of
// the damaged file is.
//
// Errors: registry.ErrFormat for a file of a newer version, which is not touched.
func Open(path string, log *slog.Logger) (*Journal, map[string][]byte, error) {
	j := &Journal{path: path, log: log, open: openFile, live: map[string]span{}, slack: defaultSlack}
	records, err := j.load()
	if err != nil {
		_ = j.Close()
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return j, records, nil
}

// load reads the file, and leaves one without fault.
func (j *Journal) load() (map[string][]byte, error) {
	b, err := os.ReadFile(j.path)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string][]byte{}, j.write(nil)
	}
	if err != nil {
		return nil, err
	}
	c, err := read(b)
	if err != nil {
		return nil, err
	}
	records := make(map[string][]byte, len(c.records))
	for key, o := range c.records {
		records[key] = o.Value
	}
	if len(c.damage) > 0 {
		aside := j.path + corrupt
		if err := WriteFile(aside, b); err != nil {
			return nil, fmt.Errorf("%w, and cannot be set aside: %w", errors.Join(c.damage...), err)
		}
		j.log.Error("a file is damaged: what can be read of it is used, the rest must be registered again; it is set aside as it was",
			"file", j.path, "aside", aside, "records", len(records), "damage", errors.Join(c.damage...))
		return records, j.write(records)
	}
	for _, o := range c.records {
		j.note(o.Key, span{at: int64(o.at), n: len(o.Value), sum: sum(o.Value)})
	}
	j.size = int64(c.end)
	if err := j.reopen(); err != nil || !c.torn {
		return records, err
	}
	j.log.Warn("a file ends within a write that a crash cut short: it was not acknowledged, and is cut off",
		"file", j.path, "bytes", len(b)-c.end)
	return records, errors.Join(j.f.Truncate(j.size), j.f.Sync())
}

// Append makes changes, each of which is there after a crash whole or not at all; once
// it has returned all of them are. On an error none of them is.
func (j *Journal) Append(changes [][]Op) error {
	if err := j.mend(); err != nil {
		return fmt.Errorf("writing %s: %w", j.path, err)
	}
	var b []byte
	var ends []int
	for _, ops := range changes {
		var err error
		if b, err = appendFrame(b, ops); err != nil {
			return fmt.Errorf("writing %s: %w", j.path, err)
		}
		ends = append(ends, len(b))
	}
	if _, err := j.f.WriteAt(b, j.size); err != nil {
		j.cut()
		return fmt.Errorf("writing %s: %w", j.path, err)
	}
	if err := j.f.Sync(); err != nil {
		j.suspect = true // whether it is on disk can be found out no more
		j.cut()
		return fmt.Errorf("writing %s: %w", j.path, err)
	}
	at := 0
	for _, end := range ends {
		ops, _, err := parseFrame(b[at:end])
		if err != nil {
			panic(fmt.Sprintf("durable: a record just written cannot be read: %v", err))
		}
		for _, o := range ops {
			j.forget(o.Key)
			if o.Value != nil {
				j.note(o.Key, span{at: j.size + int64(at+o.at), n: len(o.Value), sum: sum(o.Value)})
			}
		}
		at = end
	}
	j.size += int64(len(b))
	j.compact()
	return nil
}

// note takes a record into live that is not there.
func (j *Journal) note(key string, s span) {
	j.live[key] = s
	j.liveBytes += s.cost(key)
}

func (j *Journal) forget(key string) {
	if s, ok := j.live[key]; ok {
		j.liveBytes -= s.cost(key)
		delete(j.live, key)
	}
}

// cut removes what a failed write may have left behind size.
func (j *Journal) cut() {
	if errors.Join(j.f.Truncate(j.size), j.f.Sync()) != nil {
		j.suspect = true
	}
}

// mend does what an error left undone.
func (j *Journal) mend() error {
	if j.closed {
		return fs.ErrClosed
	}
	if j.unnamed {
		if err := syncDir(filepath.Dir(j.path)); err != nil {
			return err
		}
		j.unnamed = false
	}
	if j.f == nil {
		if err := j.reopen(); err != nil {
			return err
		}
	}
	if j.suspect {
		return j.rewrite()
	}
	return nil
}

func (j *Journal) reopen() (err error) {
	j.f, err = j.open(j.path)
	if err != nil {
		j.f = nil // and not an interface that holds no file
	}
	return err
}

// compact writes the file anew when that is worth it. That it cannot be is no
// failure of what was written.
func (j *Journal) compact() {
	dead := j.size - j.liveBytes
	if dead <= j.liveBytes+j.slack {
		return
	}
	if err := j.rewrite(); err != nil {
		j.slack = 2 * dead
		j.log.Warn("a file cannot be written anew, and goes on growing; nothing of it is lost", "file", j.path, "bytes", j.size, "error", err)
		return
	}
	j.slack = defaultSlack
}

// rewrite writes the file anew, with the records alone.
func (j *Journal) rewrite() error {
	records := make(map[string][]byte, len(j.live))
	for key, s := range j.live {
		value := make([]byte, s.n)
		if _, err := j.f.ReadAt(value, s.at); err != nil {
			return err
		}
		if sum(value) != s.sum {
			return errSum
		}
		records[key] = value
	}
	return j.write(records)
}

// write makes the file hold records alone. On an error the file is the old one or the
// new one, and both have the same records.
func (j *Journal) write(records map[string][]byte) error {
	b := appendHeader(nil)
	live, liveBytes := make(map[string]span, len(records)), int64(0)
	for _, key := range slices.Sorted(maps.Keys(records)) {
		value := records[key]
		var err error
		if b, err = appendFrame(b, []Op{{Key: key, Value: value}}); err != nil {
			return err
		}
		s := span{at: int64(len(b) - len(value)), n: len(value), sum: sum(value)}
		live[key], liveBytes = s, liveBytes+s.cost(key)
	}
	if j.f != nil {
		// Not every system renames over a file that is open.
		_ = j.f.Close()
		j.f = nil
	}
	if err := replace(j.path, b); err != nil {
		return err // the old one is opened again before the next write
	}
	j.live, j.liveBytes, j.size = live, liveBytes, int64(len(b))
	j.suspect, j.unnamed = false, true
	if err := syncDir(filepath.Dir(j.path)); err != nil {
		return err
	}
	j.unnamed = false
	return j.reopen()
}

// Close gives the file back. Changes fail from then on.
func (j *Journal) Close() error {
	j.closed = true
	if j.f == nil {
		return nil
	}
	err := j.f.Close()
	j.f = nil
	return err
}
