//go:build e2e

package etcdclients

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// nextResponse is a watch's next response, which comes soon.
func nextResponse(t *testing.T, watch clientv3.WatchChan) clientv3.WatchResponse {
	t.Helper()
	select {
	case r, ok := <-watch:
		if !ok {
			t.Fatal("the watch has ended")
		}
		if err := r.Err(); err != nil {
			t.Fatalf("the watch: %v", err)
		}
		return r
	case <-time.After(30 * time.Second):
		t.Fatal("no response within 30 s")
	}
	panic("not reached")
}

// seen takes so many events of a watch, and writes them down.
func seen(t *testing.T, watch clientv3.WatchChan, n int) []string {
	t.Helper()
	var all []string
	for len(all) < n {
		for _, e := range nextResponse(t, watch).Events {
			all = append(all, showEvent(e))
		}
	}
	return all
}

func showEvent(e *clientv3.Event) string {
	return fmt.Sprintf("%s%s%s", e.Type, showKeys([]*mvccpb.KeyValue{e.Kv}), showPrevious(e.PrevKv))
}

// TestWatch has many watches on one stream see the same history, each what it asked for.
func TestWatch(t *testing.T) {
	t.Parallel()
	c := connect(t, one(t).Etcd)
	before := put(t, c, "k/a", "1") // 2
	watches := []struct {
		what string
		ch   clientv3.WatchChan
		want []string
	}{
		{"a key", c.Watch(t.Context(), "k/a"),
			[]string{"PUT k/a=2(2,3,2)", "DELETE k/a=(0,5,0)", "PUT k/a=4(6,6,1)"}},
		{"a prefix from the past, with what was", c.Watch(t.Context(), "k/", clientv3.WithPrefix(), clientv3.WithRev(before), clientv3.WithPrevKV()),
			[]string{"PUT k/a=1(2,2,1)", "PUT k/a=2(2,3,2) was k/a=1(2,2,1)", "PUT k/b=3(4,4,1)", "DELETE k/a=(0,5,0) was k/a=2(2,3,2)", "PUT k/a=4(6,6,1)", "PUT k/b=4(4,6,2) was k/b=3(4,4,1)"}},
		{"a prefix, deletes alone", c.Watch(t.Context(), "k/", clientv3.WithPrefix(), clientv3.WithFilterPut()), []string{"DELETE k/a=(0,5,0)"}},
		{"a prefix, puts alone", c.Watch(t.Context(), "k/", clientv3.WithPrefix(), clientv3.WithFilterDelete()),
			[]string{"PUT k/a=2(2,3,2)", "PUT k/b=3(4,4,1)", "PUT k/a=4(6,6,1)", "PUT k/b=4(4,6,2)"}},
		{"a range", c.Watch(t.Context(), "k/b", clientv3.WithRange("k/c")), []string{"PUT k/b=3(4,4,1)", "PUT k/b=4(4,6,2)"}},
		{"all, from a revision to come", c.Watch(t.Context(), "", clientv3.WithFromKey(), clientv3.WithRev(before+4)), []string{"PUT k/a=4(6,6,1)", "PUT k/b=4(4,6,2)", "PUT z=(7,7,1)"}},
		{"from a key", c.Watch(t.Context(), "k/b", clientv3.WithFromKey()), []string{"PUT k/b=3(4,4,1)", "PUT k/b=4(4,6,2)", "PUT z=(7,7,1)"}},
	}
	// Each has been created once the server has been asked for what it has sent; clientv3 creates
	// them one after another.
	last := c.Watch(t.Context(), "none", clientv3.WithCreatedNotify())
	if r := nextResponse(t, last); !r.Created {
		t.Fatalf("the last watch: %+v", r)
	}
	put(t, c, "k/a", "2")
	put(t, c, "k/b", "3")
	if _, err := c.Delete(soon(t), "k/a"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Txn(soon(t)).Then(clientv3.OpPut("k/a", "4"), clientv3.OpPut("k/b", "4")).Commit(); err != nil {
		t.Fatal(err)
	}
	put(t, c, "z", "")
	for _, w := range watches {
		if got := seen(t, w.ch, len(w.want)); !slices.Equal(got, w.want) {
			t.Errorf("%s:\n got %q\nwant %q", w.what, got, w.want)
		}
	}
	// Progress comes after all that, to each, and there was no more.
	if err := c.RequestProgress(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, w := range watches {
		if r := nextResponse(t, w.ch); !r.IsProgressNotify() || r.Header.Revision != 7 || len(r.Events) != 0 {
			t.Errorf("%s: after its events came %+v", w.what, r)
		}
	}
}

// TestManyWatches has a thousand watches of two clients see the same key, and each its own.
func TestManyWatches(t *testing.T) {
	t.Parallel()
	const each = 500
	p := one(t)
	clients := []*clientv3.Client{connect(t, p.Etcd), connect(t, p.Etcd)}
	var own, all []clientv3.WatchChan
	for i, c := range clients {
		for n := range each {
			own = append(own, c.Watch(t.Context(), fmt.Sprintf("own/%d/%d", i, n), clientv3.WithRev(2)))
		}
		all = append(all, c.Watch(t.Context(), "own/", clientv3.WithPrefix(), clientv3.WithRev(2)))
	}
	for i := range clients {
		for n := 0; n < each; n += 100 {
			var ops []clientv3.Op
			for m := range 100 {
				ops = append(ops, clientv3.OpPut(fmt.Sprintf("own/%d/%d", i, n+m), "v"))
			}
			if _, err := clients[0].Txn(soon(t)).Then(ops...).Commit(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, w := range own {
		want := []string{fmt.Sprintf("PUT own/%d/%d=v(%[3]d,%[3]d,1)", i/each, i%each, 2+i/100)}
		if got := seen(t, w, 1); !slices.Equal(got, want) {
			t.Errorf("watch %d: got %q, want %q", i, got, want)
		}
	}
	for i, w := range all {
		for r := range len(clients) * each / 100 {
			if got := nextResponse(t, w); len(got.Events)%100 != 0 {
				t.Errorf("client %d: response %d has %d events: a revision is split", i, r, len(got.Events))
			} else if got.Header.Revision >= int64(1+len(clients)*each/100) && len(got.Events) == len(clients)*each {
				break // all at once
			}
		}
	}
}

// TestWatchProgress has an idle watch be told where it stands, unasked.
func TestWatchProgress(t *testing.T) {
	t.Parallel()
	c := connect(t, oneWithProgress(t).Etcd)
	watch := c.Watch(t.Context(), "quiet", clientv3.WithProgressNotify())
	put(t, c, "other", "1")
	for r := nextResponse(t, watch); r.Header.Revision != 2; r = nextResponse(t, watch) {
		if !r.IsProgressNotify() || r.Header.Revision > 2 {
			t.Fatalf("a watch that nothing happens to is told %+v", r)
		}
	}
}

// TestWatchOfLargeRevisions deletes more than 2 MiB at once: one revision is one response,
// in fragments that clientv3 puts together where the watch asked for them, and in one message elsewhere.
func TestWatchOfLargeRevisions(t *testing.T) {
	t.Parallel()
	c := connect(t, one(t).Etcd)
	const keys = 6
	value := strings.Repeat("x", 512<<10)
	for i := range keys {
		put(t, c, fmt.Sprintf("k/%d", i), value)
	}
	deleted, err := c.Delete(soon(t), "k/", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	for what, opts := range map[string][]clientv3.OpOption{"whole": nil, "in fragments": {clientv3.WithFragment()}} {
		opts = append(opts, clientv3.WithPrefix(), clientv3.WithPrevKV(), clientv3.WithRev(deleted.Header.Revision))
		r := nextResponse(t, c.Watch(t.Context(), "k/", opts...))
		if len(r.Events) != keys {
			t.Errorf("%s: %d events in a response", what, len(r.Events))
		}
		for i, e := range r.Events {
			if string(e.Kv.Key) != fmt.Sprintf("k/%d", i) || e.PrevKv == nil || string(e.PrevKv.Value) != value {
				t.Errorf("%s: event %d is of %s", what, i, e.Kv.Key)
			}
		}
	}
}
