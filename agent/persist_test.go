package agent

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"herald/registry"
)

var update = flag.Bool("update", false, "write the golden files anew")

func keeping(dir string) Config {
	c := config()
	c.DataDir = dir
	return c
}

// everything is a definition with every field set.
func everything() registry.ServiceDefinition {
	return registry.ServiceDefinition{
		ID: "web-1", Name: "web", Tags: []string{"v1", "blue"}, Address: "10.0.0.2", Port: 8080,
		TaggedAddresses: map[string]registry.ServiceAddress{"lan": {Address: "10.0.0.2", Port: 80}},
		Meta:            map[string]string{"team": "core"}, Weights: &registry.Weights{Passing: 5, Warning: 2},
		EnableTagOverride: true, SocketPath: "/run/web",
		Checks: []registry.CheckDefinition{{
			ID: "c1", Name: "the check", Kind: "http", Interval: 10 * time.Second, Timeout: 2 * time.Second,
			Spec:   map[string]any{"url": "http://10.0.0.2/", "header": map[string]any{"X-A": []any{"1"}}, "tls_skip_verify": true},
			Status: registry.Warning, Notes: "note", SuccessBeforePassing: 2, FailuresBeforeWarning: 1, FailuresBeforeCritical: 3,
			DeregisterAfter: time.Hour, OutputMaxSize: 100,
		}, {ID: "c2", Name: "ttl", Kind: "ttl", TTL: 30 * time.Second}},
	}
}

