package raftstore

import (
	"testing"
	"testing/synctest"
	"time"

	"herald/registry"
)

// A lease whose time begins at the end of another does not run out before, whoever leads, and
// then lives for its own time.
func TestLeaseAfterAnother(t *testing.T) {
	t.Parallel()
	const ttl, delay = 5 * time.Second, 20 * time.Second
	for name, n := range map[string]int{"one server": 1, "a new leader": 3} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCluster(t, n, nil)
				l := c.leader()
				s := c.stores[l]
				res, err := s.Txn(t.Context(), registry.Txn{Then: []registry.Op{
					{Grant: &registry.GrantRequest{ID: 1, TTL: ttl}},
					{Grant: &registry.GrantRequest{ID: 2, TTL: delay, After: 1}},
					{Put: &registry.PutRequest{Key: "held", Lease: 1}},
					{Put: &registry.PutRequest{Key: "delay", Lease: 2}},
				}})
				if err != nil || !res.Succeeded {
					t.Fatal(res, err)
				}
				keep := func(d time.Duration) {
					t.Helper()
					for range d / time.Second {
						time.Sleep(time.Second)
						if _, err := s.KeepAlive(t.Context(), 1); err != nil {
							t.Fatal(err)
						}
					}
				}
				keep(4 * delay)
				if n > 1 {
					c.isolate(l)
					s = c.stores[c.leader(l)]
					keep(4 * delay)
				}
				wantValue(t, s, "delay", "")
				if l, err := s.Lease(t.Context(), 2, true); err != nil || len(l.Keys) != 1 {
					t.Errorf("the lease that waits: %+v, %v", l, err)
				}
				lived := untilGone(t, s, "held")
				if lived < ttl-time.Second || lived > ttl+2*time.Second {
					t.Errorf("the first lease ended after %v", lived)
				}
				lived = untilGone(t, s, "delay")
				if lived < delay-time.Second || lived > delay+2*time.Second {
					t.Errorf("the second ended %v after the first, want %v", lived, delay)
				}
			})
		})
	}
}
