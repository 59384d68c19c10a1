package watch_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"herald/registry"
	"herald/registry/mvcc"
	"herald/registry/watch"
)

// Over the real state machine: whoever reads a range and then watches it from there
// always has what the store has, whatever the store does meanwhile.
func TestReplicasFollowTheStateMachine(t *testing.T) {
	const commands = 1500
	state := mvcc.New()
	hub := watch.NewHub(state.View(), watch.Config{Buffer: 16, CatchUp: 32})
	defer hub.Close()

	var following sync.WaitGroup
	var watchers [registry.NumSpaces][]registry.Watcher
	follow := func(space registry.Space, keys registry.KeyRange) {
		view := state.View()
		w, err := hub.Watch(t.Context(), registry.WatchRequest{Space: space, KeyRange: keys, StartRevision: view.Revision(space) + 1})
		if err != nil {
			t.Fatal(err)
		}
		watchers[space] = append(watchers[space], w)
		following.Go(func() { replicate(t, view, w, space, keys) })
	}

	// synced is what every watcher of a space has seen: compacting up to there must
	// not cost any of them anything.
	synced := func(space registry.Space) int64 {
		low := state.View().Revision(space)
		for _, w := range watchers[space] {
			low = min(low, w.Synced())
		}
		return low
	}

	random := rand.New(rand.NewPCG(3, 1))
	name := func() string { return fmt.Sprintf("%c%d", 'a'+random.IntN(3), random.IntN(20)) }
	apply := func(index int, c mvcc.Command) {
		c.Origin.Who = "test"
		if res := state.Apply(&c); res.Err != nil {
			t.Fatalf("command %d, %+v: %v", index, c, res.Err)
		}
		hub.Publish(state.Publish())
	}
	lease := registry.LeaseID(0)
	for i := 1; i <= commands; i++ {
		space := registry.Space(random.IntN(2))
		switch n := random.IntN(100); {
		case i%250 == 1:
			follow(registry.SpaceKV, registry.All())
			follow(registry.SpaceCatalog, registry.Prefix("b"))
			follow(space, registry.One(name()))
			fallthrough
		case n < 10 || lease == 0:
			lease++
			apply(i, mvcc.Command{Grant: &mvcc.LeaseGrant{ID: lease}})
		case n < 15:
			apply(i, mvcc.Command{Revoke: &mvcc.LeaseRevoke{IDs: []registry.LeaseID{lease}}})
			lease--
		case n < 17 && synced(space) > state.View().Compacted(space):
			apply(i, mvcc.Command{Compact: &mvcc.Compact{Space: space, Revision: synced(space)}})
		case n < 40:
			apply(i, mvcc.Command{Txn: &registry.Txn{Then: []registry.Op{{Delete: &registry.DeleteRequest{Space: space, KeyRange: registry.Prefix(name())}}}}})
		default:
			apply(i, mvcc.Command{Txn: &registry.Txn{Then: []registry.Op{
				{Put: &registry.PutRequest{Space: space, Key: name(), Value: fmt.Append(nil, i), Lease: lease}},
				{Put: &registry.PutRequest{Space: space, Key: name(), Flags: uint64(i)}},
			}}})
		}
	}
	// Something that everyone sees is the last.
	for space := range registry.Space(2) {
		var ops []registry.Op
		for c := 'a'; c <= 'c'; c++ {
			for n := range 20 {
				ops = append(ops, registry.Op{Put: &registry.PutRequest{Space: space, Key: fmt.Sprintf("%c%d", c, n), Value: []byte("end")}})
			}
		}
		apply(commands+1, mvcc.Command{Txn: &registry.Txn{Then: ops}})
	}
	following.Wait()
}

// replicate keeps a copy of a range, and compares it with the view until it has seen
// the last write.
func replicate(t *testing.T, v *mvcc.View, w registry.Watcher, space registry.Space, keys registry.KeyRange) {
	read, err := v.Range(registry.RangeRequest{Space: space, KeyRange: keys})
	if err != nil {
		t.Errorf("Range: %v", err)
		return
	}
	have := map[string]registry.KeyValue{}
	for _, kv := range read.KVs {
		have[kv.Key] = kv
	}
	for {
		commits, err := w.Next(t.Context())
		if err != nil {
			t.Errorf("watch of %+v in %v: %v", keys, space, err)
			return
		}
		for _, c := range commits {
			for _, e := range c.Events {
				was, existed := have[e.KV.Key]
				if existed != (e.Prev != nil) || existed && (e.Prev.ModRevision != was.ModRevision || e.Prev.Version != was.Version) {
					t.Errorf("revision %d: %q was %+v, the event says %+v", c.Revision, e.KV.Key, was, e.Prev)
					return
				}
				if e.Type == registry.EventDelete {
					delete(have, e.KV.Key)
				} else {
					have[e.KV.Key] = e.KV
				}
			}
			last := &c.Events[len(c.Events)-1]
			if string(last.KV.Value) != "end" {
				continue
			}
			for _, key := range slices.Sorted(maps.Keys(have)) {
				if kv := have[key]; kv.ModRevision != c.Revision || string(kv.Value) != "end" {
					t.Errorf("%q is %+v in the end", key, kv)
				}
			}
			return
		}
	}
}