func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	script := newScripted()
	a := newAgent(t, keeping(dir), newFake(), script.kinds())
	register(t, a, everything())
	register(t, a, registry.ServiceDefinition{Name: "gone"})
	register(t, a, registry.ServiceDefinition{Name: "WEB", ID: "WEB-1"}) // differs by case alone
	for _, d := range []registry.CheckDefinition{
		{Name: "a node check", Kind: "ttl", TTL: time.Minute},
		{Name: "of web", ServiceID: "web-1", Kind: "tcp", Interval: time.Minute, Spec: map[string]any{"address": "h:1"}},
		{Name: "removed", Kind: "ttl", TTL: time.Minute},
	} {
		if err := a.RegisterCheck(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{
		a.SetServiceMaintenance(t.Context(), "web-1", true, "moving"),
		a.SetNodeMaintenance(t.Context(), true, ""),
		a.DeregisterService(t.Context(), "gone"),
		a.DeregisterCheck(t.Context(), "removed"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	services, checks := a.Services(), a.Checks()
	a.Close()

	b := newAgent(t, keeping(dir), newFake(), script.kinds())
	defer b.Close()
	if got := b.Services(); !reflect.DeepEqual(got, services) {
		t.Errorf("services were\n%+v and are\n%+v", services, got)
	}
	if got := b.Checks(); !reflect.DeepEqual(got, checks) {
		t.Errorf("checks were\n%+v and are\n%+v", checks, got)
	}
}

// TestGolden pins the format of what is kept: an upgrade must read it, and what
// versions before the journal kept, in a file for each registration.
func TestGolden(t *testing.T) {
	dir := t.TempDir()
	a := newAgent(t, keeping(dir), newFake(), newScripted().kinds())
	register(t, a, everything())
	if err := a.SetNodeMaintenance(t.Context(), true, "disk"); err != nil {
		t.Fatal(err)
	}
	want := a.Services()
	a.Close()
	golden := filepath.Join("testdata", "v2", registrationsFile)
	got, err := os.ReadFile(filepath.Join(dir, registrationsFile))
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if kept, err := os.ReadFile(golden); err != nil || string(kept) != string(got) {
		t.Errorf("%s is\n%q, %v; written now is\n%q", golden, kept, err, got)
	}
	for _, layout := range []string{"v1", "v2"} {
		old := t.TempDir()
		if err := os.CopyFS(old, os.DirFS(filepath.Join("testdata", layout))); err != nil {
			t.Fatal(err)
		}
		for _, start := range []string{"first", "second"} {
			b := newAgent(t, keeping(old), newFake(), newScripted().kinds())
			if got := b.Services(); !reflect.DeepEqual(got, want) || b.Checks()[0].Check.Notes != "disk" {
				t.Errorf("%s, %s start: read back\n%+v, want\n%+v", layout, start, got, want)
			}
			b.Close()
		}
		if entries, err := os.ReadDir(old); err != nil || len(entries) != 2 { // the lock, and the journal
			t.Errorf("%s: the directory has %v, %v", layout, entries, err)
		}
	}
}

// TestTakeOver has an earlier version run on a directory that has a journal. What it
// wrote goes before the journal; a file of it that is damaged is set aside.
func TestTakeOver(t *testing.T) {
	dir := t.TempDir()
	kinds := newScripted().kinds()
	a := newAgent(t, keeping(dir), newFake(), kinds)
	register(t, a, registry.ServiceDefinition{Name: "web", ID: "web-1", Port: 1})
	register(t, a, registry.ServiceDefinition{Name: "other"})
	a.Close()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "v1"))); err != nil {
		t.Fatal(err)
	}
	damaged := filepath.Join(dir, serviceFiles, "damaged.json")
	if err := os.WriteFile(damaged, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, port := range []int{8080, 8081} {
		b := newAgent(t, keeping(dir), newFake(), kinds)
		if all := b.Services(); len(all) != 2 || all[1].Definition.Port != port {
			t.Errorf("services are %+v, want other and web on port %d", all, port)
		}
		if b, err := os.ReadFile(damaged + ".corrupt"); err != nil || string(b) != "{" {
			t.Errorf("set aside is %q, %v", b, err)
		}
		d := everything()
		d.Port = 8081
		register(t, b, d)
		b.Close()
	}
}

// TestDamage damages each kind of file but the journal in several ways. The damaged file is set
// aside and told, and the others load.
func TestDamage(t *testing.T) {
	damages := map[string]func([]byte) []byte{
		"empty":     func([]byte) []byte { return nil },
		"cut short": func(b []byte) []byte { return b[:len(b)/2] },
		"one bit":   func(b []byte) []byte { b[len(b)-20] ^= 1; return b },
		"zeros":     func(b []byte) []byte { return make([]byte, len(b)) },
		"not ours":  func([]byte) []byte { return []byte(`{"hello":"world"}`) },
	}
	files := map[string]string{ // to what is missing then
		ttlFile:   "state of c",
		leaseFile: "lease",
	}
	for what, damage := range damages {
		for file, missing := range files {
			t.Run(what+", "+missing, func(t *testing.T) {
				dir := t.TempDir()
				prepareDamage(t, dir)
				path := filepath.Join(dir, file)
				b, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				damaged := damage(b)
				if err := os.WriteFile(path, damaged, 0o600); err != nil {
					t.Fatal(err)
				}
				log := &journal{}
				a, err := New(keeping(dir), newFake(), nil, log.log())
				if err != nil {
					t.Fatalf("New: %v", err)
				}
				defer a.Close()
				if aside, err := os.ReadFile(path + ".corrupt"); err != nil || string(aside) != string(damaged) {
					t.Errorf("set aside is %q, %v", aside, err)
				}
				if log.count("level=ERROR", "set aside", filepath.Base(file)) != 1 {
					t.Errorf("it was not told: %q", log.lines)
				}
				have := map[string]bool{"lease": a.resume != 0}
				for _, s := range a.Services() {
					have["service "+s.Definition.ID] = true
				}
				for _, c := range a.Checks() {
					have["check "+c.Check.ID] = true
					have["state of "+c.Check.ID] = c.Check.Output == "said"
				}
				for _, thing := range []string{"service web", "service db", "check n", "check c", "state of c", "lease"} {
					if have[thing] == (thing == missing) {
						t.Errorf("%s: there is %v", thing, have[thing])
					}
				}
			})
		}
	}
}

// prepareDamage fills a data directory as a run does that did not end well.
func prepareDamage(t *testing.T, dir string) {
	t.Helper()
	a := newAgent(t, keeping(dir), newFake(), nil)
	defer a.Close()
	register(t, a, registry.ServiceDefinition{Name: "web"})
	register(t, a, offer("db", ttlDef("c", registry.Passing)))
	if err := a.RegisterCheck(t.Context(), registry.CheckDefinition{Name: "n", Kind: "ttl", TTL: time.Minute}); err != nil {
		t.Fatal(err)
	}
	if err := a.UpdateTTL(t.Context(), "c", registry.Warning, "said"); err != nil {
		t.Fatal(err)
	}
	a.saver.leaseHeld(7)
	a.saveNow()
}

// TestDamagedJournal damages a registration in the journal: the others are there.
func TestDamagedJournal(t *testing.T) {
	dir := t.TempDir()
	prepareDamage(t, dir)
	path := filepath.Join(dir, registrationsFile)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(b), `"ID":"web"`)
	if at < 0 {
		t.Fatalf("there is no web in %q", b)
	}
	b[at] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	log := &journal{}
	a, err := New(keeping(dir), newFake(), nil, log.log())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if got := local(a) + checkList(a); got != "db c(db)=warning n()=critical" {
		t.Errorf("there is %q", got)
	}
	if aside, err := os.ReadFile(path + ".corrupt"); err != nil || string(aside) != string(b) {
		t.Errorf("set aside is %q, %v", aside, err)
	}
	if log.count("level=ERROR", "set aside", registrationsFile) != 1 {
		t.Errorf("it was not told: %q", log.lines)
	}
}

