package httpserver

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"herald/registry"
	"herald/registry/plugin"
	"herald/registry/storetest"
)

// With -T and -o, which name a file, and otherwise with the words of the examples. What
// follows # is the status, unless that is 200, or untilInterrupted.
var curlLine = regexp.MustCompile(`^curl (?:-X ([A-Z]+) )?(?:-d (?:'([^']*)'|(\S+)) )?(?:-T (\S+) )?(?:-o (\S+) )?['"]127\.0\.0\.1:8500(/[^'"]*)['"](?:  # (.+))?$`)

const untilInterrupted = "until interrupted"

// kept is a line that keeps the id that an answer has in a variable of the shell.
var kept = regexp.MustCompile(`^([A-Z]+)=\$\((curl .*) \| grep -o '\[0-9a-f-\]\\{36\\}'\)$`)

// The README's examples work, and leave no endpoint out.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	h := open(t, func(_ *Config, host *plugin.Host) {
		op := &fakeOperator{store: host.Store.(*storetest.Memory)}
		host.Operator, host.Cluster = op, ailing{op}
		host.Samples = func() ([]plugin.Sample, error) { return nil, nil }
		host.Logs = &fakeLogs{}
		host.Reload = func(context.Context) error { return nil }
		host.MetricsHandler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("#\n")) })
	})
	shown, files, variables := map[string]bool{}, map[string]string{}, map[string]string{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		keep := kept.FindStringSubmatch(line)
		if keep != nil {
			line = keep[2]
		}
		if !strings.HasPrefix(line, "curl ") {
			continue
		}
		m := curlLine.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("the test cannot read %q", line)
			continue
		}
		method, body := m[1], m[2]+m[3]
		switch from := m[4]; {
		case from != "":
			method, body = http.MethodPut, files[from]
		case method == "":
			method = http.MethodGet
		}
		target := os.Expand(m[6], func(name string) string { return variables[name] })
		if m[7] == untilInterrupted {
			if status := h.interrupted(method, target); status != http.StatusOK {
				t.Errorf("%s\nanswers %d", line, status)
			}
		} else {
			a := h.do(method, target, body)
			theDescription().parameters(t, method, target)
			want := http.StatusOK
			if m[7] != "" {
				want, _ = strconv.Atoi(m[7]) // 0, which nothing has, if it is no number
			}
			if keep != nil {
				variables[keep[1]] = regexp.MustCompile(`[0-9a-f-]{36}`).FindString(a.body)
			}
			if a.status != want || a.body == "false" {
				t.Errorf("%s\nanswers %d %s", line, a.status, a.body)
			}
			if to := m[5]; to != "" {
				files[to] = a.body
			}
		}
		path, _, _ := strings.Cut(m[6], "?")
		shown[method+" "+routeOf(h.door.surface, path)] = true
	}
	for _, r := range h.door.surface.routes() {
		if r.every != nil {
			if !shown[http.MethodGet+" "+r.path] && !shown[http.MethodPut+" "+r.path] {
				t.Errorf("README.md shows no %s", r.path)
			}
			continue
		}
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodPost, http.MethodDelete} {
			if r.handler(method) != nil && !shown[method+" "+r.path] {
				t.Errorf("README.md shows no %s %s", method, r.path)
			}
		}
	}
}

// interrupted sends a request that is not answered to its end, and returns its status.
func (h *harness) interrupted(method, path string) int {
	ctx, interrupt := context.WithCancel(h.t.Context())
	defer interrupt()
	req, err := http.NewRequestWithContext(ctx, method, h.base+path, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	res, err := h.http.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}

// routeOf is the longest route that a path is of.
func routeOf(s *surface, path string) string {
	best := ""
	for _, r := range s.routes() {
		if (path == r.path || strings.HasSuffix(r.path, "/") && strings.HasPrefix(path, r.path)) && len(r.path) > len(best) {
			best = r.path
		}
	}
	return best
}

var settingRow = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| `([^`]+)` \\|")

// Every setting is in the README, with its default.
func TestReadmeSettings(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	for _, m := range settingRow.FindAllStringSubmatch(string(text), -1) {
		said[m[1]] = m[2]
	}
	v := reflect.ValueOf(DefaultConfig())
	for i := range v.NumField() {
		name, want := v.Type().Field(i).Tag.Get("config"), fmt.Sprint(v.Field(i).Interface())
		have := said[name]
		if d, err := time.ParseDuration(have); err == nil && v.Field(i).Kind() == reflect.Int64 {
			have = d.String()
		}
		if have != want {
			t.Errorf("README.md says that %s is %q unless set, and it is %s", name, have, want)
		}
		delete(said, name)
	}
	for name := range said {
		t.Errorf("README.md has the setting %s, which there is not", name)
	}
}

// ailing is a cluster in which a server that was removed has died, too.
type ailing struct{ op *fakeOperator }

func (ailing) Status() registry.Status             { return fakeCluster{}.Status() }
func (ailing) WaitReady(ctx context.Context) error { return nil }
func (ailing) Term() uint64                        { return 0 }
func (ailing) Servers() []registry.Member          { return nil }
func (c ailing) Members(ctx context.Context) ([]registry.Member, error) {
	c.op.mu.Lock()
	defer c.op.mu.Unlock()
	members, err := fakeCluster{}.Members(ctx)
	for i := range members {
		if slices.Contains(c.op.calls, "remove "+members[i].ID) {
			members[i].Alive = false
		}
	}
	return members, err
}
