package durable

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"herald/registry"
)

func put(key, value string) Op { return Op{Key: key, Value: []byte(value)} }

// texts are records as text.
func texts(records map[string][]byte) map[string]string {
	all := map[string]string{}
	for k, v := range records {
		all[k] = string(v)
	}
	return all
}

// opened opens a journal, and fails the test if the log has more or less than said.
func opened(t testing.TB, path, said string) (*Journal, map[string]string) {
	t.Helper()
	var log bytes.Buffer
	j, records, err := Open(path, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if (said == "") != (log.Len() == 0) || !strings.Contains(log.String(), said) {
		t.Errorf("the log has %q, want %q", log.String(), said)
	}
	return j, texts(records)
}

func appended(t testing.TB, j *Journal, changes ...[]Op) {
	t.Helper()
	if err := j.Append(changes); err != nil {
		t.Fatal(err)
	}
}

func closed(t testing.TB, j *Journal) {
	t.Helper()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// is checks the records, and that the journal's file has them for the next, too.
func is(t testing.TB, j *Journal, have, want map[string]string) {
	t.Helper()
	if !maps.Equal(have, want) {
		t.Errorf("records are\n%q, want\n%q", have, want)
	}
	closed(t, j)
	j, again := opened(t, j.path, "")
	defer closed(t, j)
	if !maps.Equal(again, want) {
		t.Errorf("opened again, records are\n%q, want\n%q", again, want)
	}
}

// TestModel makes changes, and opens the journal now and then, beside a map.
func TestModel(t *testing.T) {
	top, next := t.TempDir(), 0
	rapid.Check(t, func(r *rapid.T) {
		next++
		path := filepath.Join(top, fmt.Sprint(next))
		j, _ := opened(t, path, "")
		slack := rapid.Int64Range(0, 500).Draw(r, "slack")
		j.slack = slack
		want := map[string]string{}
		for range rapid.IntRange(0, 12).Draw(r, "batches") {
			if rapid.IntRange(0, 5).Draw(r, "open") == 0 {
				closed(t, j)
				var have map[string]string
				if j, have = opened(t, path, ""); !maps.Equal(have, want) {
					r.Fatalf("records are %q, want %q", have, want)
				}
				j.slack = slack
			}
			var batch [][]Op
			for range rapid.IntRange(0, 3).Draw(r, "changes") {
				var ops []Op
				for range rapid.IntRange(0, 3).Draw(r, "ops") {
					key := rapid.SampledFrom([]string{"", "a", "b", "\xffrec", "d"}).Draw(r, "key")
					if rapid.Bool().Draw(r, "delete") {
						ops = append(ops, Op{Key: key})
						delete(want, key)
						continue
					}
					value := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(r, "value")
					ops = append(ops, Op{Key: key, Value: append([]byte{}, value...)})
					want[key] = string(value)
				}
				batch = append(batch, ops)
			}
			appended(t, j, batch...)
			if info, err := os.Stat(path); err != nil || info.Size() != j.size {
				r.Fatalf("the file has %d bytes, %v, and should have %d", info.Size(), err, j.size)
			}
		}
		is(t, j, want, want)
	})
}

// TestCut cuts the file at every byte of the last write. All that was written before is
// there, and of the last each change whole or not at all, none without those before it.
func TestCut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	j, _ := opened(t, path, "")
	appended(t, j, []Op{put("a", "1"), put("b", "1")}, []Op{put("c", "1")})
	appended(t, j, []Op{{Key: "c"}, put("a", "2")})
	before := j.size
	appended(t, j, []Op{put("a", "3"), {Key: "b"}}, []Op{put("d", strings.Repeat("x", 40)), put("e", "1")})
	closed(t, j)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	states := []map[string]string{
		{"a": "2", "b": "1"}, {"a": "3"}, {"a": "3", "d": strings.Repeat("x", 40), "e": "1"},
	}
	_, n, err := parseFrame(whole[before:])
	if err != nil {
		t.Fatal(err)
	}
	ends := []int64{before, before + int64(n), int64(len(whole))}
	for cut := before; cut <= int64(len(whole)); cut++ {
		for _, zeros := range []int{0, 1, 50} { // what a file system makes of blocks that were not written
			at := 0
			for at < 2 && ends[at+1] <= cut {
				at++
			}
			if zeros > 0 && cut != ends[at] {
				continue // a frame with zeros in it cannot be told from a damaged one
			}
			b := append(bytes.Clone(whole[:cut]), make([]byte, zeros)...)
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			said := "cut short"
			if cut == ends[at] && zeros == 0 {
				said = ""
			}
			j, have := opened(t, path, said)
			is(t, j, have, states[at])
			j, _ = opened(t, path, "")
			appended(t, j, []Op{put("f", "1")})
			want := maps.Clone(states[at])
			want["f"] = "1"
			is(t, j, want, want)
		}
	}
	if _, err := os.Stat(path + corrupt); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was set aside: %v", err)
	}
}