// TestNewerFormatIsRefused: whichever file is of a newer version, no file is touched.
func TestNewerFormatIsRefused(t *testing.T) {
	for _, file := range []string{registrationsFile, ttlFile, leaseFile, filepath.Join(checkFiles, "c.json")} {
		dir := t.TempDir()
		prepareDamage(t, dir)
		if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "v1"))); err != nil {
			t.Fatal(err)
		}
		newer := []byte(`{"format":2}`)
		if file == registrationsFile {
			newer = []byte("herald-j\x02\x00\x00\x00")
			newer = binary.LittleEndian.AppendUint32(newer, crc32.Checksum(newer, crc32.MakeTable(crc32.Castagnoli)))
		}
		path := filepath.Join(dir, file)
		before, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, newer, 0o600); err != nil {
			t.Fatal(err)
		}
		was := filesOf(t, dir)
		_, err = New(keeping(dir), newFake(), nil, nil)
		wantErr(t, file, err, registry.ErrFormat, path, "format 2")
		if is := filesOf(t, dir); !maps.Equal(is, was) {
			t.Errorf("%s: the files were\n%q, and are\n%q", file, was, is)
		}
		// The directory was given back.
		if err := os.WriteFile(path, before, 0o600); err != nil {
			t.Fatal(err)
		}
		newAgent(t, keeping(dir), newFake(), nil).Close()
	}
}

// filesOf is what all files below a directory hold, by their paths.
func filesOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		all[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestDataDirIsLocked(t *testing.T) {
	dir := t.TempDir()
	a := newAgent(t, keeping(dir), newFake(), nil)
	_, err := New(keeping(dir), newFake(), nil, nil)
	wantErr(t, "a second agent", err, registry.ErrDataDirLocked, dir)
	a.Close()
	a.Close() // does nothing
	newAgent(t, keeping(dir), newFake(), nil).Close()
}

// TestWriteFails has a journal that cannot be written to: a registration fails and
// changes nothing.
func TestWriteFails(t *testing.T) {
	dir := t.TempDir()
	a := newAgent(t, keeping(dir), newFake(), nil)
	defer a.Close()
	register(t, a, registry.ServiceDefinition{Name: "web", Port: 1})
	if err := a.disk.registrations.Close(); err != nil {
		t.Fatal(err)
	}
	generation := a.state.generation
	if _, err := a.RegisterService(t.Context(), registry.ServiceDefinition{Name: "web", Port: 2}, false); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("error is %v, want one that names the file", err)
	}
	if a.Services()[0].Definition.Port != 1 || a.state.generation != generation {
		t.Error("the failed registration changed something")
	}
}

// TestJournalCut ends an agent while it writes what several registrations gathered:
// the journal is cut at every byte of that write. What was acknowledged before is there;
// of the others each is there whole, with its check, or not at all.
func TestJournalCut(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, registrationsFile)
	var sizes []int
	var whole []byte
	look := func() {
		var err error
		if whole, err = os.ReadFile(path); err != nil {
			t.Error(err)
		}
		sizes = append(sizes, len(whole))
	}
	synctest.Test(t, func(t *testing.T) {
		a := newAgent(t, keeping(dir), newFake(), nil)
		defer a.Close()
		register(t, a, offer("acknowledged", ttlDef("a", "")))
		look()
		var all []func() error
		for _, id := range []string{"one", "two"} {
			all = append(all, func() error {
				_, err := a.RegisterService(t.Context(), offer(id, ttlDef(id, "")), false)
				return err
			})
		}
		for _, err := range gathered(a, all) {
			if err != nil {
				t.Error(err)
			}
		}
		look()
	})
	seen := map[string]int{}
	for cut := sizes[0]; cut <= sizes[1]; cut++ {
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		a := newAgent(t, keeping(dir), newFake(), nil)
		seen[local(a)+checkList(a)]++
		a.Close()
	}
	want := map[string]bool{
		"acknowledged a(acknowledged)=critical":                                             true,
		"acknowledged one a(acknowledged)=critical one(one)=critical":                       true,
		"acknowledged one two a(acknowledged)=critical one(one)=critical two(two)=critical": true,
	}
	for state := range seen {
		if !want[state] {
			t.Errorf("there was %q", state)
		}
	}
	if len(seen) != len(want) {
		t.Errorf("there were %v", seen)
	}
}

