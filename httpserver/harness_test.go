package httpserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"herald/httpserver/api"
	"herald/registry"
	"herald/registry/catalog"
	"herald/registry/plugin"
	"herald/registry/storetest"
)

// harness is a door on a real listener, over a store in memory.
type harness struct {
	t     testing.TB
	door  *Door
	host  *plugin.Host
	store *storetest.Memory
	agent *fakeAgent
	base  string
	http  *http.Client
	// stop ends the door and returns what Run returned.
	stop func() error
}

// open starts a door. adjust may change its settings and its host first.
func open(t testing.TB, adjust ...func(*Config, *plugin.Host)) *harness {
	t.Helper()
	h := &harness{t: t, door: New(), agent: newFakeAgent(), http: &http.Client{Transport: &http.Transport{}}}
	h.store = storetest.NewMemory(t)
	h.host = hostOver(t, h.store, h.agent)
	cfg := h.door.Config().(*Config)
	cfg.Address = "127.0.0.1:0"
	for _, f := range adjust {
		f(cfg, h.host)
	}
	if err := h.door.Validate(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := h.door.Open(ctx, h.host); err != nil {
		cancel()
		t.Fatal(err)
	}
	h.base = "http://" + h.door.Addresses()[0].Address
	ran := make(chan error, 1)
	go func() { ran <- h.door.Run(ctx) }()
	h.stop = sync.OnceValue(func() error {
		cancel()
		return <-ran
	})
	t.Cleanup(func() {
		h.http.CloseIdleConnections()
		if err := h.stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return h
}

// hostOver is what a server's process offers its doors.
func hostOver(t testing.TB, store *storetest.Memory, agent registry.Agent) *plugin.Host {
	c := catalog.New()
	ctx, cancel := context.WithCancel(context.Background())
	followed := make(chan error, 1)
	go func() { followed <- c.Follow(ctx, store) }()
	t.Cleanup(func() {
		cancel()
		if err := <-followed; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("Follow: %v", err)
		}
	})
	return &plugin.Host{
		Node: "n1", Datacenter: "dc1", Version: "1.2.3", Server: true,
		Store: store, Cluster: store, Catalog: c, Agent: agent, DrainTimeout: 5 * time.Second,
	}
}

// answered is what came back.
type answered struct {
	status int
	header http.Header
	body   string
	err    error
}

// send sends a request and returns what came back, whatever it is.
func (h *harness) send(method, path, body string) answered {
	req, err := http.NewRequest(method, h.base+path, strings.NewReader(body))
	if err != nil {
		return answered{err: err}
	}
	return h.sendRequest(req)
}

func (h *harness) sendRequest(req *http.Request) answered {
	res, err := h.http.Do(req)
	if err != nil {
		return answered{err: err}
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	a := answered{res.StatusCode, res.Header, string(b), err}
	if err == nil && req.Header.Get("Accept-Encoding") == "" {
		theDescription().check(h.t, req.Method, req.URL.EscapedPath(), a)
	}
	return a
}

// do sends a request that has to be answered.
func (h *harness) do(method, path, body string) answered {
	h.t.Helper()
	a := h.send(method, path, body)
	if a.err != nil {
		h.t.Fatalf("%s %s: %v", method, path, a.err)
	}
	return a
}

// ok sends a request that has to succeed.
func (h *harness) ok(method, path, body string) answered {
	h.t.Helper()
	a := h.do(method, path, body)
	if a.status != http.StatusOK {
		h.t.Fatalf("%s %s: status %d: %s", method, path, a.status, a.body)
	}
	return a
}

// get reads JSON into v and returns the index of the answer.
func (h *harness) get(path string, v any) uint64 {
	h.t.Helper()
	a := h.ok(http.MethodGet, path, "")
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		h.t.Fatalf("GET %s: %v: %s", path, err, a.body)
	}
	return a.index()
}

func (a answered) index() uint64 {
	n, _ := strconv.ParseUint(a.header.Get(api.HeaderIndex), 10, 64)
	return n
}

// begin sends a request in the background. It returns once the door has counted it
// as blocked, so that what the test does next happens while it waits.
func (h *harness) begin(path string) <-chan answered {
	h.t.Helper()
	before := h.door.surface.metrics.blocked.Load()
	got := make(chan answered, 1)
	go func() { got <- h.send(http.MethodGet, path, "") }()
	until(h.t, "the query "+path+" is blocked", func() bool { return h.door.surface.metrics.blocked.Load() > before })
	return got
}

// until waits for a condition that others bring about.
func until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	timeout := time.After(10 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("waited 10 s until %s", what)
		}
	}
}

// receive takes an answer that has to come.
func receive(t testing.TB, got <-chan answered) answered {
	t.Helper()
	select {
	case a := <-got:
		if a.err != nil {
			t.Fatal(a.err)
		}
		return a
	case <-time.After(10 * time.Second):
		t.Fatal("no answer in 10 s")
		panic("unreachable")
	}
}

// fakeAgent is a local agent that advertises to nobody.
type fakeAgent struct {
	mu        sync.Mutex
	services  map[string]registry.AgentService
	checks    map[string]registry.AgentCheck
	allowExec bool
}

var _ registry.Agent = (*fakeAgent)(nil)

func newFakeAgent() *fakeAgent {
	return &fakeAgent{services: map[string]registry.AgentService{}, checks: map[string]registry.AgentCheck{}}
}