// TestDamage damages each byte of a file. What does not lie where the damage is can be
// read, the file is set aside as it was, and that is said once.
func TestDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	j, _ := opened(t, path, "")
	var starts []int64
	want := map[string]string{}
	for i := range 4 {
		key := fmt.Sprint("key", i)
		starts = append(starts, j.size)
		appended(t, j, []Op{put(key, "the value")})
		want[key] = "the value"
	}
	closed(t, j)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := range whole {
		b := bytes.Clone(whole)
		b[at] ^= 1 << (at % 8)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		rest := maps.Clone(want)
		for i, start := range starts {
			if int64(at) >= start && (i == 3 || int64(at) < starts[i+1]) {
				delete(rest, fmt.Sprint("key", i))
			}
		}
		j, have := opened(t, path, "level=ERROR")
		is(t, j, have, rest)
		if aside, err := os.ReadFile(path + corrupt); err != nil || !bytes.Equal(aside, b) {
			t.Errorf("byte %d: set aside is %q, %v", at, aside, err)
		}
	}
	for name, b := range map[string][]byte{"empty": nil, "zeros": make([]byte, 100), "not ours": []byte(`{"hello":"world"}`)} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		j, have := opened(t, path, "level=ERROR")
		is(t, j, have, nil)
		if aside, err := os.ReadFile(path + corrupt); err != nil || !bytes.Equal(aside, b) {
			t.Errorf("%s: set aside is %q, %v", name, aside, err)
		}
	}
}

func TestNewerFormat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	b := append([]byte(magic), 2, 0, 0, 0)
	b = append(appendSummed(b, 0), "what a newer version makes of it"...)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err := Open(path, slog.New(slog.DiscardHandler))
	if !errors.Is(err, registry.ErrFormat) || !strings.Contains(err.Error(), path) {
		t.Errorf("error is %v", err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, b) {
		t.Errorf("it was touched: %q, %v", after, err)
	}
}

// TestGolden pins the format: a later version must read it.
func TestGolden(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	j, _ := opened(t, path, "")
	appended(t, j, []Op{put("a", "1"), put("b", "")}, []Op{{Key: "b"}, {Key: "none"}})
	closed(t, j)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(b[:12]) != "herald-j\x01\x00\x00\x00" { // and its sum
		t.Errorf("the header is %q", b[:16])
	}
	if payload := b[16+16 : 16+16+8]; string(payload) != "\x01\x01a\x011\x01\x01b" {
		t.Errorf("the first payload begins with %q", payload)
	}
	if payload := b[16+16+9+16:]; string(payload) != "\x02\x01b\x02\x04none" {
		t.Errorf("the second payload is %q", payload)
	}
}

// faulty is a file that fails when it is told to.
type faulty struct {
	file
	fail map[string]error
	part int // how much of a write that fails is written
}

func (f *faulty) WriteAt(p []byte, at int64) (int, error) {
	if err := f.fail["write"]; err != nil {
		n, _ := f.file.WriteAt(p[:min(f.part, len(p))], at)
		return n, err
	}
	return f.file.WriteAt(p, at)
}

func (f *faulty) Sync() error {
	if err := f.fail["sync"]; err != nil {
		return err
	}
	return f.file.Sync()
}

func (f *faulty) Truncate(n int64) error {
	if err := f.fail["truncate"]; err != nil {
		return err
	}
	return f.file.Truncate(n)
}

