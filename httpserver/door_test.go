package httpserver

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"herald/httpserver/api"
	"herald/registry"
	"herald/registry/plugin"
)

type fakeCluster struct{}

func (fakeCluster) Status() registry.Status {
	return registry.Status{ID: "a", Leader: "a", LeaderAt: "10.0.0.1:7400", LastIndex: 9}
}

func (fakeCluster) Members(context.Context) ([]registry.Member, error) {
	return []registry.Member{
		{ID: "a", Name: "na", Address: "10.0.0.1:7400", Suffrage: registry.Voter, Leader: true, Alive: true, Term: 3, LastIndex: 9, Version: "1.2.3"},
		{ID: "b", Name: "nb", Address: "10.0.0.2:7400", Suffrage: registry.NonVoter, Alive: true, Term: 3, LastIndex: 7, Lag: 2, Version: "1.2.2"},
	}, nil
}

func (fakeCluster) WaitReady(context.Context) error { return nil }
func (fakeCluster) Term() uint64                    { return 0 }
func (fakeCluster) Servers() []registry.Member      { return nil }

// A request on its way to a door that stops is answered, and the answer says that the
// connection ends.
func TestStopTakesWhatIsOnItsWay(t *testing.T) {
	h := open(t)
	h.door.linger = 5 * time.Second
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	put := func() *http.Response {
		t.Helper()
		if _, err := io.WriteString(conn, "PUT /v1/kv/k HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nv"); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			t.Fatal(err)
		}
		return res
	}
	if res := put(); res.StatusCode != 200 || res.Close {
		t.Errorf("before: %d, close %v", res.StatusCode, res.Close)
	}
	stopped := make(chan error, 1)
	began := time.Now()
	go func() { stopped <- h.stop() }()
	<-h.door.surface.draining.Done()
	if res := put(); res.StatusCode != 200 || !res.Close {
		t.Errorf("while it stops: %d, close %v", res.StatusCode, res.Close)
	}
	if err := <-stopped; err != nil || time.Since(began) > 4*time.Second {
		t.Errorf("stopped after %v, with nobody connected any more: %v", time.Since(began), err)
	}
}

func TestStopAnswersBlockedQueries(t *testing.T) {
	h := open(t)
	h.ok("PUT", "/v1/kv/k", "v")
	h.register(`{"Node":"n","Address":"a","Service":{"Service":"web"}}`)
	var waiting []<-chan answered
	for _, path := range []string{"/v1/kv/k", "/v1/kv/?recurse", "/v1/health/service/web", "/v1/catalog/services", "/v1/catalog/services?node-meta=a:b"} {
		index := h.ok("GET", path, "").index()
		sep := "?"
		if strings.Contains(path, "?") {
			sep = "&"
		}
		waiting = append(waiting, h.begin(fmt.Sprintf("%s%sindex=%d&wait=10m", path, sep, index)))
	}
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	for i, got := range waiting {
		if a := receive(t, got); a.status != 200 || a.index() == 0 {
			t.Errorf("query %d: %d %s", i, a.status, a.body)
		}
	}
	if a := h.send("GET", "/v1/kv/k", ""); a.err == nil {
		t.Errorf("answered after the end: %d", a.status)
	}
}

func TestStopWithAContextThatHasEnded(t *testing.T) {
	d := New()
	d.cfg.Address = "127.0.0.1:0"
	h := open(t)
	if err := d.Open(context.Background(), h.host); err != nil {
		t.Fatal(err)
	}
	address := d.Addresses()[0].Address
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := d.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if c, err := net.Dial("tcp", address); err == nil {
		c.Close()
		t.Error("the listener is open after Run returned")
	}
}

func TestAddressInUse(t *testing.T) {
	h := open(t)
	d := New()
	d.cfg.Address = h.door.Addresses()[0].Address
	err := d.Open(context.Background(), h.host)
	var le *plugin.ListenError
	if !errors.As(err, &le) || le.Setting != "address" || le.Address != d.cfg.Address {
		t.Errorf("Open: %v", err)
	}
}

