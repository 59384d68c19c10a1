package httpserver

import (
	"fmt"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"herald/registry/plugin"
)

var curlLine = regexp.MustCompile(`^curl (?:-X ([A-Z]+) )?(?:-d (?:'([^']*)'|(\S+)) )?'127\.0\.0\.1:8500(/[^']*)'$`)

// The README's examples work, and leave no endpoint out.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	h := open(t, func(_ *Config, host *plugin.Host) {
		host.MetricsHandler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("#\n")) })
	})
	shown := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "curl ") {
			continue
		}
		m := curlLine.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("the test cannot read %q", line)
			continue
		}
		method := m[1]
		if method == "" {
			method = http.MethodGet
		}
		if a := h.do(method, m[4], m[2]+m[3]); a.status != http.StatusOK || a.body == "false" {
			t.Errorf("%s\nanswers %d %s", line, a.status, a.body)
		}
		path, _, _ := strings.Cut(m[4], "?")
		shown[method+" "+routeOf(h.door.surface, path)] = true
	}
	for _, r := range h.door.surface.routes() {
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
			if r.handler(method) != nil && !shown[method+" "+r.path] {
				t.Errorf("README.md shows no %s %s", method, r.path)
			}
		}
	}
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
