package client_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"herald/client"
	"herald/httpserver/api"
	"herald/registry"
	"herald/registry/catalog"
)

// origins are where the catalog's changes came from, oldest first.
func origins(t *testing.T, s *server, n int) []registry.Origin {
	t.Helper()
	w, err := s.store.Watch(t.Context(), registry.WatchRequest{Space: registry.SpaceCatalog, KeyRange: registry.All(), StartRevision: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var all []registry.Origin
	for len(all) < n {
		commits, err := w.Next(ctx)
		if err != nil {
			t.Fatalf("after %v: %v", all, err)
		}
		for _, c := range commits {
			all = append(all, c.Origin)
		}
	}
	return all
}

func TestHistoryKeepsWhoAndWhy(t *testing.T) {
	s := serve(t)
	c := connect(t, s.url)
	as := func(r registry.Reason) context.Context {
		return registry.WithCaller(t.Context(), registry.Caller{Identity: "agent:web-1", Reason: r})
	}
	want := catalog.NodeRecords{
		Node:   registry.Node{Name: "web-1", Address: "10.0.0.7"},
		Checks: []registry.Check{{Node: "web-1", ID: "c", Status: registry.Passing}},
	}
	l, err := c.GrantLease(as(registry.ReasonAgent), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Advertise(as(registry.ReasonAgent), l.ID, want); err != nil {
		t.Fatal(err)
	}
	want.Checks[0].Status = registry.Critical
	if err := c.Advertise(as(registry.ReasonCheck), l.ID, want); err != nil {
		t.Fatal(err)
	}
	if err := c.RevokeLease(as(registry.ReasonAgent), l.ID); err != nil {
		t.Fatal(err)
	}
	if err := c.Register(t.Context(), api.CatalogRegistration{Node: "db", Address: "10.0.0.8"}, 0); err != nil {
		t.Fatal(err)
	}
	const agent = "agent:web-1@127.0.0.1"
	expect := []registry.Origin{
		{Who: agent, Why: registry.ReasonAgent}, {Who: agent, Why: registry.ReasonCheck}, {Who: agent, Why: registry.ReasonAgent},
		{Who: "http:127.0.0.1", Why: registry.ReasonClient},
	}
	for i, got := range origins(t, s, len(expect)) {
		if got.Who != expect[i].Who || got.Why != expect[i].Why {
			t.Errorf("change %d is by %q, %v; want %q, %v", i, got.Who, got.Why, expect[i].Who, expect[i].Why)
		}
	}
}

func TestAnotherDatacenter(t *testing.T) {
	s := serve(t)
	want := catalog.NodeRecords{Node: registry.Node{Name: "web-1", Address: "10.0.0.7"}}
	for dc, ok := range map[string]bool{"": true, "dc1": true, "dc2": false} {
		c, err := client.New(client.Config{Addresses: []string{s.url}, Datacenter: dc})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		err = c.Advertise(t.Context(), 0, want)
		switch {
		case ok && err != nil:
			t.Errorf("datacenter %q: %v", dc, err)
		case !ok && (!errors.Is(err, registry.ErrInvalid) || !strings.Contains(err.Error(), `"dc1"`) || !strings.Contains(err.Error(), `"dc2"`)):
			t.Errorf("datacenter %q: %v", dc, err)
		}
	}
}

func TestNodeTaken(t *testing.T) {
	taken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(api.HeaderError, api.Code(registry.ErrNodeTaken))
		w.WriteHeader(http.StatusConflict)
	}))
	defer taken.Close()
	err := connect(t, taken.URL).Advertise(t.Context(), 0, catalog.NodeRecords{Node: registry.Node{Name: "web-1"}})
	var refused *client.Error
	if !errors.Is(err, registry.ErrNodeTaken) || !errors.As(err, &refused) || refused.Code != "node-taken" {
		t.Errorf("%v", err)
	}
}

// A server of an earlier version knows no changes: all is to be advertised.
func TestChangesUnknown(t *testing.T) {
	earlier := httptest.NewServer(http.NotFoundHandler())
	defer earlier.Close()
	changes := catalog.NodeChanges{Node: registry.Node{Name: "web-1"}}
	if err := connect(t, earlier.URL).AdvertiseChanges(t.Context(), 1, changes); !errors.Is(err, registry.ErrNotAdvertised) {
		t.Errorf("%v", err)
	}
}

func TestErrorsNameTheKeyOnce(t *testing.T) {
	release := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer slow.Close()
	defer close(release)
	cut := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer cut.Close()
	busy := serve(t)
	busy.store.SetOutage(registry.ErrNoLeader)
	defer busy.store.SetOutage(nil)
	for name, address := range map[string]string{
		"missing": serve(t).url, "unreachable": unused(t), "slow": slow.URL, "cut off": cut.URL, "refused": busy.url,
	} {
		c, err := client.New(client.Config{Addresses: []string{address}, Timeout: 300 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _, err = c.KV().Get(t.Context(), "nope", client.ReadOptions{})
		if err == nil || strings.Count(err.Error(), "nope") != 1 {
			t.Errorf("%s: %v", name, err)
		}
		if name == "missing" || name == "refused" {
			continue
		}
		if !strings.Contains(err.Error(), strings.TrimPrefix(address, "http://")) {
			t.Errorf("%s does not name the server: %v", name, err)
		}
		if _, err = c.KV().Put(t.Context(), "nope", nil, client.PutOptions{}); err == nil || strings.Count(err.Error(), "nope") != 1 {
			t.Errorf("%s, a write: %v", name, err)
		}
	}
}

func TestWatchTellsOfRetries(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	address := unused(t)
	var told []error
	c, err := client.New(client.Config{Addresses: []string{address}, OnRetry: func(err error) {
		if told = append(told, err); len(told) == 2 {
			cancel()
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for snapshot, err := range c.KV().Watch(ctx, "w/", client.ReadOptions{}) {
		t.Errorf("yielded %+v, %v", snapshot, err)
	}
	if len(told) != 2 || !strings.Contains(told[0].Error(), address) {
		t.Errorf("told of %v", told)
	}
}

func TestWatchTellsThatItGoesOn(t *testing.T) {
	s := serve(t)
	s.store.SetOutage(registry.ErrNoLeader)
	var told []error
	c, err := client.New(client.Config{Addresses: []string{s.url}, OnRetry: func(err error) {
		if told = append(told, err); len(told) == 2 {
			s.store.SetOutage(nil)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, err := range c.KV().Watch(t.Context(), "w/", client.ReadOptions{Consistency: client.Consistent}) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	if len(told) != 3 || !errors.Is(told[0], registry.ErrNoLeader) || told[1] == nil || told[2] != nil {
		t.Errorf("told of %v", told)
	}
}
