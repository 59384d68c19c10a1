package client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"herald/client"
	"herald/httpserver"
	"herald/httpserver/api"
	"herald/registry"
	"herald/registry/catalog"
	"herald/registry/plugin"
	"herald/registry/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a door over a store in memory.
type server struct {
	store *storetest.Memory
	agent *agent
	url   string
	cut   atomic.Bool // for RoundTrip
}

func serve(t testing.TB) *server {
	t.Helper()
	s := &server{store: storetest.NewMemory(t), agent: newAgent()}
	c := catalog.New()
	d := httpserver.New()
	cfg := d.Config().(*httpserver.Config)
	cfg.Address, cfg.SessionTTLMin = "127.0.0.1:0", time.Second
	ctx, cancel := context.WithCancel(context.Background())
	err := d.Open(ctx, &plugin.Host{
		Node: "n1", Datacenter: "dc1", Server: true, Store: s.store, Cluster: s.store, Catalog: c, Agent: s.agent, DrainTimeout: 5 * time.Second,
	})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	s.url = "http://" + d.Addresses()[0].Address
	done := make(chan error, 2)
	go func() { done <- c.Follow(ctx, s.store) }()
	go func() { done <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("the server ended with %v", err)
			}
		}
	})
	return s
}

func connect(t testing.TB, addresses ...string) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{Addresses: addresses, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// unused is an address that nobody listens on.
func unused(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestKeys(t *testing.T) {
	c := connect(t, serve(t).url)
	ctx, kv := t.Context(), c.KV()
	var none client.ReadOptions
	_, meta, err := kv.Get(ctx, "a/1", none)
	if !errors.Is(err, registry.ErrKeyNotFound) || meta.Index == 0 {
		t.Fatalf("a missing key: %v, index %d", err, meta.Index)
	}
	for _, key := range []string{"a/1", "a/2", "a/x/deep", "b", "odd//slashes", "../dots", "q?#%", "ü\x01"} {
		if _, err := kv.Put(ctx, key, []byte("v "+key), client.PutOptions{Flags: 1<<63 + 1}); err != nil {
			t.Fatalf("put %q: %v", key, err)
		}
		got, meta, err := kv.Get(ctx, key, client.ReadOptions{Consistency: client.Consistent})
		if err != nil || string(got.Value) != "v "+key || got.Key != key || got.Flags != 1<<63+1 || got.ModRevision != int64(meta.Index) || !meta.KnownLeader {
			t.Errorf("%q: %+v %+v %v", key, got, meta, err)
		}
	}
	names, _, err := kv.Keys(ctx, "a/", "/", none)
	if want := []string{"a/1", "a/2", "a/x/"}; err != nil || !slices.Equal(names, want) {
		t.Errorf("names %q (%v), want %q", names, err, want)
	}
	list, _, err := kv.List(ctx, "a/", client.ReadOptions{Consistency: client.Stale})
	if err != nil || len(list) != 3 {
		t.Errorf("list %+v (%v)", list, err)
	}
	if err := kv.Delete(ctx, "b"); err != nil {
		t.Error(err)
	}
	if err := kv.DeletePrefix(ctx, "a/"); err != nil {
		t.Error(err)
	}
	list, meta, err = kv.List(ctx, "a/", none)
	if err != nil || len(list) != 0 || meta.Index == 0 {
		t.Errorf("an empty prefix: %v %+v %v", list, meta, err)
	}
	if _, _, err := kv.Get(ctx, "", none); !errors.Is(err, registry.ErrEmptyKey) {
		t.Errorf("an empty key: %v", err)
	}
	_, err = kv.Put(ctx, "big", make([]byte, 1<<20), client.PutOptions{})
	if !errors.Is(err, registry.ErrTooLarge) || !strings.Contains(err.Error(), "524288") {
		t.Errorf("a large value: %v", err)
	}
}

func TestCompareAndSwap(t *testing.T) {
	c := connect(t, serve(t).url)
	ctx, kv := t.Context(), c.KV()
	write := func(index uint64, want bool) {
		t.Helper()
		if res, err := kv.CompareAndSwap(ctx, "k", fmt.Append(nil, index), index, client.PutOptions{}); err != nil || res.Written != want {
			t.Errorf("at index %d: %+v %v, want %v", index, res, err, want)
		}
	}
	write(9, false)
	write(0, true)
	write(0, false)
	got, _, err := kv.Get(ctx, "k", client.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	at := uint64(got.ModRevision)
	write(at, true)
	write(at, false)
	if gone, err := kv.CompareAndDelete(ctx, "k", at); err != nil || gone {
		t.Errorf("deleted at an old index: %v %v", gone, err)
	}
	if gone, err := kv.CompareAndDelete(ctx, "k", at+1); err != nil || !gone {
		t.Errorf("not deleted: %v %v", gone, err)
	}
}

func TestLeases(t *testing.T) {
	c := connect(t, serve(t).url)
	ctx := t.Context()
	l, err := c.GrantLease(ctx, time.Hour)
	if err != nil || l.ID == 0 || l.TTL != time.Hour {
		t.Fatalf("granted %+v: %v", l, err)
	}
	if _, err := c.KV().Put(ctx, "k", nil, client.PutOptions{Lease: l.ID}); err != nil {
		t.Fatal(err)
	}
	res, err := c.KV().Put(ctx, "t", nil, client.PutOptions{TTL: time.Minute})
	if err != nil || res.Lease == 0 {
		t.Fatalf("put with ttl: %+v %v", res, err)
	}
	if _, err := c.KeepAlive(ctx, l.ID); err != nil {
		t.Fatal(err)
	}
	got, err := c.Lease(ctx, l.ID)
	if want := []registry.LeasedKey{{Space: registry.SpaceKV, Key: "k"}}; err != nil || !reflect.DeepEqual(got.Keys, want) {
		t.Errorf("lease %+v: %v", got, err)
	}
	ids, err := c.Leases(ctx)
	if err != nil || len(ids) != 2 || !slices.Contains(ids, l.ID) || !slices.Contains(ids, res.Lease) {
		t.Errorf("leases %v: %v", ids, err)
	}
	if err := c.RevokeLease(ctx, l.ID); err != nil {
		t.Fatal(err)
	}
	_, keepErr := c.KeepAlive(ctx, l.ID)
	_, describeErr := c.Lease(ctx, l.ID)
	for _, err := range []error{c.RevokeLease(ctx, l.ID), keepErr, describeErr} {
		if !errors.Is(err, registry.ErrLeaseNotFound) {
			t.Errorf("after its end: %v", err)
		}
	}
	if _, err := c.GrantLease(ctx, -time.Second); !errors.Is(err, registry.ErrInvalidTTL) {
		t.Errorf("a bad ttl: %v", err)
	}
}

func TestAdvertiseAndFind(t *testing.T) {
	c := connect(t, serve(t).url)
	ctx := t.Context()
	l, err := c.GrantLease(ctx, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	want := catalog.NodeRecords{
		Node:      registry.Node{Name: "web-1", Address: "10.0.0.7", Meta: map[string]string{"zone": "a"}},
		Instances: []registry.Instance{{Node: "web-1", ID: "w", Service: "web", Port: 80, Tags: []string{"v1"}, Weights: registry.DefaultWeights()}},
		Checks:    []registry.Check{{Node: "web-1", ID: "c", ServiceID: "w", ServiceName: "web", Status: registry.Passing, Interval: time.Second}},
	}
	if err := c.Advertise(ctx, l.ID, want); err != nil {
		t.Fatal(err)
	}
	changes := catalog.NodeChanges{Node: want.Node}
	for _, id := range []string{"x", "y"} {
		changes.Instances = append(changes.Instances, registry.Instance{ID: id, Service: "other", Weights: registry.DefaultWeights()})
		changes.Checks = append(changes.Checks, registry.Check{ID: "c" + id, ServiceID: id, Status: registry.Passing})
	}
	if err := c.AdvertiseChanges(ctx, l.ID, changes); err != nil {
		t.Fatal(err)
	}
	if found, _, err := c.Instances(ctx, "other", client.InstanceOptions{Passing: true}); err != nil || len(found) != 2 || len(found[0].Checks) != 1 {
		t.Errorf("after changes: %+v, %v", found, err)
	}
	gone := catalog.NodeChanges{Node: want.Node, GoneInstances: []string{"x", "y"}, GoneChecks: []catalog.CheckRef{{ServiceID: "x", ID: "cx"}, {ServiceID: "y", ID: "cy"}}}
	if err := c.AdvertiseChanges(ctx, l.ID, gone); err != nil {
		t.Fatal(err)
	}
	gone.Node.Address = "10.0.0.8"
	if err := c.AdvertiseChanges(ctx, l.ID, gone); !errors.Is(err, registry.ErrNotAdvertised) {
		t.Errorf("changes of a node that is not the advertised one: %v", err)
	}
	o := client.InstanceOptions{Passing: true, Tags: []string{"V1"}, NodeMeta: map[string]string{"zone": "a"}}
	found, meta, err := c.Instances(ctx, "web", o)
	if err != nil || len(found) != 1 || found[0].Service.Port != 80 || found[0].Node.Address != "10.0.0.7" || found[0].Checks[0].Interval != "1s" {
		t.Fatalf("found %+v: %v", found, err)
	}
	services, _, err := c.Services(ctx, client.ReadOptions{})
	if err != nil || !reflect.DeepEqual(services, map[string][]string{"web": {"v1"}}) {
		t.Errorf("services %v: %v", services, err)
	}
	nodes, _, err := c.Nodes(ctx, client.ReadOptions{})
	if err != nil || len(nodes) != 1 || nodes[0].Node != "web-1" {
		t.Errorf("nodes %v: %v", nodes, err)
	}
	// A blocking read sees the lease's end.
	go func() { _ = c.RevokeLease(ctx, l.ID) }()
	o.Index, o.Wait = meta.Index, time.Minute
	for len(found) > 0 {
		if found, meta, err = c.Instances(ctx, "web", o); err != nil {
			t.Fatal(err)
		}
		o.Index = meta.Index
	}
	if err := c.Advertise(ctx, l.ID, want); !errors.Is(err, registry.ErrLeaseNotFound) {
		t.Errorf("advertised on a lease that has ended: %v", err)
	}
	if err := c.Register(ctx, api.CatalogRegistration{Node: "db", Address: "10.0.0.8", Service: &api.ServiceRegistration{Service: "db"}}, 0); err != nil {
		t.Fatal(err)
	}
	if found, _, err := c.Instances(ctx, "db", client.InstanceOptions{}); err != nil || len(found) != 1 {
		t.Errorf("registered: %v %v", found, err)
	}
	if err := c.Deregister(ctx, api.CatalogDeregistration{Node: "db"}); err != nil {
		t.Fatal(err)
	}
	if found, _, err := c.Instances(ctx, "db", client.InstanceOptions{}); err != nil || len(found) != 0 {
		t.Errorf("deregistered: %v %v", found, err)
	}
}

func TestAgent(t *testing.T) {
	s := serve(t)
	c := connect(t, s.url, unused(t))
	ctx, a := t.Context(), c.Agent()
	warnings, err := a.RegisterService(ctx, []byte(`{"Name":"web","Tags":["not.a.label"]}`), client.RegisterOptions{})
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "not.a.label") {
		t.Errorf("warnings %q: %v", warnings, err)
	}
	_, err = a.RegisterService(ctx, []byte(`{"Name":"web","Bogus":1}`), client.RegisterOptions{})
	var ce *client.Error
	if !errors.Is(err, registry.ErrInvalidDefinition) || !errors.As(err, &ce) || ce.Status != 400 || !strings.Contains(ce.Text, "Bogus") {
		t.Errorf("a bad definition: %v", err)
	}
	if services, err := a.Services(ctx); err != nil || services["web"].Service != "web" {
		t.Errorf("services %v: %v", services, err)
	}
	for _, hung := range []struct {
		by   client.RegisterOptions
		from registry.LeaseID
	}{{client.RegisterOptions{}, 0}, {client.RegisterOptions{Lease: 7, ReplaceChecks: true}, 7}, {client.RegisterOptions{TTL: time.Minute}, grantedLease}} {
		if _, err := a.RegisterService(ctx, []byte(`{"Name":"web"}`), hung.by); err != nil || s.agent.Services()[0].Definition.Lease != hung.from {
			t.Errorf("%+v: hangs from lease %d: %v", hung.by, s.agent.Services()[0].Definition.Lease, err)
		}
	}
	for _, o := range []client.RegisterOptions{{Lease: 7, TTL: time.Minute}, {TTL: -time.Second}} {
		if _, err := a.RegisterService(ctx, []byte(`{"Name":"web"}`), o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
	if self, err := a.Self(ctx); err != nil || self.Config.NodeName != "n1" {
		t.Errorf("self %+v: %v", self, err)
	}
	if err := a.DeregisterService(ctx, "none"); !errors.Is(err, registry.ErrServiceNotFound) {
		t.Errorf("an unknown service: %v", err)
	}
	if err := a.UpdateTTL(ctx, "none", registry.Passing, ""); !errors.Is(err, registry.ErrCheckNotFound) {
		t.Errorf("an unknown check: %v", err)
	}
	if err := a.SetServiceMaintenance(ctx, "none", true, ""); !errors.Is(err, registry.ErrServiceNotFound) {
		t.Errorf("maintenance of an unknown service: %v", err)
	}
	if err := a.DeregisterService(ctx, "web"); err != nil {
		t.Error(err)
	}
	// Only the first address has this agent.
	if _, err := connect(t, unused(t), s.url).Agent().Services(ctx); err == nil {
		t.Error("another process's agent answered")
	}
}

func TestMembers(t *testing.T) {
	c := connect(t, serve(t).url)
	m, err := c.Members(t.Context())
	if err != nil || len(m.Members) != 1 || !m.Members[0].Leader || m.Status.Leader != m.Members[0].ID {
		t.Errorf("members %+v: %v", m, err)
	}
}

func TestWatch(t *testing.T) {
	s := serve(t)
	c := connect(t, s.url)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	kv := c.KV()
	var seen []string
	n := 0
	for snapshot, err := range kv.Watch(ctx, "w/", client.ReadOptions{Wait: 50 * time.Millisecond}) {
		if err != nil {
			t.Fatal(err)
		}
		var keys []string
		for _, kv := range snapshot.KVs {
			keys = append(keys, kv.Key)
		}
		seen = append(seen, strings.Join(keys, " "))
		if n++; n == 4 {
			break
		}
		switch n {
		case 1:
			_, err = kv.Put(ctx, "w/a", []byte("1"), client.PutOptions{})
		case 2:
			_, err = kv.Put(ctx, "w/b", []byte("1"), client.PutOptions{})
		case 3:
			err = kv.Delete(ctx, "w/a")
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"", "w/a", "w/a w/b", "w/b"}; !slices.Equal(seen, want) {
		t.Errorf("saw %q, want %q", seen, want)
	}
}

func TestWatchWaitsOutAnOutage(t *testing.T) {
	s := serve(t)
	c := connect(t, s.url)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	s.store.SetOutage(registry.ErrNoLeader)
	go s.store.SetOutage(nil)
	for snapshot, err := range c.KV().WatchKey(ctx, "k", client.ReadOptions{Consistency: client.Consistent}) {
		if err != nil || len(snapshot.KVs) != 0 {
			t.Errorf("%+v %v", snapshot, err)
		}
		break
	}
	cancel()
	for range c.KV().WatchKey(ctx, "k", client.ReadOptions{}) {
		t.Error("yielded after its context's end")
	}
}

func TestFailover(t *testing.T) {
	good := serve(t)
	ctx := t.Context()

	t.Run("nobody listens", func(t *testing.T) {
		c := connect(t, unused(t), good.url)
		if _, err := c.GrantLease(ctx, time.Minute); err != nil {
			t.Error(err)
		}
	})
	t.Run("no leader there", func(t *testing.T) {
		bad := serve(t)
		bad.store.SetOutage(registry.ErrNoLeader)
		c := connect(t, bad.url, good.url)
		if res, err := c.KV().CompareAndSwap(ctx, "no-leader", nil, 0, client.PutOptions{}); err != nil || !res.Written {
			t.Error(res, err)
		}
	})
	t.Run("nowhere", func(t *testing.T) {
		one, two := unused(t), unused(t)
		_, err := connect(t, one, two).Leader(ctx)
		if err == nil || !strings.Contains(err.Error(), one) || !strings.Contains(err.Error(), two) {
			t.Error(err)
		}
	})
	t.Run("cut off", func(t *testing.T) {
		var calls atomic.Int64
		cut := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			calls.Add(1)
			panic(http.ErrAbortHandler)
		}))
		defer cut.Close()
		c := connect(t, cut.URL, good.url)
		// It may have been carried out: not repeated, and said so.
		if _, err := c.KV().CompareAndSwap(ctx, "cut", nil, 0, client.PutOptions{}); !errors.Is(err, registry.ErrTimeout) || calls.Load() != 1 {
			t.Errorf("%v after %d calls", err, calls.Load())
		}
		// To do this twice comes to the same.
		if _, err := c.KV().Put(ctx, "cut", nil, client.PutOptions{}); err != nil {
			t.Error(err)
		}
	})
	t.Run("no answer in time", func(t *testing.T) {
		release := make(chan struct{})
		slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
		defer slow.Close()
		defer close(release)
		c, err := client.New(client.Config{Addresses: []string{slow.URL}, Timeout: 30 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.KV().Put(ctx, "slow", nil, client.PutOptions{}); !errors.Is(err, registry.ErrTimeout) {
			t.Error(err)
		}
	})
	t.Run("frozen", func(t *testing.T) {
		// Its kernel takes connections and requests, and nobody reads them.
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		for name, call := range map[string]func(context.Context, *client.Client) error{
			"what is not repeated": func(ctx context.Context, c *client.Client) error {
				_, err := c.GrantLease(ctx, time.Minute)
				return err
			},
			"what has a deadline of its own": func(ctx context.Context, c *client.Client) error {
				ctx, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
				defer cancel()
				_, err := c.Leader(ctx)
				return err
			},
		} {
			c, err := client.New(client.Config{Addresses: []string{l.Addr().String(), good.url}, Timeout: 500 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := call(ctx, c); err == nil {
				t.Errorf("%s: a frozen server answered", name)
			}
			if err := call(ctx, c); err != nil {
				t.Errorf("%s: the frozen server was tried first again: %v", name, err)
			}
		}
	})
	t.Run("another program", func(t *testing.T) {
		other := httptest.NewServer(http.NotFoundHandler())
		defer other.Close()
		if _, _, err := connect(t, other.URL).KV().Get(ctx, "k", client.ReadOptions{}); err == nil || errors.Is(err, registry.ErrKeyNotFound) {
			t.Errorf("a 404 of something else was taken for a missing key: %v", err)
		}
	})
}

func TestConfigIsChecked(t *testing.T) {
	for _, addresses := range [][]string{nil, {""}, {"ftp://x"}, {"http://"}, {"a b"}} {
		if _, err := client.New(client.Config{Addresses: addresses}); err == nil {
			t.Errorf("%q was accepted", addresses)
		}
	}
	c := connect(t, "10.0.0.1:8500", "https://herald.example/base/")
	if want := []string{"http://10.0.0.1:8500", "https://herald.example/base"}; !slices.Equal(c.Addresses(), want) {
		t.Errorf("addresses %q, want %q", c.Addresses(), want)
	}
}

func TestTokenIsSent(t *testing.T) {
	got := make(chan string, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got <- r.Header.Get(api.HeaderToken)
		_, _ = w.Write([]byte(`""`))
	}))
	defer s.Close()
	c, err := client.New(client.Config{Addresses: []string{s.URL}, Token: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Leader(t.Context()); err != nil {
		t.Fatal(err)
	}
	if token := <-got; token != "secret" {
		t.Errorf("token %q", token)
	}
}
