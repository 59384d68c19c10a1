package workload

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"herald/internal/systemtest/chaos/check"
	"herald/internal/systemtest/chaos/history"
	"herald/registry"
	"herald/registry/mvcc"
	"herald/registry/storetest"
)

// overStore are the workloads that need no HTTP and no DNS.
var overStore = []Kind{KV, Acks, Watches, Locks, Leases, Hashes}

// servers are three endpoints of one store. wrap may put something between.
func endpoints(store *storetest.Memory, wrap func(i int, s registry.Store) registry.Store) []Endpoint {
	all := make([]Endpoint, 3)
	for i := range all {
		var s registry.Store = store
		if wrap != nil {
			s = wrap(i, s)
		}
		all[i] = Endpoint{
			Name: fmt.Sprintf("n%d", i+1), Store: s, Life: func() int64 { return 1 },
			Status:    func(context.Context) (registry.Status, error) { return store.Status(), nil },
			StateHash: func(context.Context) (uint64, uint64, error) { return hashOf(store) },
		}
	}
	return all
}

// hashOf is the state as a number, at the index that the state itself says.
func hashOf(store *storetest.Memory) (applied, hash uint64, err error) {
	b, err := store.Snapshot()
	if err != nil {
		return 0, 0, err
	}
	state, err := mvcc.Decode(bytes.NewReader(b))
	if err != nil {
		return 0, 0, err
	}
	h := fnv.New64a()
	h.Write(b)
	return state.View().Applied(), h.Sum64(), nil
}

// judge runs workloads for a while, within a bubble, and has the history judged, from files.
func judge(t *testing.T, cfg Config, length time.Duration, all []Endpoint, meanwhile func()) *check.Report {
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
	if meanwhile != nil {
		meanwhile()
	}
	time.Sleep(length)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := r.Finish(ctx); err != nil {
		t.Error(err)
	}
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	report, err := check.All(dir)
	if err != nil {
		t.Fatal(err)
	}
	if testing.Verbose() {
		report.Print(os.Stdout)
	}
	return report
}

func TestASoundStorePasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.Open()
		defer store.Close()
		cfg := DefaultConfig()
		cfg.Kinds = overStore
		r := judge(t, cfg, 40*time.Second, endpoints(store, nil), func() {
			time.Sleep(5 * time.Second)
			store.SetOutage(registry.ErrNoLeader)
			time.Sleep(7 * time.Second)
			store.SetOutage(nil)
		})
		var b strings.Builder
		r.Print(&b)
		if !r.OK() {
			t.Fatalf("a store without faults did not pass:\n%s", b.String())
		}
		for _, c := range []string{check.KV, check.Order, check.Stale, check.Acks, check.Watches, check.Locks, check.Leases, check.Hashes} {
			if !slices.ContainsFunc(r.Verdicts, func(v check.Verdict) bool { return v.Check == c && v.Checked > 5 }) {
				t.Errorf("%s checked too little:\n%s", c, b.String())
			}
		}
		if r.LongestOutage < 7*time.Second || r.LongestOutage > 8*time.Second {
			t.Errorf("longest outage %v, want the 7 s there was", r.LongestOutage)
		}
	})
}
