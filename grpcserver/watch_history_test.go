package grpcserver

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"herald/registry"
	"herald/registry/storetest"
)

// What etcd's own watches got wrong at some time.

// collect reads a watch's events until its revision, and wants each revision of want
// once, in order.
func (w *watching) collect(id int64, want []int64) {
	w.t.Helper()
	for len(want) > 0 {
		r := w.next()
		if r.WatchId != id {
			continue
		}
		for _, e := range r.Events {
			if e.Kv.ModRevision != want[0] {
				w.t.Fatalf("watch %d: revision %d, want %d", id, e.Kv.ModRevision, want[0])
			}
			if want = want[1:]; len(want) == 0 {
				return
			}
		}
		if len(r.Events) == 0 {
			w.t.Fatalf("%s, and %d revisions are to come, from %d on", describeResponse(r), len(want), want[0])
		}
	}
}

// flood writes a key so often that its watchers cannot but fall behind.
func (h *harness) flood(key string) (revisions []int64) {
	h.t.Helper()
	value := strings.Repeat("x", 8<<10)
	for range 3000 {
		revisions = append(revisions, h.mustPut(key, value))
	}
	return revisions
}

// etcd issue 15220: a notice of progress was sent ahead of an event that it covers.
func TestProgressDoesNotOvertakeEvents(t *testing.T) {
	h := open(t)
	w := h.watch()
	w.create(watchPrefix("a"))
	w.create(watchPrefix("b"))
	done := make(chan error, 2)
	go func() {
		for i := range 500 {
			if _, err := registry.Put(t.Context(), h.store, registry.PutRequest{Key: "a", Value: []byte(fmt.Sprint(i))}); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	go func() {
		for range 300 {
			if err := w.stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{}}); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	var seen, last int64
	finished := false
	for !finished || last < seen || seen < 501 {
		r := w.next()
		rev := r.Header.Revision
		switch {
		case r.WatchId == noWatch:
			if rev < last {
				t.Fatalf("progress at %d after %d", rev, last)
			}
			last = rev
			if rev > seen && rev > 1 {
				t.Fatalf("progress at %d, and the last event was of %d", rev, seen)
			}
		case len(r.Events) == 0:
			t.Fatalf("%s: not asked for", describeResponse(r))
		default:
			for _, e := range r.Events {
				if e.Kv.ModRevision != max(seen, 1)+1 {
					t.Fatalf("event of %d after %d", e.Kv.ModRevision, seen)
				}
				seen = e.Kv.ModRevision
			}
		}
		if !finished && seen == 501 {
			for range 2 {
				if err := <-done; err != nil {
					t.Fatal(err)
				}
			}
			finished = true
			w.askProgress()
		}
	}
}

// etcd issue 15271: after a partition, a watch that was resumed on a server that lagged
// was told what is older than where it resumed.
func TestResumedWatchDoesNotGoBack(t *testing.T) {
	h := open(t)
	lagging := openOver(t, storetest.NewMemory(t))
	first := h.watch()
	first.create(watchOf("a"))
	for i := range 3 {
		h.mustPut("a", fmt.Sprint(i))
	}
	first.collect(0, []int64{2, 3, 4})
	lagging.mustPut("a", "0")
	w := lagging.watch()
	w.askCreate(watchFrom("a", 5))
	w.see("0 @2: created")
	for i := range 3 {
		lagging.mustPut("a", fmt.Sprint(i+1))
	}
	w.see("0 @5: a=3(2,5,4)")
}

// etcd issues 17247 and 17529: a watch that fell behind while another one on its stream was
// flooded was told events twice, or never.
func TestWatchesOfAFloodedStream(t *testing.T) {
	h := open(t)
	w := h.watch()
	loud, quiet := w.create(watchOf("loud")), w.create(watchOf("quiet"))
	revisions := h.flood("loud") // nobody reads
	said := h.mustPut("quiet", "1")
	revisions = append(revisions, h.mustPut("loud", "last"))
	before := 0
	for heard := false; len(revisions) > 0 || !heard; {
		r := w.next()
		for _, e := range r.Events {
			switch {
			case r.WatchId == quiet && e.Kv.ModRevision == said && !heard:
				heard = true
				before = len(revisions)
			case r.WatchId == loud && len(revisions) > 0 && e.Kv.ModRevision == revisions[0]:
				revisions = revisions[1:]
			default:
				t.Fatalf("unexpected event of watch %d: %s", r.WatchId, describeEvent(e)[:10])
			}
		}
	}
	if before < 100 {
		t.Errorf("the quiet watch was heard when %d events of the loud one were left: it had to wait for them", before)
	}
	// Live again.
	rev := h.mustPut("loud", "live")
	w.collect(loud, []int64{rev})
}

// etcd issue 18089: a watch that was too slow missed a delete that was compacted meanwhile,
// in silence.
func TestSlowWatchHearsOfACompaction(t *testing.T) {
	h := open(t)
	w := h.watch()
	id := w.create(watchOf("a"))
	h.flood("a")
	h.mustDelete("a")
	compacted := h.mustPut("a", "after")
	h.mustCompact(compacted)
	next := int64(2)
	for {
		r := w.next()
		if r.Canceled {
			if want := fmt.Sprintf("%d @0: canceled compacted=%d", id, compacted); describeResponse(r) != want {
				t.Fatalf("%s, want %s", describeResponse(r), want)
			}
			break
		}
		for _, e := range r.Events {
			if e.Kv.ModRevision != next {
				t.Fatalf("revision %d, want %d: there is a gap", e.Kv.ModRevision, next)
			}
			next++
		}
	}
	if next > compacted {
		t.Error("nothing was lost, so that the cancellation was not to be")
	}
	w.askCreate(watchFrom("a", compacted))
	w.see(fmt.Sprintf("1 @%d: created", compacted), fmt.Sprintf("1 @%d: a=after(%d,%d,1)", compacted, compacted, compacted))
}

// etcd issue 19179: a delete at the very revision of the compaction was not told.
func TestDeleteAtTheCompaction(t *testing.T) {
	h := open(t)
	h.mustPut("a", "1")
	rev := h.mustDelete("a")
	h.mustPut("a", "2")
	h.mustCompact(rev)
	w := h.watch()
	with := watchFrom("a", rev)
	with.PrevKv = true
	w.askCreate(with)
	w.see("0 @4: created", "0 @4: -a(3)<a=1(2,2,1) a=2(4,4,1)")
	w.askCreate(watchFrom("a", rev-1))
	w.see("1 @4: created", "1 @0: canceled compacted=3")
	if id := w.create(watchOf("a")); id != 2 {
		t.Errorf("id %d, want 2", id)
	}
}

// etcd issue 20221: a watch from a future revision was told events and progress from before it.
func TestWatchFromTheFuture(t *testing.T) {
	h := open(t)
	w := h.watch()
	w.askCreate(watchFrom("a", 5))
	w.see("0 @1: created")
	w.askProgress() // waits until the watch has begun
	for i := range 4 {
		h.mustPut("a", fmt.Sprint(i))
	}
	var events []*mvccpb.Event
	for len(events) == 0 {
		r := w.next()
		if r.Header.Revision < 4 {
			t.Fatalf("%s: it starts at 5", describeResponse(r))
		}
		events = r.Events
	}
	if got := describeEvent(events[0]); len(events) != 1 || got != "a=3(2,5,4)" {
		t.Errorf("%d events, the first is %s; want a=3(2,5,4)", len(events), got)
	}
}

func TestProgressRequests(t *testing.T) {
	h := open(t)
	h.mustPut("a", "1")
	w := h.watch()
	w.askProgress() // of no watch: not answered
	w.create(watchOf("a"))
	w.askProgress()
	w.see("-1 @2:")
	w.create(watchFrom("a", 3)) // the next there is: nothing comes before it
	w.askProgress()
	w.see("-1 @2:")
	future := w.create(watchFrom("a", math.MaxInt64))
	w.askProgress()
	w.askProgress()
	w.askCancel(future)
	w.see("2 @2: canceled", "-1 @2:") // once for both
	h.mustPut("b", "1")
	w.askProgress()
	w.see("-1 @3:")
}

// A revision that is larger than a message may be comes in pieces to those who take pieces, and
// whole to all others.
func TestWatchFragments(t *testing.T) {
	h := open(t)
	w := h.watch()
	pieces := watchPrefix("k")
	pieces.Fragment, pieces.PrevKv = true, true
	split := w.create(pieces)
	whole := w.create(watchPrefix("k"))
	big := strings.Repeat("x", 300<<10)
	write := func() {
		var ops []registry.Op
		for i := range 4 {
			ops = append(ops, putOp(fmt.Sprint("k", 3-i), big))
		}
		h.mustTxn(ops...)
	}
	write()
	for range 2 { // 1.2 MB goes into one message
		if r := w.next(); r.Fragment || len(r.Events) != 4 {
			t.Fatalf("watch %d: %d events, fragment %v; want all 4 in one", r.WatchId, len(r.Events), r.Fragment)
		}
	}
	write()
	events, last := 0, false
	for heard := false; !last || !heard; {
		r := w.next()
		switch {
		case r.WatchId == whole:
			if r.Fragment || len(r.Events) != 4 || events > 0 && !last {
				t.Fatalf("%d events, fragment %v, between pieces %v", len(r.Events), r.Fragment, events > 0 && !last)
			}
			heard = true
		case r.WatchId == split:
			if n := (&pb.WatchResponse{Events: r.Events}); len(r.Events) > 1 && len(mustMarshal(t, n)) > defaultRequestBytes {
				t.Error("a piece is larger than a request may be")
			}
			for _, e := range r.Events {
				if string(e.Kv.Key) != fmt.Sprint("k", 3-events) || e.Kv.ModRevision != 3 || r.Header.Revision != 3 || e.PrevKv == nil {
					t.Fatalf("event %d is of key %s at %d, the header's revision %d", events, e.Kv.Key, e.Kv.ModRevision, r.Header.Revision)
				}
				events++
			}
			last = !r.Fragment
			if last != (events == 4) {
				t.Fatalf("fragment is %v after %d of 4 events", r.Fragment, events)
			}
		}
	}
}

// A transaction of another kind than those above: what it deleted by the end of a lease.
func TestWatchSeesALeaseEnd(t *testing.T) {
	h := open(t)
	grantLease(t, h.store, 77, time.Hour)
	w := h.watch()
	w.create(watchPrefix("l"))
	for _, k := range []string{"l2", "l1"} {
		h.mustTxn(registry.Op{Put: &registry.PutRequest{Key: k, Lease: 77}})
		w.see(fmt.Sprintf("0 @%d: %s=(%d,%d,1)L77", h.revision(), k, h.revision(), h.revision()))
	}
	if _, err := h.store.RevokeLease(context.Background(), 77); err != nil {
		t.Fatal(err)
	}
	w.see("0 @4: -l1(4) -l2(4)")
}

func (h *harness) revision() int64 { return h.store.Status().Revisions[registry.SpaceKV] }
