package httpserver

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"

	"herald/httpserver/api"
	"herald/registry"
	"herald/registry/plugin"
)

// fakeLogs is a log with one line for whoever follows it.
type fakeLogs struct {
	mu       sync.Mutex
	followed []slog.Level
	json     bool
	stopped  int
}

func (l *fakeLogs) Follow(level slog.Level, json bool) (<-chan []byte, func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.followed, l.json = append(l.followed, level), json
	lines := make(chan []byte, 1)
	lines <- []byte("level=INFO msg=hello\n")
	return lines, sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.stopped++
	})
}

func TestMonitorStreamsTheLog(t *testing.T) {
	logs := &fakeLogs{}
	h := open(t, func(_ *Config, host *plugin.Host) { host.Logs = logs })
	ctx, interrupt := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.base+"/v1/agent/monitor?loglevel=WARN&logjson", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := h.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if line, err := bufio.NewReader(res.Body).ReadString('\n'); err != nil || line != "level=INFO msg=hello\n" {
		t.Errorf("the first line is %q, %v", line, err)
	}
	if n := h.door.surface.metrics.blocked.Load(); n != 1 {
		t.Errorf("%d queries are counted as waiting, want the stream", n)
	}
	interrupt()
	until(t, "the stream is over", func() bool {
		logs.mu.Lock()
		defer logs.mu.Unlock()
		return logs.stopped == 1
	})
	if len(logs.followed) != 1 || logs.followed[0] != slog.LevelWarn || !logs.json {
		t.Errorf("followed %v, as JSON %v", logs.followed, logs.json)
	}
	if a := h.do("GET", "/v1/agent/monitor?loglevel=loud", ""); a.status != 400 || !strings.HasPrefix(a.body, "Unknown log level: loud") {
		t.Errorf("an unknown level: %d %s", a.status, a.body)
	}
}

// A stream does not hold up the door's end.
func TestMonitorEndsWithTheDoor(t *testing.T) {
	h := open(t, func(_ *Config, host *plugin.Host) { host.Logs = &fakeLogs{} })
	res, err := h.http.Get(h.base + "/v1/agent/monitor")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body := bufio.NewReader(res.Body)
	if line, err := body.ReadString('\n'); err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	if err := h.stop(); err != nil {
		t.Error(err)
	}
	if rest, err := io.ReadAll(body); err != nil || len(rest) > 0 {
		t.Errorf("then %q, %v", rest, err)
	}
}

func TestMetricsAsJSON(t *testing.T) {
	h := open(t, func(_ *Config, host *plugin.Host) {
		host.Samples = func() ([]plugin.Sample, error) {
			return []plugin.Sample{
				{Name: "g", Value: 1.5, Labels: map[string]string{"a": "b"}},
				{Name: "nan", Value: math.NaN()},
				{Name: "c", Kind: plugin.SampleCounter, Value: 7},
				{Name: "h", Kind: plugin.SampleHistogram, Value: 3, Count: 2},
			}, nil
		}
		host.MetricsHandler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("text\n")) })
	})
	var m api.AgentMetrics
	h.get("/v1/agent/metrics", &m)
	if len(m.Gauges) != 1 || m.Gauges[0].Value != 1.5 || m.Gauges[0].Labels["a"] != "b" {
		t.Errorf("gauges %+v", m.Gauges)
	}
	if len(m.Counters) != 1 || m.Counters[0].Count != 7 || m.Counters[0].Sum != 7 {
		t.Errorf("counters %+v", m.Counters)
	}
	if len(m.Samples) != 1 || m.Samples[0].Count != 2 || m.Samples[0].Mean != 1.5 {
		t.Errorf("samples %+v", m.Samples)
	}
	if a := h.ok("GET", "/v1/agent/metrics?format=prometheus", ""); a.body != "text\n" {
		t.Errorf("as text: %q", a.body)
	}
	if a := h.do("GET", "/v1/agent/metrics?format=xml", ""); a.status != 400 {
		t.Errorf("as XML: %d %s", a.status, a.body)
	}
}

func TestReload(t *testing.T) {
	var err error
	h := open(t, func(_ *Config, host *plugin.Host) { host.Reload = func(context.Context) error { return err } })
	if a := h.ok("PUT", "/v1/agent/reload", ""); a.body != "" {
		t.Errorf("answers %q", a.body)
	}
	err = errors.Join(errors.New("nothing was reloaded: web.json"), registry.ErrInvalidDefinition)
	if a := h.do("PUT", "/v1/agent/reload", ""); a.status != 400 || !strings.Contains(a.body, "web.json") {
		t.Errorf("of a file that is wrong: %d %s", a.status, a.body)
	}
	if a := open(t).do("PUT", "/v1/agent/reload", ""); a.status != 400 {
		t.Errorf("where there is nothing to reload: %d %s", a.status, a.body)
	}
}

func TestHostSaysWhatItRunsOn(t *testing.T) {
	h := open(t)
	var host map[string]json.RawMessage
	h.get("/v1/agent/host", &host)
	for _, field := range []string{"CollectionTime", "CPU", "Host", "Memory"} {
		if len(host[field]) == 0 {
			t.Errorf("no %s in %v", field, host)
		}
	}
}