func (a *fakeAgent) Node() registry.Node {
	return registry.Node{Name: "n1", ID: "5b6a1d2e-0000-4000-8000-0000000000aa", Address: "127.0.0.1"}
}

func sorted[T any](m map[string]T) []T {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var all []T
	for _, k := range keys {
		all = append(all, m[k])
	}
	return all
}

func (a *fakeAgent) Services() []registry.AgentService {
	a.mu.Lock()
	defer a.mu.Unlock()
	return sorted(a.services)
}

func (a *fakeAgent) Checks() []registry.AgentCheck {
	a.mu.Lock()
	defer a.mu.Unlock()
	return sorted(a.checks)
}

// GrantLease grants 77, and no other is there.
func (a *fakeAgent) GrantLease(context.Context, time.Duration) (registry.LeaseID, error) {
	return 77, nil
}

func (a *fakeAgent) RegisterService(_ context.Context, d registry.ServiceDefinition, replace bool) ([]string, error) {
	if d.Lease != 0 && d.Lease != 77 {
		return nil, fmt.Errorf("lease %d: %w", d.Lease, registry.ErrLeaseNotFound)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if d.ID == "" {
		d.ID = d.Name
	}
	for _, c := range d.Checks {
		if c.Kind == "exec" && !a.allowExec {
			return nil, fmt.Errorf("service %q: %w", d.ID, registry.ErrExecDisabled)
		}
	}
	if replace {
		for id, c := range a.checks {
			if c.Check.ServiceID == d.ID {
				delete(a.checks, id)
			}
		}
	}
	a.services[d.ID] = registry.AgentService{Definition: d}
	for i, c := range d.Checks {
		if c.ID == "" {
			c.ID = "service:" + d.ID
			if len(d.Checks) > 1 {
				c.ID += fmt.Sprintf(":%d", i+1)
			}
		}
		c.ServiceID = d.ID
		a.addCheckLocked(c, d.Name)
	}
	return nil, nil
}

func (a *fakeAgent) addCheckLocked(c registry.CheckDefinition, service string) {
	status := c.Status
	if status == "" {
		status = registry.Critical
	}
	a.checks[c.ID] = registry.AgentCheck{Definition: c, Check: registry.Check{
		Node: "n1", ID: c.ID, Name: c.Name, Status: status, Notes: c.Notes, ServiceID: c.ServiceID, ServiceName: service,
		Kind: c.Kind, Interval: c.Interval, Timeout: c.Timeout,
	}}
}

func (a *fakeAgent) DeregisterService(_ context.Context, id string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.services[id]; !ok {
		return fmt.Errorf("%w: %q", registry.ErrServiceNotFound, id)
	}
	delete(a.services, id)
	for cid, c := range a.checks {
		if c.Check.ServiceID == id {
			delete(a.checks, cid)
		}
	}
	return nil
}

func (a *fakeAgent) RegisterCheck(_ context.Context, d registry.CheckDefinition) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	name := ""
	if d.ServiceID != "" {
		s, ok := a.services[d.ServiceID]
		if !ok {
			return fmt.Errorf("%w: %q", registry.ErrServiceNotFound, d.ServiceID)
		}
		name = s.Definition.Name
	}
	a.addCheckLocked(d, name)
	return nil
}

func (a *fakeAgent) DeregisterCheck(_ context.Context, id string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.checks[id]; !ok {
		return fmt.Errorf("%w: %q", registry.ErrCheckNotFound, id)
	}
	delete(a.checks, id)
	return nil
}

func (a *fakeAgent) UpdateTTL(_ context.Context, id string, s registry.HealthStatus, output string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	c, ok := a.checks[id]
	switch {
	case !ok:
		return fmt.Errorf("%w: %q", registry.ErrCheckNotFound, id)
	case c.Check.Kind != "ttl":
		return fmt.Errorf("%w: %q", registry.ErrNotTTLCheck, id)
	}
	c.Check.Status, c.Check.Output = s, output
	a.checks[id] = c
	return nil
}

func (a *fakeAgent) SetServiceMaintenance(_ context.Context, id string, on bool, reason string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, ok := a.services[id]
	if !ok {
		return fmt.Errorf("%w: %q", registry.ErrServiceNotFound, id)
	}
	cid := serviceMaintenanceIDPrefix + id
	delete(a.checks, cid)
	if on {
		a.addCheckLocked(registry.CheckDefinition{ID: cid, Name: "Service Maintenance Mode", Notes: reason, ServiceID: id, Kind: "maintenance"}, s.Definition.Name)
	}
	return nil
}

func (a *fakeAgent) SetNodeMaintenance(_ context.Context, on bool, reason string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.checks, nodeMaintenanceID)
	if on {
		a.addCheckLocked(registry.CheckDefinition{ID: nodeMaintenanceID, Name: "Node Maintenance Mode", Notes: reason, Kind: "maintenance"}, "")
	}
	return nil
}

func (a *fakeAgent) Sync() registry.AgentSync { return registry.AgentSync{InSync: true} }

// doWith sends a request with one header, which has to be answered.
func (h *harness) doWith(method, path, body, header, value string) answered {
	h.t.Helper()
	req, err := http.NewRequest(method, h.base+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set(header, value)
	a := h.sendRequest(req)
	if a.err != nil {
		h.t.Fatalf("%s %s: %v", method, path, a.err)
	}
	return a
}