func TestConfigIsValidated(t *testing.T) {
	good := DefaultConfig()
	if err := good.Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	for name, spoil := range map[string]func(*Config){
		"address":             func(c *Config) { c.Address = "8500" },
		"max_value_bytes":     func(c *Config) { c.MaxValueBytes = 0 },
		"max_body_bytes":      func(c *Config) { c.MaxBodyBytes = -1 },
		"max_blocked_queries": func(c *Config) { c.MaxBlockedQueries = -1 },
		"read_header_timeout": func(c *Config) { c.ReadHeaderTimeout = 0 },
		"read_body_timeout":   func(c *Config) { c.ReadBodyTimeout = -time.Second },
		"idle_timeout":        func(c *Config) { c.IdleTimeout = 0 },
	} {
		c := DefaultConfig()
		spoil(&c)
		if err := c.Validate(); err == nil || !strings.HasPrefix(err.Error(), name+":") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRegistered(t *testing.T) {
	for _, d := range plugin.Default.Doors() {
		if d.Name == "http" {
			if _, ok := d.New().Config().(*Config); !ok {
				t.Error("Config is of another type")
			}
			return
		}
	}
	t.Error("the door is not registered")
}

// panicking is an agent with a fault.
type panicking struct{ *fakeAgent }

func (panicking) Services() []registry.AgentService { panic("a fault") }

func TestPanicIs500AndLogged(t *testing.T) {
	var log bytes.Buffer
	h := open(t, func(_ *Config, host *plugin.Host) {
		host.Agent = panicking{newFakeAgent()}
		host.Log = slog.New(slog.NewTextHandler(&log, nil))
	})
	if a := h.do("GET", "/v1/agent/services", ""); a.status != 500 || strings.Contains(a.body, "a fault") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "a fault") || !strings.Contains(log.String(), "/v1/agent/services") {
		t.Errorf("log: %s", log.String())
	}
}

func TestEveryErrorHasItsAnswer(t *testing.T) {
	for _, s := range statuses {
		if s.err == context.Canceled || s.err == context.DeadlineExceeded || s.err == registry.ErrWatchReset {
			continue
		}
		wrapped := fmt.Errorf("more: %w", s.err)
		code := api.Code(wrapped)
		text := strings.Replace(wrapped.Error(), "no leader", "No cluster leader", 1) // the one that clients match on
		if status, got, known := statusOf(wrapped); status != s.status || got != text || !known {
			t.Errorf("%v: %d %q", s.err, status, got)
		}
		if code == "" || api.FromCode(code) != s.err {
			t.Errorf("%v travels under %q and arrives as %v", s.err, code, api.FromCode(code))
		}
	}
	if status, _, known := statusOf(errors.New("who knows")); status != 500 || known {
		t.Errorf("an unknown error: %d, known %v", status, known)
	}
	if api.FromCode("no-such-code") != nil {
		t.Error("an unknown code is an error of ours")
	}
}

func TestMetricsCount(t *testing.T) {
	m := &fakeMetrics{counts: map[string]int{}}
	h := open(t, func(_ *Config, host *plugin.Host) { host.Metrics = m })
	h.ok("PUT", "/v1/kv/k", "v")
	h.do("GET", "/v1/kv/none", "")
	h.do("GET", "/nowhere", "")
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"/v1/kv/ 2xx", "/v1/kv/ 4xx", "none 4xx"} {
		if m.counts[want] != 1 {
			t.Errorf("%s is %d: %v", want, m.counts[want], m.counts)
		}
	}
}

// fakeMetrics counts; it is read once the door has stopped.
type fakeMetrics struct{ counts map[string]int }

type fakeSeries struct {
	m   *fakeMetrics
	key string
}

func (s fakeSeries) Inc()            { s.m.counts[s.key]++ }
func (s fakeSeries) Observe(float64) {}

type fakeCounter struct{ m *fakeMetrics }

func (c fakeCounter) With(values ...string) interface{ Inc() } {
	return fakeSeries{c.m, strings.Join(values, " ")}
}

type fakeHistogram struct{ m *fakeMetrics }

func (c fakeHistogram) With(...string) interface{ Observe(float64) } { return fakeSeries{c.m, ""} }

func (m *fakeMetrics) Counter(string, string, ...string) plugin.Counter     { return fakeCounter{m} }
func (m *fakeMetrics) Histogram(string, string, ...string) plugin.Histogram { return fakeHistogram{m} }
func (m *fakeMetrics) Gauge(string, string, func() float64)                 {}

func TestRoutesAreWellFormed(t *testing.T) {
	h := open(t, func(c *Config, _ *plugin.Host) { c.Pprof = true })
	seen := map[string]bool{}
	for _, r := range h.door.surface.routes() {
		if seen[r.path] {
			t.Errorf("%s is there twice", r.path)
		}
		seen[r.path] = true
		if r.get == nil && r.put == nil && r.delete == nil && r.every == nil {
			t.Errorf("%s takes no method", r.path)
		}
		own := strings.HasPrefix(r.path, "/v1/agent/") && r.path != "/v1/agent/force-leave/" && !strings.HasPrefix(r.path, "/v1/agent/connect/") // which are about others
		if own != (r.scope == local) && strings.HasPrefix(r.path, "/v1/") {
			t.Errorf("%s: an agent answers /v1/agent itself and nothing else of /v1", r.path)
		}
		for _, m := range []string{http.MethodPost, http.MethodPatch, http.MethodTrace} {
			if r.handler(m) != nil {
				continue
			}
			if a := h.do(m, r.path, ""); a.status != 405 || a.header.Get("Allow") != r.allow() {
				t.Errorf("%s %s: %d, Allow %q", m, r.path, a.status, a.header.Get("Allow"))
			}
		}
	}
}
