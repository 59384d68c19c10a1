package node_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"herald/agent"
	"herald/internal/node"
	"herald/raftstore"
	"herald/registry"
	"herald/registry/plugin"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// door is a door that notes what is done to it.
type door struct {
	name    string
	log     *journal
	openErr error
	runErr  chan error // what Run returns before its context ends
	host    *plugin.Host
	onStop  func(h *plugin.Host)
}

type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) note(s string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, s)
}

func (j *journal) all() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.lines)
}

func (d *door) Config() any     { return &struct{}{} }
func (d *door) Validate() error { return nil }
func (d *door) Open(_ context.Context, h *plugin.Host) error {
	d.log.note("open " + d.name)
	d.host = h
	return d.openErr
}
func (d *door) Addresses() []plugin.Address {
	return []plugin.Address{{Network: "tcp", Address: d.name + ":1"}}
}
func (d *door) Run(ctx context.Context) error {
	d.log.note("run " + d.name)
	select {
	case err := <-d.runErr:
		return err
	case <-ctx.Done():
	}
	if d.onStop != nil {
		d.onStop(d.host)
	}
	d.log.note("stopped " + d.name)
	return nil
}

// config is a server on loopback with the given doors.
func config(t *testing.T, dir string, doors ...*door) node.Config {
	t.Helper()
	store := raftstore.DefaultConfig()
	store.DataDir, store.NodeName, store.PeerAddress, store.BootstrapExpect = dir, "n1", "127.0.0.1:0", 1
	store.Log = slog.New(slog.DiscardHandler)
	a := agent.DefaultConfig()
	a.Node = registry.Node{Name: "n1", Address: "127.0.0.1"}
	a.DataDir = filepath.Join(dir, "agent")
	cfg := node.Config{
		Datacenter: "dc1", Version: "test", Store: &store, Agent: a,
		DrainTimeout: time.Second, Log: slog.New(slog.DiscardHandler),
	}
	for _, d := range doors {
		cfg.Doors = append(cfg.Doors, node.NamedDoor{Name: d.name, Door: d})
	}
	return cfg
}

// running opens and runs a node; the returned function stops it and returns what
// Run did.
func running(t *testing.T, cfg node.Config) (*node.Node, func() error) {
	t.Helper()
	n, err := node.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	stop := sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { stop() })
	return n, stop
}