// TestFailedWrite has a write fail in every way. Nothing of it stays, what was there
// does, and the next write is made.
func TestFailedWrite(t *testing.T) {
	full := errors.New("the disk is full")
	for _, fails := range [][]string{{"write"}, {"sync"}, {"write", "truncate"}, {"sync", "truncate"}, {"write", "sync", "truncate"}} {
		for _, part := range []int{0, 1, 20, 1000} {
			t.Run(fmt.Sprint(fails, part), func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "log")
				j, _ := opened(t, path, "")
				appended(t, j, []Op{put("a", "1")})
				f := &faulty{file: j.f, fail: map[string]error{}, part: part}
				for _, what := range fails {
					f.fail[what] = full
				}
				j.f = f
				for range 2 {
					// The second try finds what the first left.
					err := j.Append([][]Op{{put("b", strings.Repeat("x", 30)), {Key: "a"}}})
					if j.f != file(f) {
						break // the file was written anew, on a disk that is not full
					}
					if !errors.Is(err, full) || !strings.Contains(err.Error(), path) {
						t.Errorf("error is %v", err)
					}
				}
				if j.f == file(f) {
					clear(f.fail)
					appended(t, j, []Op{put("c", "1")})
					is(t, j, map[string]string{"a": "1", "c": "1"}, map[string]string{"a": "1", "c": "1"})
					return
				}
				appended(t, j, []Op{put("c", "1")})
				want := map[string]string{"b": strings.Repeat("x", 30), "c": "1"}
				is(t, j, want, want)
			})
		}
	}
}

// TestFailedRewrite has the file not be written anew where that is due: changes go on
// as long as the old one is sound, and fail while it is not.
func TestFailedRewrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	var log bytes.Buffer
	j, _, err := Open(path, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path+".tmp", 0o700); err != nil { // where it would be written
		t.Fatal(err)
	}
	j.slack = 0
	for i := range 10 {
		appended(t, j, []Op{put("a", fmt.Sprint(i))})
	}
	if n := strings.Count(log.String(), "goes on growing"); n < 1 || n > 3 {
		t.Errorf("it was said %d times: %s", n, log.String())
	}
	j.suspect = true
	if err := j.Append([][]Op{{put("a", "lost")}}); err == nil {
		t.Error("a change was made in a file that cannot be relied on")
	}
	if err := os.Remove(path + ".tmp"); err != nil {
		t.Fatal(err)
	}
	appended(t, j, []Op{put("b", "1")})
	want := map[string]string{"a": "9", "b": "1"}
	is(t, j, want, want)
}

// TestRewriteChecks has a record be damaged while the file is in use: it is not copied
// as if it were sound.
func TestRewriteChecks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	j, _ := opened(t, path, "")
	appended(t, j, []Op{put("a", "sound")})
	if _, err := j.f.WriteAt([]byte("d"), j.live["a"].at); err != nil {
		t.Fatal(err)
	}
	if err := j.rewrite(); !errors.Is(err, registry.ErrCorrupt) {
		t.Errorf("error is %v", err)
	}
	closed(t, j)
	j, have := opened(t, path, "level=ERROR")
	is(t, j, have, nil)
}

func TestAfterClose(t *testing.T) {
	j, _ := opened(t, filepath.Join(t.TempDir(), "log"), "")
	closed(t, j)
	closed(t, j)
	if err := j.Append([][]Op{{put("a", "1")}}); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("error is %v", err)
	}
}

// FuzzOpen opens a file of any bytes. Whatever it takes them for, it takes the file
// it leaves for the same, and changes it.
func FuzzOpen(f *testing.F) {
	good := appendHeader(nil)
	f.Add(good)
	good, err := appendFrame(good, []Op{put("a", "1"), put("b", "2")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	good, err = appendFrame(good, []Op{{Key: "a"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(append(bytes.Clone(good), 0, 0, 0))
	f.Add(append(bytes.Clone(good[headerBytes:]), good...))
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		j, records, err := Open(path, slog.New(slog.DiscardHandler))
		if errors.Is(err, registry.ErrFormat) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		appended(t, j, []Op{put("added", "1")})
		want := texts(records)
		want["added"] = "1"
		closed(t, j)
		j, again := opened(t, path, "")
		defer closed(t, j)
		if !reflect.DeepEqual(again, want) {
			t.Fatalf("records were %q, and are %q", want, again)
		}
	})
}

// FuzzRead reads any bytes: what is found is where it is said to be, and before the end.
func FuzzRead(f *testing.F) {
	good, err := appendFrame(appendHeader(nil), []Op{put("a", "1"), put("b", "2"), {Key: "c"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(append(bytes.Clone(good[headerBytes:]), good...))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := read(b)
		if err != nil {
			if !errors.Is(err, registry.ErrFormat) {
				t.Fatal(err)
			}
			return
		}
		for key, o := range c.records {
			if end := o.at + len(o.Value); o.Key != key || end > c.end || !bytes.Equal(b[o.at:end], o.Value) {
				t.Fatalf("record %q at %d is not there, before %d", key, o.at, c.end)
			}
		}
		if c.end < len(b) && !c.torn && len(c.damage) == 0 {
			t.Fatalf("nothing is said of what lies from %d to %d", c.end, len(b))
		}
	})
}