// TestSecretsAreTheOwners checks the modes of files, which may hold tokens.
func TestSecretsAreTheOwners(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "agent")
	prepareDamage(t, dir)
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestTTLStates ends an agent without a word and starts it again later.
func TestTTLStates(t *testing.T) {
	for _, tt := range []struct {
		away   time.Duration
		status registry.HealthStatus
		output string
	}{
		{10 * time.Second, registry.Warning, "said"},
		{90 * time.Second, registry.Warning, "said"}, // it could not report while the agent was down
		{time.Hour, registry.Critical, "TTL expired: no report for 1m0s; the last one said: said"},
	} {
		t.Run(fmt.Sprint(tt.away), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				a := newAgent(t, keeping(dir), newFake(), nil)
				stop := start(t, a)
				register(t, a, offer("web", ttlDef("c", registry.Passing), ttlDef("silent", registry.Passing)))
				if err := a.UpdateTTL(t.Context(), "c", registry.Warning, "said"); err != nil {
					t.Fatal(err)
				}
				pass(time.Second)
				if b, err := os.ReadFile(filepath.Join(dir, ttlFile)); err != nil || !strings.Contains(string(b), "said") {
					t.Errorf("on disk, while it runs: %s, %v", b, err)
				}
				stop()
				pass(tt.away)

				a = newAgent(t, keeping(dir), newFake(), nil)
				start(t, a)
				pass(time.Second)
				if c := a.Checks()[0].Check; c.Status != tt.status || c.Output != tt.output {
					t.Errorf("it is %s %q, want %s %q", c.Status, c.Output, tt.status, tt.output)
				}
				pass(57 * time.Second)
				if c := a.Checks()[0].Check; c.Status != tt.status {
					t.Errorf("before a whole TTL has passed it is %s", c.Status)
				}
				pass(3 * time.Second)
				if c := a.Checks()[0].Check; c.Status != registry.Critical {
					t.Errorf("after a whole TTL without a report it is %s", c.Status)
				}
			})
		})
	}
}

// TestReportsAreWrittenSeldom reports every second for an hour.
func TestReportsAreWrittenSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		a := newAgent(t, keeping(dir), newFake(), nil)
		start(t, a)
		register(t, a, offer("web", ttlDef("c", "")))
		writes, last := 0, ""
		for range 3600 {
			if err := a.UpdateTTL(t.Context(), "c", registry.Passing, "said"); err != nil {
				t.Fatal(err)
			}
			pass(time.Second)
			if b, _ := os.ReadFile(filepath.Join(dir, ttlFile)); string(b) != last {
				writes, last = writes+1, string(b)
			}
		}
		if writes < 50 || writes > 65 {
			t.Errorf("%d writes in an hour", writes)
		}
	})
}

// TestLeaseIsTakenUpOnlyIfItFits has another node, or another TTL, find the lease.
func TestLeaseIsTakenUpOnlyIfItFits(t *testing.T) {
	dir := t.TempDir()
	prepareDamage(t, dir)
	for name, tt := range map[string]struct {
		change func(*Config)
		want   registry.LeaseID
	}{
		"the same":     {func(*Config) {}, 7},
		"another node": {func(c *Config) { c.Node.Name = "n2" }, 0},
		"another TTL":  {func(c *Config) { c.LeaseTTL = time.Minute }, 0},
	} {
		c := keeping(dir)
		tt.change(&c)
		a := newAgent(t, c, newFake(), nil)
		if a.resume != tt.want {
			t.Errorf("%s: it resumes lease %d, want %d", name, a.resume, tt.want)
		}
		a.Close()
	}
}

// TestKeptThatCannotBeUsed keeps it for a start that can.
func TestKeptThatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	cfg := keeping(dir)
	cfg.AllowExec = true
	a := newAgent(t, cfg, newFake(), newScripted().kinds())
	register(t, a, offer("web", registry.CheckDefinition{ID: "c", Kind: "exec", Interval: time.Second, Spec: map[string]any{"shell": "true"}}))
	a.Close()

	log := &journal{}
	b, err := New(keeping(dir), newFake(), newScripted().kinds(), log.log())
	if err != nil {
		t.Fatal(err)
	}
	if n := len(b.Services()); n != 0 || log.count("level=ERROR", "cannot be used", "disabled") != 1 {
		t.Errorf("%d services, log %q", n, log.lines)
	}
	b.Close()
	c := newAgent(t, cfg, newFake(), newScripted().kinds())
	defer c.Close()
	if n := len(c.Services()); n != 1 {
		t.Errorf("%d services once it is allowed again", n)
	}
}

func FuzzOpen(f *testing.F) {
	raw := []byte(`{"ID":"x"}`)
	b, err := json.Marshal(envelope{Format: 1, SHA256: "", Record: raw})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"format":2}`))
	f.Add([]byte(`{"format":1,"sha256":"4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865","record":1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var d registry.ServiceDefinition
		if err := open(b, &d); err == nil {
			var e envelope
			if json.Unmarshal(b, &e) != nil || e.Format != diskFormat {
				t.Fatalf("%q was read as %+v", b, d)
			}
		}
	})
}
