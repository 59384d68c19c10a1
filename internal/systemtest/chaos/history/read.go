package history

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// ending is how the files of a history end.
const ending = ".jsonl"

// History is all that was seen, each kind in the order it was written down: that in which
// operations returned.
type History struct {
	Plan       Plan
	KV         []KV
	Added      []Added
	Listed     []Listed
	Polled     []Polled
	Streamed   []Streamed
	Leased     []Leased
	Locked     []Locked
	Registered []Registered
	Asked      []Asked
	Faults     []Fault
	Led        []Led
	Pulsed     []Pulsed
	Hashed     []Hashed
}

// ErrIncomplete is returned for a history that ends in the middle of a record, or has
// no plan: its recorder was never closed. It proves nothing, since what was under way is
// not in it.
var ErrIncomplete = errors.New("history is not complete")

// Read reads the history of a directory.
func Read(dir string) (*History, error) {
	var h History
	var plans []Plan
	err := errors.Join(
		readFile(dir, &plans), readFile(dir, &h.KV), readFile(dir, &h.Added), readFile(dir, &h.Listed),
		readFile(dir, &h.Polled), readFile(dir, &h.Streamed), readFile(dir, &h.Leased), readFile(dir, &h.Locked),
		readFile(dir, &h.Registered), readFile(dir, &h.Asked), readFile(dir, &h.Faults), readFile(dir, &h.Led),
		readFile(dir, &h.Pulsed), readFile(dir, &h.Hashed),
	)
	if err != nil {
		return nil, err
	}
	if len(plans) != 1 {
		return nil, fmt.Errorf("history in %s: %w: it has %d plans, want 1", dir, ErrIncomplete, len(plans))
	}
	h.Plan = plans[0]
	return &h, nil
}

// numbered is a record that knows its line.
type numbered[T any] interface {
	*T
	Record
	number(n int)
}

func (l *Line) number(n int) { l.N = n }

// readFile reads the records of one kind; a kind nobody wrote has no file.
func readFile[T any, P numbered[T]](dir string, into *[]T) error {
	path := filepath.Join(dir, P(new(T)).file()+ending)
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	defer f.Close()
	*into, err = readLines[T, P](f)
	if err != nil {
		return fmt.Errorf("history: %s: %w", path, err)
	}
	return nil
}

// readLines reads records of one kind, one on each line. Empty lines, and those that
// begin with "#", are passed over, so that a history written by hand can say what it shows.
func readLines[T any, P numbered[T]](r io.Reader) ([]T, error) {
	var all []T
	in := bufio.NewReaderSize(r, 64<<10)
	for n := 1; ; n++ {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			if len(line) > 0 {
				return nil, fmt.Errorf("line %d: %w: it is cut short", n, ErrIncomplete)
			}
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if line = bytes.TrimSpace(line); len(line) == 0 || line[0] == '#' {
			continue
		}
		var rec T
		d := json.NewDecoder(bytes.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&rec); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("line %d: more than one record", n)
		}
		P(&rec).number(n)
		all = append(all, rec)
	}
}

// Cite is a record as a reader finds it: its file, line and text.
func Cite(rec Record) string {
	text, err := json.Marshal(rec)
	if err != nil {
		text = fmt.Appendf(nil, "%+v", rec)
	}
	where := rec.file() + ending
	if l, ok := rec.(interface{ line() int }); ok && l.line() > 0 {
		where = fmt.Sprintf("%s:%d", where, l.line())
	}
	return where + " " + string(text)
}

func (l Line) line() int { return l.N }
