package httpserver

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"herald/registry"
	"herald/registry/catalog"
	"herald/registry/plugin"
)

// unfed opens a door whose catalog has not been fed yet; feed begins to.
func unfed(t *testing.T, adjust ...func(*Config, *plugin.Host)) (h *harness, feed func()) {
	c := catalog.New()
	h = open(t, append(adjust, func(_ *Config, host *plugin.Host) { host.Catalog = c })...)
	ctx, cancel := context.WithCancel(context.Background())
	var followed chan error
	t.Cleanup(func() {
		cancel()
		if followed == nil {
			return
		}
		if err := <-followed; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("Follow: %v", err)
		}
	})
	return h, func() {
		followed = make(chan error, 1)
		go func() { followed <- c.Follow(ctx, h.store) }()
	}
}

var catalogReads = []string{
	"/v1/catalog/services", "/v1/catalog/service/web", "/v1/catalog/nodes", "/v1/catalog/node/n", "/v1/catalog/node-services/n",
	"/v1/health/service/web", "/v1/health/node/n", "/v1/health/checks/web", "/v1/health/state/any",
	"/v1/catalog/services?consistent", "/v1/catalog/nodes?stale", "/v1/health/service/web?index=1&wait=1ms",
}

// A server that has started a moment ago must not say that there are no services.
func TestReadsWaitForTheFirstCatalog(t *testing.T) {
	h, feed := unfed(t)
	if err := catalog.Advertise(t.Context(), h.store, 0, catalog.NodeRecords{
		Node:      registry.Node{Name: "n", Address: "a"},
		Instances: []registry.Instance{{Node: "n", ID: "web", Service: "web", Weights: registry.DefaultWeights()}},
		Checks:    []registry.Check{{Node: "n", ID: "c", ServiceID: "web", ServiceName: "web", Status: registry.Passing}},
	}); err != nil {
		t.Fatal(err)
	}
	var waiting []<-chan answered
	for _, path := range catalogReads {
		got := make(chan answered, 1)
		go func() { got <- h.send("GET", path, "") }()
		waiting = append(waiting, got)
	}
	none := time.NewTimer(100 * time.Millisecond)
	<-none.C
	for i, got := range waiting {
		select {
		case a := <-got:
			t.Fatalf("%s was answered from a catalog that was never fed: %d %s", catalogReads[i], a.status, a.body)
		default:
		}
	}
	feed()
	for i, got := range waiting {
		if a := receive(t, got); a.status != 200 || !strings.Contains(a.body, `"n"`) && !strings.Contains(a.body, `"web"`) {
			t.Errorf("%s: %d %s", catalogReads[i], a.status, a.body)
		}
	}
}

// leaderless is a store that has not heard from a leader for a while.
type leaderless struct{ registry.Store }

func (s leaderless) Range(ctx context.Context, r registry.RangeRequest) (registry.RangeResult, error) {
	if r.Consistency != registry.Stale {
		return registry.RangeResult{}, registry.ErrNoLeader
	}
	res, err := s.Store.Range(ctx, r)
	res.Age = time.Minute
	return res, err
}

func TestReadsWithoutALeaderAndCatalog(t *testing.T) {
	h, _ := unfed(t, func(_ *Config, host *plugin.Host) { host.Store = leaderless{host.Store} })
	for _, path := range catalogReads {
		if strings.HasSuffix(path, "?stale") {
			continue
		}
		if a := h.do("GET", path, ""); a.status != 500 || !strings.HasPrefix(a.body, "No cluster leader") {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
}

// The wait is bounded, and its end is not an empty answer.
func TestTheCatalogIsWaitedForSoLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &surface{catalog: catalog.New()}
		start := time.Now()
		_, err := s.contains(t.Context(), 1)
		if status, _, _ := statusOf(err); status != http.StatusServiceUnavailable || time.Since(start) != catalogTimeout {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.contains(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a request that ends first: %v", err)
		}
	})
}
