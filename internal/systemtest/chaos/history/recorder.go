package history

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Record is one line of a history.
type Record interface {
	// file is the name of the file the record's kind is kept in, without its ending.
	file() string
}

func (KV) file() string         { return "kv" }
func (Added) file() string      { return "added" }
func (Listed) file() string     { return "listed" }
func (Polled) file() string     { return "polled" }
func (Streamed) file() string   { return "streamed" }
func (Leased) file() string     { return "leased" }
func (Locked) file() string     { return "locked" }
func (Registered) file() string { return "registered" }
func (Asked) file() string      { return "asked" }
func (Plan) file() string       { return "plan" }
func (Fault) file() string      { return "fault" }
func (Led) file() string        { return "led" }
func (Pulsed) file() string     { return "pulsed" }
func (Hashed) file() string     { return "hashed" }

// Recorder writes a history. Its methods may be called by any number of goroutines.
type Recorder struct {
	dir   string
	start time.Time

	mu    sync.Mutex
	files map[string]*appender
	err   error // the first; nothing is written after it
}

type appender struct {
	f *os.File
	w *bufio.Writer
	e *json.Encoder
}

// Create begins a history in a directory, which is made, and must hold none.
func Create(dir string) (*Recorder, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	old, err := filepath.Glob(filepath.Join(dir, "*"+ending))
	if err != nil {
		return nil, fmt.Errorf("history in %s: %w", dir, err)
	}
	if len(old) > 0 {
		return nil, fmt.Errorf("history in %s: there is one already (%s): choose another directory", dir, filepath.Base(old[0]))
	}
	return &Recorder{dir: dir, start: time.Now(), files: make(map[string]*appender)}, nil
}

// Now is the time since the history began, by the monotonic clock.
func (r *Recorder) Now() time.Duration { return time.Since(r.start) }

// Append adds a record. An error stays until Close, which returns it.
func (r *Recorder) Append(rec Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return
	}
	a, err := r.appenderLocked(rec.file())
	if err == nil {
		err = a.e.Encode(rec)
	}
	r.err = err
}

func (r *Recorder) appenderLocked(name string) (*appender, error) {
	if a := r.files[name]; a != nil {
		return a, nil
	}
	f, err := os.OpenFile(filepath.Join(r.dir, name+ending), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	w := bufio.NewWriterSize(f, 64<<10)
	a := &appender{f: f, w: w, e: json.NewEncoder(w)}
	r.files[name] = a
	return a, nil
}

// Flush hands what was recorded to the operating system.
func (r *Recorder) Flush() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.files {
		r.err = errors.Join(r.err, a.w.Flush())
	}
	return r.failedLocked()
}

// Close ends the history. It returns the first error there was; the history is then not
// complete. Records that come later are lost.
func (r *Recorder) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.files {
		r.err = errors.Join(r.err, a.w.Flush(), a.f.Close())
	}
	clear(r.files)
	err := r.failedLocked()
	if r.err == nil {
		r.err = os.ErrClosed
	}
	return err
}

func (r *Recorder) failedLocked() error {
	if r.err != nil {
		return fmt.Errorf("history in %s: %w", r.dir, r.err)
	}
	return nil
}
