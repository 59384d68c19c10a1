package grpcserver

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"herald/registry"
	"herald/registry/plugin"
	"herald/registry/storetest"
)

// What etcd's own client makes of watches.

// clientWatch is a watch of a client's, and what it has heard.
type clientWatch struct {
	t    *testing.T
	from clientv3.WatchChan
}

// revisions reads events until the watch has heard of one revision.
func (w *clientWatch) revisions(until int64) (all []int64) {
	w.t.Helper()
	for len(all) == 0 || all[len(all)-1] < until {
		r := w.next()
		for _, e := range r.Events {
			all = append(all, e.Kv.ModRevision)
		}
	}
	return all
}

func (w *clientWatch) next() clientv3.WatchResponse {
	w.t.Helper()
	r, ok := <-w.from
	if !ok {
		w.t.Fatal("the client's watch ended")
	}
	if r.Err() != nil {
		w.t.Fatal(r.Err())
	}
	return r
}

func TestClientWatch(t *testing.T) {
	h := open(t)
	c := h.etcdClient()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	w := &clientWatch{t, c.Watch(ctx, "a", clientv3.WithPrefix(), clientv3.WithPrevKV(), clientv3.WithCreatedNotify())}
	if r := w.next(); !r.Created || r.Header.Revision != 1 {
		t.Fatalf("first: %+v", r)
	}
	if _, err := c.Put(ctx, "a", "1"); err != nil {
		t.Fatal(err)
	}
	if r := w.next(); len(r.Events) != 1 || !r.Events[0].IsCreate() {
		t.Errorf("a put of a new key: %+v", r)
	}
	if _, err := c.Put(ctx, "a", "2"); err != nil {
		t.Fatal(err)
	}
	if r := w.next(); len(r.Events) != 1 || !r.Events[0].IsModify() || string(r.Events[0].PrevKv.Value) != "1" {
		t.Errorf("a put: %+v", r)
	}
	if _, err := c.Delete(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if r := w.next(); len(r.Events) != 1 || r.Events[0].Type != clientv3.EventTypeDelete || string(r.Events[0].PrevKv.Value) != "2" {
		t.Errorf("a delete: %+v", r)
	}
	if _, err := c.Put(ctx, "z", "1"); err != nil {
		t.Fatal(err)
	}
	if err := c.RequestProgress(ctx); err != nil {
		t.Fatal(err)
	}
	if r := w.next(); !r.IsProgressNotify() || r.Header.Revision != 5 {
		t.Errorf("progress: %+v", r)
	}

	if _, err := c.Compact(ctx, 4); err != nil {
		t.Fatal(err)
	}
	r := <-c.Watch(ctx, "a", clientv3.WithRev(2))
	if !errors.Is(r.Err(), rpctypes.ErrCompacted) || r.CompactRevision != 4 {
		t.Errorf("a watch of what was compacted: %v, compacted at %d; want %v at 4", r.Err(), r.CompactRevision, rpctypes.ErrCompacted)
	}

	big := &clientWatch{t, c.Watch(ctx, "k", clientv3.WithPrefix(), clientv3.WithFragment(), clientv3.WithPrevKV())}
	for range 2 {
		var ops []registry.Op
		for i := range 4 {
			ops = append(ops, putOp(fmt.Sprint("k", i), strings.Repeat("x", 300<<10)))
		}
		h.mustTxn(ops...)
	}
	for n := 0; n < 8; {
		r := big.next()
		if n += len(r.Events); n%4 != 0 {
			t.Fatalf("%d events together", len(r.Events))
		}
	}
}

// The events of a transaction come in the order of its operations: as they happen, from the history,
// and from the history of a state that was restored.
func TestClientSeesTheOrderOfOperations(t *testing.T) {
	h := open(t)
	c := h.etcdClient()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	wants := func(what string, from clientv3.WatchChan) {
		t.Helper()
		var got []string
		for _, e := range (&clientWatch{t, from}).next().Events {
			got = append(got, fmt.Sprintf("%v %s", e.Type, e.Kv.Key))
		}
		if want := "[PUT z PUT a DELETE d1 DELETE d2 PUT b]"; fmt.Sprint(got) != want {
			t.Errorf("%s: %v, want %s", what, got, want)
		}
	}
	h.mustTxn(putOp("d1", ""), putOp("d2", ""))
	live := c.Watch(ctx, "", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	if r := <-live; !r.Created {
		t.Fatalf("%+v", r)
	}
	done, err := c.Txn(ctx).Then(clientv3.OpPut("z", ""), clientv3.OpPut("a", ""), clientv3.OpDelete("d", clientv3.WithPrefix()), clientv3.OpPut("b", "")).Commit()
	if err != nil {
		t.Fatal(err)
	}
	rev := done.Header.Revision
	wants("as it happens", live)
	wants("from the history", c.Watch(ctx, "", clientv3.WithPrefix(), clientv3.WithRev(rev)))
	if _, err := c.Compact(ctx, rev); err != nil {
		t.Fatal(err)
	}
	snapshot, err := h.store.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if err := h.store.Restore(snapshot); err != nil {
		t.Fatal(err)
	}
	wants("from a restored history", c.Watch(ctx, "", clientv3.WithPrefix(), clientv3.WithRev(rev)))
}

// A client whose connection breaks goes on where it was: nothing is missing, nothing comes twice.
func TestClientResumes(t *testing.T) {
	store := storetest.NewMemory(t)
	h := openOver(t, store)
	c := h.etcdClient()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var watches []*clientWatch
	for _, k := range []string{"a", "b"} {
		watches = append(watches, &clientWatch{t, c.Watch(ctx, k, clientv3.WithPrefix(), clientv3.WithCreatedNotify())})
	}
	for _, w := range watches {
		w.next()
	}
	const writes = 300
	at := func(c *Config, _ *plugin.Host) { c.Address = h.address }
	for i := range writes {
		h.mustTxn(putOp("a", fmt.Sprint(i)), putOp("b", fmt.Sprint(i)))
		if i == writes/3 || i == writes/2 {
			if err := h.stop(); err != nil {
				t.Fatal(err)
			}
			h.mustTxn(putOp("a", "nobody serves"), putOp("b", "nobody serves"))
			h = openOver(t, store, at)
		}
	}
	for _, w := range watches {
		for i, rev := range w.revisions(h.revision()) {
			if rev != int64(i)+2 {
				t.Fatalf("event %d is of revision %d, want %d", i, rev, i+2)
			}
		}
	}
}

// A client that asks for it hears of progress while nothing happens to its keys.
func TestClientHearsOfProgress(t *testing.T) {
	h := open(t, func(c *Config, _ *plugin.Host) { c.WatchProgressInterval = 100 * time.Millisecond })
	c := h.etcdClient()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	w := &clientWatch{t, c.Watch(ctx, "a", clientv3.WithProgressNotify())}
	for rev := h.mustPut("z", "1"); ; {
		r := w.next()
		if !r.IsProgressNotify() {
			t.Fatalf("%+v, want progress", r)
		}
		if r.Header.Revision == rev {
			return
		}
	}
}
