package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"herald/registry"
)

// files writes files, by name, into a new directory.
func files(t *testing.T, contents map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	rewrite(t, dir, contents)
	return dir
}

// rewrite makes a directory hold these files and no others.
func rewrite(t *testing.T, dir string, contents map[string]string) {
	t.Helper()
	old, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range old {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range contents {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

const webJSON = `{
  "name": "web", "id": "web-1", "address": "127.0.0.1", "port": 8080, "tags": ["v1"],
  "check": {"http": "http://127.0.0.1:8080/health", "interval": "10s", "timeout": "1s"}
}`

func TestConfigDir(t *testing.T) {
	tests := []struct {
		name     string
		files    map[string]string
		services string // ids
		checks   string // as checkList has them
		want     error
		says     []string
	}{
		{name: "empty"},
		{name: "a bare service", files: map[string]string{"web.json": webJSON},
			services: "web-1", checks: "service:web-1(web-1)=critical"},
		{name: "several forms in several files", files: map[string]string{
			"a.json": `{"service": {"name": "a", "checks": [{"ttl": "10s", "status": "passing"}, {"tcp": "127.0.0.1:1", "interval": "1s"}]}}`,
			"b.json": `{"services": [{"name": "b"}, {"name": "b", "id": "b2"}], "check": {"name": "disk", "ttl": "1m"}}`,
			"c.json": `{"checks": [{"id": "later", "name": "of d", "service_id": "d", "ttl": "1m"}]}`,
			"d.json": `{"service": {"name": "d"}}`,
		}, services: "a b b2 d", checks: "disk()=critical later(d)=critical service:a:1(a)=passing service:a:2(a)=critical"},
		{name: "files may run commands", files: map[string]string{
			"a.json": `{"service": {"name": "a", "check": {"args": ["true"], "interval": "1s"}}}`,
		}, services: "a", checks: "service:a(a)=critical"},
		{name: "other files are left alone", files: map[string]string{"web.json": webJSON, "README": "x", "old.json.bak": "{", "x.yaml": "a: b"},
			services: "web-1", checks: "service:web-1(web-1)=critical"},
		{name: "one id in two files", files: map[string]string{"web.json": webJSON, "web2.json": webJSON},
			want: registry.ErrDuplicateService, says: []string{"web.json", "web2.json", `"web-1"`}},
		{name: "one id twice in a file", files: map[string]string{"web.json": `{"services": [{"name": "a"}, {"name": "a"}]}`},
			want: registry.ErrDuplicateService, says: []string{"web.json", `"a"`}},
		{name: "one check id in two files", files: map[string]string{
			"a.json": `{"service": {"name": "a", "check": {"id": "c", "ttl": "1s"}}}`,
			"b.json": `{"check": {"id": "c", "name": "c", "ttl": "1s"}}`,
		}, want: registry.ErrInvalidDefinition, says: []string{"a.json", "b.json", `"c"`}},
		{name: "malformed", files: map[string]string{"web.json": "{\n  \"name\": \"web\",\n  oops\n}"},
			want: registry.ErrInvalidDefinition, says: []string{"web.json:3:"}},
		{name: "unknown field", files: map[string]string{"web.json": "{\"name\": \"web\",\n\"prot\": 80}"},
			want: registry.ErrInvalidDefinition, says: []string{"web.json:2:", `"prot"`}},
		{name: "all problems at once", files: map[string]string{"a.json": `{"name": "a", "port": -1}`, "b.json": "{", "c.hcl": ""},
			want: registry.ErrInvalidDefinition, says: []string{"a.json", "b.json", "c.hcl", "HCL"}},
		{name: "unknown kind", files: map[string]string{"a.json": `{"name": "a", "check": {"kind": "magic", "interval": "1s"}}`},
			want: registry.ErrInvalidDefinition, says: []string{"a.json", `"magic"`}},
		{name: "a check of no file's service", files: map[string]string{"a.json": `{"check": {"name": "c", "service_id": "nowhere", "ttl": "1s"}}`},
			want: registry.ErrServiceNotFound, says: []string{"a.json", `"nowhere"`, "no configuration file"}},
		{name: "the agent's own id", files: map[string]string{"a.json": `{"name": "herald"}`},
			want: registry.ErrDuplicateService, says: []string{`"herald"`, "the agent itself"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := config()
			cfg.ConfigDirs = []string{files(t, tt.files)}
			if tt.name == "the agent's own id" {
				cfg.Services = []registry.ServiceDefinition{{Name: "herald"}}
			}
			a, err := New(cfg, newFake(), newScripted().kinds(), nil)
			if tt.want != nil {
				wantErr(t, tt.name, err, tt.want, tt.says...)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, s := range a.Services() {
				ids = append(ids, s.Definition.ID)
				if !s.FromFile {
					t.Errorf("service %s is not from a file", s.Definition.ID)
				}
			}
			if got := strings.Join(ids, " "); got != tt.services {
				t.Errorf("services are %q, want %q", got, tt.services)
			}
			if got := checkList(a); got != tt.checks {
				t.Errorf("checks are %q, want %q", got, tt.checks)
			}
		})
	}
}

func TestMissingDir(t *testing.T) {
	cfg := config()
	cfg.ConfigDirs = []string{filepath.Join(t.TempDir(), "nowhere")}
	_, err := New(cfg, newFake(), nil, nil)
	wantErr(t, "a directory that is not there", err, os.ErrNotExist, "nowhere")
}

// TestReload changes files under a running agent. What did not change runs on.
func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		service := func(name, checks string) string {
			return `{"service": {"name": "` + name + `", "checks": [` + checks + `]}}`
		}
		scripted := func(id string) string {
			return `{"id": "` + id + `", "kind": "scripted", "spec": {"say": "x"}, "interval": "1s"}`
		}
		dir := files(t, map[string]string{
			"a.json": service("a", scripted("a1")),
			"b.json": service("b", scripted("b1")+","+scripted("b2")),
		})
		cfg := config()
		cfg.ConfigDirs = []string{dir}
		up, script := newFake(), newScripted()
		script.say("x", registry.Passing, "")
		a := newAgent(t, cfg, up, script.kinds())
		start(t, a)
		register(t, a, offer("api", scriptedDef("api1", "x")))
		pass(2 * time.Second)
		all := "check a1 passing, check api1 passing, check b1 passing, check b2 passing, service a, service api, service b"
		if got := up.has(); got != all {
			t.Fatalf("catalog has %q", got)
		}

		for name, broken := range map[string]map[string]string{
			"malformed":          {"a.json": service("a", ""), "b.json": "{"},
			"duplicate":          {"a.json": service("a", ""), "b.json": service("a", "")},
			"check of the API's": {"a.json": service("a", `{"id": "api1", "ttl": "1s"}`)},
		} {
			rewrite(t, dir, broken)
			err := a.Reload(t.Context())
			if err == nil || !strings.Contains(err.Error(), "nothing was reloaded") {
				t.Errorf("%s: error is %v", name, err)
			}
			pass(2 * time.Second)
			if got := up.has(); got != all {
				t.Errorf("%s: the bad reload left %q", name, got)
			}
		}

		// b loses a check to c, a stays, d is new.
		runs := len(script.ran("x"))
		rewrite(t, dir, map[string]string{
			"a.json": service("a", scripted("a1")),
			"b.json": service("b", scripted("b1")),
			"0.json": service("c", scripted("b2")), // read before the file that gives b2 up
		})
		up.take()
		if err := a.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := up.has(); got != "check a1 passing, check api1 passing, check b1 passing, check b2 critical, service a, service api, service b, service c" {
			t.Errorf("catalog has %q", got)
		}
		if n := len(up.take("advertise")); n != 1 {
			t.Errorf("%d attempts for one reload", n)
		}
		pass(10 * time.Second)
		if n := len(script.ran("x")) - runs; n < 39 || n > 42 {
			t.Errorf("%d runs of 4 checks in 10 s", n)
		}
		// A reload of the same is nothing at all.
		generation := a.state.generation
		if err := a.Reload(t.Context()); err != nil || a.state.generation != generation {
			t.Errorf("an unchanged reload: %v, changed %v", err, a.state.generation != generation)
		}
		rewrite(t, dir, nil)
		if err := a.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		if got := up.has(); got != "check api1 passing, service api" {
			t.Errorf("without files the catalog has %q", got)
		}
	})
}

// TestFileAndAPI is who wins when: between readings the API may, at a reading the
// file does and what the API had is forgotten.
func TestFileAndAPI(t *testing.T) {
	dir := files(t, map[string]string{"web.json": `{"name": "web", "port": 1}`})
	cfg := keeping(t.TempDir())
	port := func(a *Agent) (int, bool) {
		s := a.Services()
		if len(s) != 1 {
			t.Fatalf("services are %+v", s)
		}
		return s[0].Definition.Port, s[0].FromFile
	}
	is := func(what string, a *Agent, want int, file bool) {
		t.Helper()
		if p, f := port(a); p != want || f != file {
			t.Errorf("%s: port %d, from a file %v; want %d, %v", what, p, f, want, file)
		}
	}
	a := newAgent(t, cfg, newFake(), nil)
	register(t, a, registry.ServiceDefinition{Name: "web", Port: 2})
	a.Close()

	cfg.ConfigDirs = []string{dir}
	a = newAgent(t, cfg, newFake(), nil)
	is("at the start", a, 1, true)
	register(t, a, registry.ServiceDefinition{Name: "web", Port: 1})
	is("the API registers what the file has", a, 1, true)
	register(t, a, registry.ServiceDefinition{Name: "web", Port: 3})
	is("the API replaces it", a, 3, false)
	if err := a.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	is("reloaded", a, 1, true)
	if err := a.DeregisterService(t.Context(), "web"); err != nil || len(a.Services()) != 0 {
		t.Errorf("deregistered: %v, %+v", err, a.Services())
	}
	if err := a.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	is("reloaded after it was deregistered", a, 1, true)
	a.Close()

	cfg.ConfigDirs = nil
	a = newAgent(t, cfg, newFake(), nil)
	defer a.Close()
	if s := a.Services(); len(s) != 0 {
		t.Errorf("without the file the API's is back: %+v", s)
	}
}
