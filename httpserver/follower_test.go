package httpserver

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"herald/httpserver/api"
	"herald/registry"
	"herald/registry/catalog"
	"herald/registry/plugin"
)

// follower is a store whose own copy is a quarter of a second old, and that asks a
// leader, as long as there is one, for anything fresher.
type follower struct {
	registry.Store
	leaderless atomic.Bool
	asked      atomic.Int64 // how often the leader was
}

func (f *follower) Range(ctx context.Context, r registry.RangeRequest) (registry.RangeResult, error) {
	if r.Consistency != registry.Stale {
		if f.leaderless.Load() {
			return registry.RangeResult{}, fmt.Errorf("server b: %w", registry.ErrNoLeader)
		}
		f.asked.Add(1)
		return f.Store.Range(ctx, r)
	}
	res, err := f.Store.Range(ctx, r)
	res.Age = 250 * time.Millisecond
	return res, err
}

func following(t *testing.T) (*harness, *follower) {
	f := &follower{}
	c := catalog.New()
	h := open(t, func(_ *Config, host *plugin.Host) {
		f.Store = host.Store
		host.Store, host.Catalog = f, c
		host.Cluster = clusterStatus(func() registry.Status {
			if f.leaderless.Load() {
				return registry.Status{ID: "b"}
			}
			return registry.Status{ID: "b", Leader: "a", LeaderAt: "10.0.0.1:7400"}
		})
	})
	ctx, cancel := context.WithCancel(context.Background())
	followed := make(chan error, 1)
	go func() { followed <- c.Follow(ctx, f) }()
	t.Cleanup(func() {
		cancel()
		if err := <-followed; err != nil {
			t.Errorf("Follow: %v", err)
		}
	})
	return h, f
}

// clusterStatus is a cluster of that status.
type clusterStatus func() registry.Status

func (f clusterStatus) Status() registry.Status                            { return f() }
func (f clusterStatus) Members(context.Context) ([]registry.Member, error) { return nil, nil }
func (f clusterStatus) WaitReady(context.Context) error                    { return nil }
func (f clusterStatus) Term() uint64                                       { return 0 }
func (f clusterStatus) Servers() []registry.Member                         { return nil }

var everyRead = append([]string{"/v1/kv/k", "/v1/kv/?recurse", "/v1/kv/?keys", "/v1/kv/none"}, catalogReads...)

// What a follower answers says truly how old it is: fresh answers not at all, since the
// leader was asked how far they have to be; stale ones as old as its own copy.
func TestHeadersOfAFollower(t *testing.T) {
	h, f := following(t)
	h.ok("PUT", "/v1/kv/k", "v")
	h.register(`{"Node":"n","Address":"a","Service":{"Service":"web"}}`)
	check := func(path, contact, leader string) {
		t.Helper()
		before := f.asked.Load()
		a := h.do("GET", path, "")
		if a.status/100 == 5 || a.header.Get(api.HeaderLastContact) != contact || a.header.Get(api.HeaderKnownLeader) != leader {
			t.Errorf("%s: %d, LastContact %s, KnownLeader %s; want %s, %s", path, a.status, a.header.Get(api.HeaderLastContact), a.header.Get(api.HeaderKnownLeader), contact, leader)
		}
		if stale := strings.Contains(path, "stale"); stale == (f.asked.Load() > before) {
			t.Errorf("%s: the leader was asked %d times", path, f.asked.Load()-before)
		}
	}
	for _, path := range everyRead {
		sep := "?"
		if strings.Contains(path, "?") {
			sep = "&"
		}
		plain := !strings.Contains(path, "stale") && !strings.Contains(path, "consistent")
		if plain {
			check(path, "0", "true")
			check(path+sep+"consistent", "0", "true")
			check(path+sep+"stale", "250", "true")
		}
	}
	f.leaderless.Store(true)
	for _, path := range everyRead {
		sep := "?"
		if strings.Contains(path, "?") {
			sep = "&"
		}
		if strings.Contains(path, "stale") || strings.Contains(path, "consistent") {
			continue
		}
		check(path+sep+"stale", "250", "false")
		for _, p := range []string{path, path + sep + "consistent"} {
			if a := h.do("GET", p, ""); a.status != http.StatusInternalServerError || !strings.Contains(a.body, "No cluster leader") ||
				a.header.Get(api.HeaderError) != "no-leader" {
				t.Errorf("%s without a leader: %d %s", p, a.status, a.body)
			}
		}
	}
}

// A query that has waited is as fresh when it answers as one that has not.
func TestABlockedQueryWhoseLeaderHasGone(t *testing.T) {
	h, f := following(t)
	h.register(`{"Node":"n","Address":"a","Service":{"Service":"web"}}`)
	path := "/v1/health/service/web"
	at := h.ok("GET", path, "").index()
	fresh := h.begin(fmt.Sprintf("%s?index=%d&wait=10m", path, at))
	stale := h.begin(fmt.Sprintf("%s?index=%d&wait=10m&stale", path, at))
	f.leaderless.Store(true)
	if _, err := f.Store.Txn(t.Context(), registry.Txn{Then: []registry.Op{{Delete: &registry.DeleteRequest{Space: registry.SpaceCatalog, KeyRange: registry.All()}}}}); err != nil {
		t.Fatal(err)
	}
	if a := receive(t, stale); a.status != 200 || a.body != "[]" || a.header.Get(api.HeaderLastContact) != "250" || a.header.Get(api.HeaderKnownLeader) != "false" {
		t.Errorf("stale: %d %s %v", a.status, a.body, a.header)
	}
	if a := receive(t, fresh); a.status != 500 || !strings.Contains(a.body, "No cluster leader") {
		t.Errorf("fresh: %d %s", a.status, a.body)
	}
}
