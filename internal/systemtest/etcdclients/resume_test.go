//go:build e2e

package etcdclients

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"herald/internal/systemtest/process"
)

// record is what a client knows of what it and a watch beside it have seen.
type record struct {
	t      *testing.T
	client *clientv3.Client
	stop   context.CancelFunc
	wg     sync.WaitGroup

	count  atomic.Int64
	acked  map[string]int64 // revision by key; of the writer, until it has ended
	events []string         // of the watch, until it has ended
	last   atomic.Int64     // revision that the watch has seen
}

// keepWriting puts one key after another, each once, and watches them, until finish.
func keepWriting(t *testing.T, c *clientv3.Client) *record {
	t.Helper()
	writing, stop := context.WithCancel(t.Context())
	r := &record{t: t, client: c, stop: stop, acked: map[string]int64{}}
	watching, unwatch := context.WithCancel(t.Context())
	watch := c.Watch(watching, "w/", clientv3.WithPrefix(), clientv3.WithRev(1))
	var done sync.WaitGroup
	done.Go(func() {
		for w := range watch {
			if err := w.Err(); err != nil {
				t.Errorf("the watch: %v", err)
				return
			}
			for _, e := range w.Events {
				r.events = append(r.events, showEvent(e))
				r.last.Store(e.Kv.ModRevision)
			}
		}
	})
	r.wg.Go(func() {
		for n := 0; writing.Err() == nil; n++ {
			key := fmt.Sprintf("w/%06d", n)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			put, err := c.Put(ctx, key, "v")
			cancel()
			if err == nil { // otherwise it may have taken effect or not
				r.acked[key] = put.Header.Revision
				r.count.Add(1)
			}
		}
	})
	t.Cleanup(func() {
		stop()
		unwatch()
		r.wg.Wait()
		done.Wait()
	})
	return r
}

// goesOn waits until n more writes are acknowledged.
func (r *record) goesOn(n int64, when string) {
	r.t.Helper()
	before := r.count.Load()
	process.Eventually(r.t, 40*time.Second, "writes "+when, func() error {
		if got := r.count.Load() - before; got < n {
			return fmt.Errorf("%d were acknowledged", got)
		}
		return nil
	})
}

// finish ends the writing and compares: every acknowledged write is there at the revision that
// was told, and the watch has seen the same as one that begins now and was never interrupted.
func (r *record) finish() {
	r.t.Helper()
	r.stop()
	r.wg.Wait()
	kept, err := r.client.Get(soon(r.t), "w/", clientv3.WithPrefix())
	if err != nil {
		r.t.Fatal(err)
	}
	revisions := map[string]int64{}
	last := int64(0)
	for _, kv := range kept.Kvs {
		revisions[string(kv.Key)] = kv.ModRevision
		last = max(last, kv.ModRevision)
	}
	for key, rev := range r.acked {
		if revisions[key] != rev {
			r.t.Errorf("%s was acknowledged at %d and is at %d", key, rev, revisions[key])
		}
	}
	process.Eventually(r.t, 30*time.Second, "all seen", func() error {
		if got := r.last.Load(); got < last {
			return fmt.Errorf("the watch is at %d of %d", got, last)
		}
		return nil
	})
	whole := seen(r.t, r.client.Watch(r.t.Context(), "w/", clientv3.WithPrefix(), clientv3.WithRev(1)), len(kept.Kvs))
	if !slices.Equal(r.events, whole) {
		at := 0
		for at < min(len(r.events), len(whole)) && r.events[at] == whole[at] {
			at++
		}
		r.t.Errorf("of %d events the watch saw %d; the first that differs is %d:\n got %q\nwant %q",
			len(whole), len(r.events), at, r.events[at:min(at+3, len(r.events))], whole[at:min(at+3, len(whole))])
	}
	r.t.Logf("%d writes acknowledged, %d seen", len(r.acked), len(r.events))
}

// TestWatchGoesOnAfterACrash kills the only server under writes, thrice: no acknowledged write is
// lost, revisions do not go back, and the watch goes on where it was.
func TestWatchGoesOnAfterACrash(t *testing.T) {
	t.Parallel()
	p, again := server(t)
	r := keepWriting(t, connect(t, p.Etcd))
	for range 3 {
		r.goesOn(100, "before it was killed")
		p.Kill()
		p = again()
	}
	r.goesOn(100, "after the last start")
	r.finish()
}

// keepReading reads the keys that are written, one after another, until the test ends. No read may fail, as
// clientv3 asks the next server, nor see fewer keys than one before.
func (r *record) keepReading() {
	r.t.Helper()
	ctx, stop := context.WithCancel(r.t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		last, n := int64(0), 0
		for ; ctx.Err() == nil; n++ {
			got, err := r.client.Get(ctx, "w/", clientv3.WithPrefix(), clientv3.WithCountOnly())
			switch {
			case ctx.Err() != nil:
			case err != nil:
				r.t.Errorf("read %d: %v", n, err)
				return
			case got.Count < last:
				r.t.Errorf("read %d: there were %d keys, and are %d", n, last, got.Count)
				return
			default:
				last = got.Count
			}
		}
		r.t.Logf("%d reads", n)
	})
	r.t.Cleanup(func() {
		stop()
		done.Wait()
	})
}

// TestWatchGoesOnWithoutItsLeader kills the leader of three under writes, each time another. Reads know nothing of it.
func TestWatchGoesOnWithoutItsLeader(t *testing.T) {
	t.Parallel()
	trio := three(t)
	r := keepWriting(t, connect(t, trio.Etcd[:]...))
	r.keepReading()
	for range 3 {
		r.goesOn(50, "with three servers")
		leader := leaderOf(t, trio)
		trio.Servers[leader].Kill()
		r.goesOn(50, "without "+process.Name(leader))
		trio.Restart(leader)
	}
	r.finish()
}