// waitReady blocks until the node says it is ready.
func waitReady(t *testing.T, n *node.Node) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for n.Ready() != nil {
		select {
		case <-deadline:
			t.Fatalf("not ready: %v", n.Ready())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// lateDoor is a door that is ready when it is told to be.
type lateDoor struct {
	door
	ready atomic.Bool
}

func (d *lateDoor) Ready() error {
	if d.ready.Load() {
		return nil
	}
	return errors.New("its paint is wet")
}

// A process is as ready as its doors.
func TestANodeIsReadyOnceItsDoorsAre(t *testing.T) {
	late := &lateDoor{door: door{name: "late", log: &journal{}}}
	cfg := config(t, t.TempDir(), &door{name: "a", log: late.log})
	cfg.Doors = append(cfg.Doors, node.NamedDoor{Name: late.name, Door: late})
	n, _ := running(t, cfg)
	const want = `the door "late": its paint is wet`
	deadline := time.After(20 * time.Second)
	for err := n.Ready(); err == nil || err.Error() != want; err = n.Ready() {
		select {
		case <-deadline:
			t.Fatalf("got %v, want %s", err, want)
		case <-time.After(5 * time.Millisecond):
		}
	}
	if err := late.host.Ready(); err == nil {
		t.Error("a door is told that the process is ready")
	}
	late.ready.Store(true)
	if err := n.Ready(); err != nil {
		t.Error(err)
	}
}

func TestANodeIsInTheCatalogWhenItIsReadyAndGoneAfterAnOrderlyStop(t *testing.T) {
	log := &journal{}
	var atStop bool
	d := &door{name: "a", log: log}
	d.onStop = func(h *plugin.Host) { atStop = h.Catalog.Index().Service("consul") != nil }
	n, stop := running(t, config(t, t.TempDir(), d))
	waitReady(t, n)

	if d.host.Store == nil || d.host.Cluster == nil || !d.host.Server || d.host.Node != "n1" {
		t.Errorf("the door's host: %+v", d.host)
	}
	x := d.host.Catalog.Index()
	if x.Node("n1") == nil || x.Service("consul") == nil {
		t.Errorf("ready, but the catalog lacks the node (%v) or the service consul", x.Node("n1"))
	}
	if err := stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	if !atStop {
		t.Error("the catalog was emptied before the doors had drained")
	}
	if got := log.all(); !slices.Equal(got, []string{"open a", "run a", "stopped a"}) {
		t.Errorf("the door saw %v", got)
	}
}

func TestWhatIsAcknowledgedSurvivesAStop(t *testing.T) {
	dir := t.TempDir()
	for round := range 2 {
		d := &door{name: "a", log: &journal{}}
		n, stop := running(t, config(t, dir, d))
		waitReady(t, n)
		if round == 0 {
			if _, err := registry.Put(t.Context(), n.Store(), registry.PutRequest{Key: "k", Value: []byte("v")}); err != nil {
				t.Fatal(err)
			}
		} else {
			r, err := n.Store().Range(t.Context(), registry.RangeRequest{KeyRange: registry.One("k")})
			if err != nil || len(r.KVs) != 1 || string(r.KVs[0].Value) != "v" {
				t.Errorf("after the restart: %+v, %v", r, err)
			}
		}
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAFailedOpenLeavesNothingTaken(t *testing.T) {
	dir, log := t.TempDir(), &journal{}
	bad := &door{name: "b", log: log, openErr: &plugin.ListenError{Setting: "address", Address: "x:1", Err: errors.New("taken")}}
	_, err := node.Open(t.Context(), config(t, dir, &door{name: "a", log: log}, bad))
	var de *node.DoorError
	var le *plugin.ListenError
	if !errors.As(err, &de) || de.Door != "b" || !errors.As(err, &le) || le.Setting != "address" {
		t.Fatalf("got %v", err)
	}
	if got := log.all(); !slices.Equal(got, []string{"open a", "open b", "run a", "stopped a"}) {
		t.Errorf("the doors saw %v: the first must be closed, the failed one not run", got)
	}
	n, stop := running(t, config(t, dir, &door{name: "a", log: log}))
	waitReady(t, n)
	if err := stop(); err != nil {
		t.Errorf("the data directory was not let go of: %v", err)
	}
}

func TestADoorThatFailsStopsTheNode(t *testing.T) {
	doorFails(t, errors.New("socket gone"), "b: socket gone")
}

func TestADoorThatJustReturnsStopsTheNode(t *testing.T) {
	doorFails(t, nil, "b: ended by itself")
	doorFails(t, fmt.Errorf("inner: %w", context.Canceled), "b: inner")
}

func doorFails(t *testing.T, failure error, want string) {
	t.Helper()
	log := &journal{}
	failing := &door{name: "b", log: log, runErr: make(chan error, 1)}
	n, err := node.Open(t.Context(), config(t, t.TempDir(), &door{name: "a", log: log}, failing))
	if err != nil {
		t.Fatal(err)
	}
	failing.runErr <- failure
	err = n.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Run returned %v, want %q", err, want)
	}
	if !slices.Contains(log.all(), "stopped a") {
		t.Errorf("the other door was not stopped: %v", log.all())
	}
}

// What is wrong in the settings or in a definition changes nothing at all; what is right in both is taken, whoever asks, one at a time.
func TestReloadTakesBothOrNothing(t *testing.T) {
	definitions := t.TempDir()
	file := filepath.Join(definitions, "web.json")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"service": {"name": "web"}}`)
	var wrong error
	var adopted, within atomic.Int32
	d := &door{name: "a", log: &journal{}}
	cfg := config(t, t.TempDir(), d)
	cfg.Agent.ConfigDirs = []string{definitions}
	cfg.Settings = func() (func() error, error) {
		if within.Add(1) != 1 {
			t.Error("two at a time")
		}
		defer within.Add(-1)
		return func() error { adopted.Add(1); return nil }, wrong
	}
	n, stop := running(t, cfg)
	waitReady(t, n)
	services := func() (names []string) {
		for _, s := range d.host.Agent.Services() {
			if s.Definition.Name != "consul" {
				names = append(names, s.Definition.Name)
			}
		}
		return names
	}
	step := func(what, fails string, adopts int32, service string) {
		t.Helper()
		err := d.host.Reload(t.Context())
		if fails == "" && err != nil || fails != "" && (err == nil || !strings.Contains(err.Error(), fails) || !strings.Contains(err.Error(), "nothing was reloaded")) {
			t.Errorf("%s: %v", what, err)
		}
		if adopted.Load() != adopts {
			t.Errorf("%s: the settings were adopted %d times, want %d", what, adopted.Load(), adopts)
		}
		if got := services(); !slices.Equal(got, []string{service}) {
			t.Errorf("%s: the agent has %v, want %s", what, got, service)
		}
	}
	step("both right", "", 1, "web")
	write(`{"service": `)
	step("a definition is wrong", "web.json", 1, "web")
	write(`{"service": {"name": "api"}}`)
	wrong = errors.New("limits.memory_bytes is negative")
	step("a setting is wrong", "limits.memory_bytes", 1, "web")
	wrong = nil
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := n.Reload(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if adopted.Load() != 9 {
		t.Errorf("adopted %d times, want 9", adopted.Load())
	}
	if got := services(); !slices.Equal(got, []string{"api"}) {
		t.Errorf("in the end the agent has %v", got)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestConfigValidate(t *testing.T) {
	for name, change := range map[string]func(*node.Config){
		"node.name":  func(c *node.Config) { c.Agent.Node.Name = "" },
		"datacenter": func(c *node.Config) { c.Datacenter = "" },
		"join":       func(c *node.Config) { c.Store = nil },
		"drain":      func(c *node.Config) { c.DrainTimeout = -1 },
	} {
		cfg := config(t, t.TempDir())
		change(&cfg)
		if _, err := node.Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestMetrics(t *testing.T) {
	d := &door{name: "a", log: &journal{}}
	n, stop := running(t, config(t, t.TempDir(), d))
	waitReady(t, n)
	c := d.host.Metrics.Counter("herald_test_total", "Help.", "kind")
	c.With("x").Inc()
	d.host.Metrics.Counter("herald_test_total", "Help.", "kind").With("x").Inc()
	d.host.Metrics.Histogram("herald_test_seconds", "Help.").With().Observe(0.01)
	w := httptest.NewRecorder()
	d.host.MetricsHandler.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{`herald_test_total{kind="x"} 2`, "herald_test_seconds_count 1", "herald_raft_is_leader 1", "herald_kv_revision", "go_goroutines"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
