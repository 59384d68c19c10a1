package workload

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"herald/dnsserver"
	"herald/httpserver"
	"herald/internal/systemtest/chaos/check"
	"herald/internal/systemtest/chaos/history"
	"herald/registry"
	"herald/registry/catalog"
	"herald/registry/plugin"
	"herald/registry/storetest"
)

// uncounted is metrics that nobody reads.
type uncounted struct{}

func (uncounted) Counter(string, string, ...string) plugin.Counter     { return uncountedCounter{} }
func (uncounted) Histogram(string, string, ...string) plugin.Histogram { return uncountedHistogram{} }
func (uncounted) Gauge(string, string, func() float64)                 {}

type uncountedCounter struct{}

func (uncountedCounter) With(...string) interface{ Inc() } { return uncountedCounter{} }
func (uncountedCounter) Inc()                              {}

type uncountedHistogram struct{}

func (uncountedHistogram) With(...string) interface{ Observe(seconds float64) } {
	return uncountedHistogram{}
}
func (uncountedHistogram) Observe(float64) {}

// openDoors serves an endpoint's store over HTTP and DNS until the test ends, and completes
// the endpoint. The catalog follows the store in memory behind it.
func openDoors(t *testing.T, store *storetest.Memory, e *Endpoint) {
	t.Helper()
	c := catalog.New()
	host := &plugin.Host{
		Node: e.Name, Datacenter: "dc1", Version: "test", Server: true,
		Store: e.Store, Cluster: store, Catalog: c, DrainTimeout: time.Second,
		Log: slog.New(slog.DiscardHandler), Metrics: uncounted{},
	}
	h, d := httpserver.New(), dnsserver.New()
	h.Config().(*httpserver.Config).Address = "127.0.0.1:0"
	h.Config().(*httpserver.Config).SessionTTLMin = time.Second
	d.Config().(*dnsserver.Config).Address = "127.0.0.1:0"
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 3)
	go func() { ended <- c.Follow(ctx, store) }()
	running := 1
	for _, door := range []interface {
		Validate() error
		Open(context.Context, *plugin.Host) error
		Run(context.Context) error
	}{h, d} {
		if err := errors.Join(door.Validate(), door.Open(ctx, host)); err != nil {
			t.Fatal(err)
		}
		running++
		go func() { ended <- door.Run(ctx) }()
	}
	t.Cleanup(func() {
		cancel()
		for range running {
			if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("a door of %s: %v", e.Name, err)
			}
		}
	})
	e.HTTP, e.DNS = "http://"+h.Addresses()[0].Address, d.Addresses()[0].Address
}

// TestThroughEveryDoor runs every workload over real sockets for a moment.
func TestThroughEveryDoor(t *testing.T) {
	t.Parallel()
	store := storetest.NewMemory(t)
	all := endpoints(store, nil)
	for i := range all {
		openDoors(t, store, &all[i])
	}
	cfg := DefaultConfig()
	cfg.Pause, cfg.TTL = 10*time.Millisecond, time.Second
	report := judgeInTime(t, cfg, 4*time.Second, all)
	var b strings.Builder
	report.Print(&b)
	if !report.OK() {
		t.Fatalf("a store without faults did not pass:\n%s", b.String())
	}
	for _, c := range []string{check.KV, check.Stale, check.Acks, check.Watches, check.Polls, check.Sessions, check.DNS} {
		if !slices.ContainsFunc(report.Verdicts, func(v check.Verdict) bool { return v.Check == c && v.Checked > 5 }) {
			t.Errorf("%s checked too little:\n%s", c, b.String())
		}
	}
	// The end of the run cuts off what is under way, which are some of a rare kind by chance.
	const cut = 6
	for _, c := range report.Counts {
		if c.Failed > c.OK || c.Unknown > c.OK+cut {
			t.Errorf("%s: %d went well, %d failed, %d unknown", c.Kind, c.OK, c.Failed, c.Unknown)
		}
	}
	t.Log(b.String())
}

// TestAQueryThatSleepsThroughChangesIsCaught has the HTTP door wait for changes on watches that
// deliver nothing.
func TestAQueryThatSleepsThroughChangesIsCaught(t *testing.T) {
	t.Parallel()
	store := storetest.NewMemory(t)
	all := endpoints(store, nil)
	for i := range all {
		all[i].Store = watchFault{&planted{Store: store}, func(*planted, []registry.Commit) []registry.Commit { return nil }}
		openDoors(t, store, &all[i])
		all[i].Store = store
	}
	cfg := DefaultConfig()
	cfg.Kinds, cfg.Pause = []Kind{KV, Watches}, 5*time.Millisecond
	if r := judgeInTime(t, cfg, 2*time.Second, all); !r.Caught(check.Polls) {
		var b strings.Builder
		r.Print(&b)
		t.Errorf("it was not:\n%s", b.String())
	}
}

// judgeInTime runs workloads for a while, in real time, and has the history judged.
func judgeInTime(t *testing.T, cfg Config, length time.Duration, all []Endpoint) *check.Report {
	t.Helper()
	dir := t.TempDir()
	rec, err := history.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Start(t.Context(), cfg, all, rec)
	if err != nil {
		t.Fatal(err)
	}
	<-time.After(length)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := errors.Join(r.Finish(ctx), rec.Close()); err != nil {
		t.Fatal(err)
	}
	report, err := check.All(dir)
	if err != nil {
		t.Fatal(err)
	}
	return report
}
