package history

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"herald/registry"
)

func span(n int) Span {
	return Span{Client: n, Node: "n1", Via: "store", Life: 2, Call: time.Duration(n), Return: time.Duration(n + 1), Outcome: Unknown, Err: "why <not>"}
}

// everything is a history with a record of each kind, every field set.
func everything() History {
	return History{
		Plan:       Plan{Started: time.Date(2026, 11, 22, 1, 2, 3, 0, time.UTC), Seed: 1 << 63, Nodes: []string{"n1"}, Workloads: []string{"kv"}, Drift: 0.1},
		KV:         []KV{{Span: span(1), Group: "g/", Mode: Stale, If: []Cond{{"k", 3}}, Set: []Write{{Key: "k", Value: "v"}, {Key: "l", Delete: true}}, Missed: true, Got: []Cell{{"k", "w\x00\n", 4}}, Rev: 5, Age: time.Second}},
		Added:      []Added{{Span: span(2), Key: "a", Rev: 7}, {Span: span(3), Key: "b"}},
		Listed:     []Listed{{Node: "n1", Prefix: "p", Rev: 9, Cells: []Cell{{Key: "k", Rev: 2}}, Last: true, Err: "e"}},
		Polled:     []Polled{{Span: span(4), Of: ServiceHealth, Key: "k", Index: 1 << 63, Wait: 5, Got: 4, Cells: []Cell{{"k", "v", 4}}, Instances: []Seen{{"i", true}}, Cut: true, Closing: true}},
		Streamed:   []Streamed{{Client: 1, Node: "n1", At: 5, Step: Delivered, Space: registry.SpaceCatalog, Start: "a", End: "\x00", From: 3, Count: 4, Rev: 5, Changes: []Change{{"k", true, "v", 1, 2, 3, 4}}, Synced: 6, Err: "e"}},
		Leased:     []Leased{{Span: span(5), Step: Grant, Holder: Holder{Lease: -1 << 63, Session: "s"}, TTL: time.Second, Keys: []string{"k"}, Found: 1, Gone: true}},
		Locked:     []Locked{{Span: span(6), Step: Acquire, Lock: "l", Holder: Holder{Lease: 7, Session: "s"}, TTL: time.Second, Delay: 2, Missed: true, Token: 8, Count: 9}},
		Registered: []Registered{{Span: span(7), Service: "s", Instance: "i", Address: "192.0.2.1", Lease: 5, Gone: true, Sick: true}},
		Asked:      []Asked{{Span: span(8), Service: "s", Type: "A", Code: "NOERROR", Answers: []string{"192.0.2.1"}}},
		Faults:     []Fault{{Kind: "kill", Node: "n1", From: 1, Until: 2, Note: "n"}},
		Led:        []Led{{At: 1, Node: "n1", Term: 3}},
		Pulsed:     []Pulsed{{Span: span(9), Rev: 4}},
		Hashed:     []Hashed{{Node: "n1", At: 1, Applied: 2, Hash: 1<<64 - 1, Closing: true, Err: "e"}},
	}
}

// write records a history, each kind in a goroutine of its own.
func write(t *testing.T, dir string, h *History) {
	t.Helper()
	r, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	var kinds sync.WaitGroup
	v := reflect.ValueOf(*h)
	for i := range v.NumField() {
		kinds.Go(func() {
			if f := v.Field(i); f.Kind() == reflect.Slice {
				for j := range f.Len() {
					r.Append(f.Index(j).Interface().(Record))
				}
			} else {
				r.Append(f.Interface().(Record))
			}
		})
	}
	kinds.Wait()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	want := everything()
	for v, i := reflect.ValueOf(want), 0; i < v.NumField(); i++ {
		if v.Field(i).IsZero() {
			t.Fatalf("the test leaves out %s", v.Type().Field(i).Name)
		}
	}
	write(t, dir, &want)
	got, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range got.Added {
		if got.Added[i].N != i+1 {
			t.Errorf("record %d says that it is line %d", i+1, got.Added[i].N)
		}
	}
	if cited, want := Cite(got.Led[0]), `led.jsonl:1 {"at":1,"node":"n1","term":3}`; cited != want {
		t.Errorf("cited as %s, want %s", cited, want)
	}
	forgetLines(reflect.ValueOf(got).Elem())
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("got  %+v\nwant %+v", *got, want)
	}
}

// forgetLines makes what was read as it was when it was written.
func forgetLines(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if l, ok := v.Addr().Interface().(*Line); ok {
			l.N = 0
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				forgetLines(v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			forgetLines(v.Index(i))
		}
	}
}

func TestAHistoryIsNotWrittenOver(t *testing.T) {
	dir := t.TempDir()
	h := everything()
	write(t, dir, &h)
	if _, err := Create(dir); err == nil || !strings.Contains(err.Error(), "choose another directory") {
		t.Errorf("got %v", err)
	}
}

func TestIncompleteHistoriesAreRefused(t *testing.T) {
	for name, spoil := range map[string]func(dir string) error{
		"a record is cut short": func(dir string) error {
			return os.Truncate(filepath.Join(dir, "added.jsonl"), 60)
		},
		"the plan is missing": func(dir string) error { return os.Remove(filepath.Join(dir, "plan.jsonl")) },
		"two runs in one": func(dir string) error {
			b, err := os.ReadFile(filepath.Join(dir, "plan.jsonl"))
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, "plan.jsonl"), append(b, b...), 0o644)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			h := everything()
			write(t, dir, &h)
			if err := spoil(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := Read(dir); !errors.Is(err, ErrIncomplete) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestBadLinesAreNamed(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"# by hand\n\n{\"at\":1,\"node\":\"n1\",\"term\":2}\n{\"at\":\"x\"}\n", "line 4: "},
		{"{\"at\":1,\"nodes\":\"n1\"}\n", "line 1: "},
		{"{} {}\n", "line 1: more than one record"},
		{"{}\n{}", "line 2: history is not complete"},
	} {
		if _, err := readLines[Led](strings.NewReader(tc.text)); err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%q: got %v, want %s…", tc.text, err, tc.want)
		}
	}
}

func TestAnErrorStays(t *testing.T) {
	dir := t.TempDir()
	r, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "led.jsonl"), 0o755); err != nil {
		t.Fatal(err)
	}
	r.Append(Led{Node: "n1"})
	r.Append(Plan{})
	if err := r.Flush(); err == nil {
		t.Error("Flush says that all is well")
	}
	if err := r.Close(); err == nil {
		t.Error("Close says that all is well")
	}
}

func FuzzReadLines(f *testing.F) {
	f.Add("{\"client\":1,\"call\":2,\"return\":3,\"outcome\":\"ok\",\"group\":\"g\",\"set\":[{\"k\":\"a\"}]}\n")
	f.Add("# nothing\n\n")
	f.Add("{\"if\":[{}]}\n{")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := readLines[KV](strings.NewReader(text))
		if err != nil {
			return
		}
		// What can be read can be written and read again.
		for _, rec := range all {
			_, line, _ := strings.Cut(Cite(rec), " ")
			again, err := readLines[KV](strings.NewReader(line + "\n"))
			if err != nil || len(again) != 1 {
				t.Fatalf("%s: %v", line, err)
			}
		}
	})
}
