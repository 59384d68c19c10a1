package mvcc

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"herald/registry"
)

// TestReadersHoldViews has readers go on reading views, of any age, through
// every way to read, while the writer writes, deletes, ends leases, compacts and
// sweeps. What a view says must not change; the race detector must see nothing.
func TestReadersHoldViews(t *testing.T) {
	const readers, views, commands = 4, 20, 500
	s := New()
	fresh := make(chan *View, readers)
	var wg sync.WaitGroup
	for range readers {
		wg.Go(func() {
			var held []*View
			var said []string
			for v := range fresh {
				held, said = append(held, v), append(said, dump(v))
				for i, v := range held {
					if is := dump(v); is != said[i] {
						t.Errorf("view %d changed\nfrom %s\nto   %s", v.Applied(), said[i], is)
						return
					}
					v.Hash()
				}
				if len(held) > 4 {
					held, said = held[1:], said[1:]
				}
			}
		})
	}
	every := commands / (readers * views / 4)
	for i := range commands {
		for _, c := range busyCommands(i) {
			s.Apply(&c)
		}
		v := s.Publish()
		if i%every == 0 {
			fresh <- v
		}
	}
	close(fresh)
	wg.Wait()
}

// busyCommands touches everything that readers look at.
func busyCommands(i int) []Command {
	key := func(n int) string { return fmt.Sprint("key", n%17) }
	lease := registry.LeaseID(i%5 + 1)
	put := func(p registry.PutRequest) Command {
		return Command{Txn: &registry.Txn{Then: []registry.Op{{Put: &p}}}}
	}
	cs := []Command{
		{Grant: &LeaseGrant{ID: lease, TTL: 10}},
		put(registry.PutRequest{Key: key(i * 7), Value: []byte(fmt.Sprint(i)), Lease: lease}),
		put(registry.PutRequest{Key: key(i * 3), Value: []byte(fmt.Sprint(i)), Lock: registry.LockAcquire, Holder: lease}),
		put(registry.PutRequest{Space: registry.SpaceCatalog, Key: key(i), IfChanged: true}),
	}
	switch i % 7 {
	case 2:
		cs = append(cs, Command{Txn: &registry.Txn{Then: []registry.Op{
			{Delete: &registry.DeleteRequest{KeyRange: registry.Prefix("key1")}},
			{Put: &registry.PutRequest{Key: "key1", Value: []byte("again")}},
			{Put: &registry.PutRequest{Key: "key2", Lease: 99}}, // fails: all of it is undone
		}}})
	case 4:
		cs = append(cs, Command{Txn: &registry.Txn{Then: []registry.Op{{Delete: &registry.DeleteRequest{KeyRange: registry.One(key(i))}}}}})
	case 6:
		cs = append(cs, Command{Revoke: &LeaseRevoke{IDs: []registry.LeaseID{lease}}}, Command{Compact: &Compact{Revision: int64(2*i - 20)}})
	}
	return cs
}

func TestViewOfUnknownSpace(t *testing.T) {
	v := New().View()
	const none = registry.Space(registry.NumSpaces)
	if v.Revision(none) != 0 || v.Compacted(none) != 0 {
		t.Error("a space that does not exist has revisions")
	}
	if _, ok := v.Get(none, "a"); ok {
		t.Error("a space that does not exist has a key")
	}
	if _, err := v.Range(registry.RangeRequest{Space: none, KeyRange: registry.One("a")}); !errors.Is(err, registry.ErrInvalid) {
		t.Errorf("range: %v", err)
	}
	if err := v.Commits(none, 1, 2, nil); !errors.Is(err, registry.ErrInvalid) {
		t.Errorf("commits: %v", err)
	}
}

func TestGet(t *testing.T) {
	v := snapshotState(t).View()
	kv, ok := v.Get(registry.SpaceKV, "b")
	if !ok || string(kv.Value) != "6" || kv.Lease != 5 || kv.Version != 1 {
		t.Errorf("%+v %v", kv, ok)
	}
	if kv, ok := v.Get(registry.SpaceKV, "a"); ok {
		t.Errorf("a deleted key is there: %+v", kv)
	}
}

// TestCountNeedsNoScan counts, with every combination of bounds, keys that are more
// than one node of the tree, against the model.
func TestCountNeedsNoScan(t *testing.T) {
	s := New()
	const n = 3000
	for i := range n {
		s.Apply(&Command{Txn: &registry.Txn{Then: []registry.Op{{Put: &registry.PutRequest{Key: fmt.Sprintf("%06d", i*2)}}}}})
	}
	v := s.Publish()
	bounds := []int{-1, 0, 1, 2, 3, 127, 128, 129, 2999, 3000, 3001, 5997, 5998, 5999, 9000}
	for _, from := range bounds {
		for _, to := range bounds {
			kr := registry.KeyRange{Start: fmt.Sprintf("%06d", from), End: fmt.Sprintf("%06d", to)}
			if from < 0 {
				kr.Start = ""
			}
			if to < 0 {
				kr.End = "\x00"
			}
			want := 0
			for i := range n {
				if kr.Contains(fmt.Sprintf("%06d", i*2)) {
					want++
				}
			}
			for _, q := range []registry.RangeRequest{{CountOnly: true}, {Limit: 1}, {Limit: 1, SortOrder: registry.SortDescend}, {Limit: 10_000}} {
				q.KeyRange = kr
				got, err := v.Range(q)
				if err != nil || got.Count != int64(want) {
					t.Fatalf("%+v: count %d, %v, want %d", q, got.Count, err, want)
				}
			}
		}
	}
}

// TestSize keeps an eye on what Size says as things come and go.
func TestSize(t *testing.T) {
	s := New()
	apply := func(ops ...registry.Op) {
		s.Apply(&Command{Txn: &registry.Txn{Then: ops}})
	}
	apply(registry.Op{Put: &registry.PutRequest{Key: "abc", Value: []byte("12345")}})
	apply(registry.Op{Put: &registry.PutRequest{Key: "abc", Value: []byte("1")}})
	apply(registry.Op{Put: &registry.PutRequest{Key: "de", Value: []byte("1")}})
	apply(registry.Op{Delete: &registry.DeleteRequest{KeyRange: registry.One("de")}})
	s.Apply(&Command{Grant: &LeaseGrant{ID: 1}})
	got := s.Publish().Size()
	want := Size{Leases: 1}
	want.Spaces[0] = SpaceSize{Keys: 1, Bytes: 4, Commits: 4, Versions: 3, HistoryBytes: 8 + 3 + 2, Deleted: 1}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	s.Apply(&Command{Compact: &Compact{Revision: 5}})
	got = s.Publish().Size()
	want.Spaces[0].Commits, want.Spaces[0].Versions, want.Spaces[0].HistoryBytes = 1, 0, 0
	if got != want {
		t.Errorf("compacted: %+v, want %+v", got, want)
	}
	if restored := roundTrip(t, s.View()).View().Size(); restored != want {
		t.Errorf("restored: %+v, want %+v", restored, want)
	}
	if small, large := New().View().Size().Memory(), got.Memory(); small != 0 || large <= 4 {
		t.Errorf("an empty state takes %d, this one %d", small, large)
	}
}

// TestHotKeys reads keys of very many versions at every revision, and compares with
// what the commits up to there come to.
func TestHotKeys(t *testing.T) {
	s := New()
	for i := range 400 {
		op := registry.Op{Put: &registry.PutRequest{Key: fmt.Sprint("k", i*7%3), Value: fmt.Append(nil, i)}}
		if i%11 == 0 {
			op = registry.Op{Delete: &registry.DeleteRequest{KeyRange: registry.One(fmt.Sprint("k", i%3))}}
		}
		s.Apply(&Command{Txn: &registry.Txn{Then: []registry.Op{op}}})
	}
	v := s.Publish()
	now := map[string]registry.KeyValue{}
	if err := v.Commits(0, 0, v.Revision(0), func(c registry.Commit) bool {
		for _, e := range c.Events {
			if now[e.KV.Key] = e.KV; e.Type == registry.EventDelete {
				delete(now, e.KV.Key)
			}
		}
		got, err := v.Range(registry.RangeRequest{KeyRange: registry.All(), Revision: c.Revision})
		if want := inRange(now, registry.All()); err != nil || text(got.KVs) != text(want) {
			t.Fatalf("at %d: %s, %v\nwant %s", c.Revision, text(got.KVs), err, text(want))
		}
		return true
	}); err != nil {
		t.Fatal(err)
	}
}

func TestAViewFromTheMiddleOfAnEntryDoesNotContainIt(t *testing.T) {
	s := New()
	s.SetApplied(1)
	s.Apply(&Command{Grant: &LeaseGrant{ID: 1}})
	if v := s.Publish(); v.Applied() != 1 {
		t.Errorf("in the middle of entry 2 a view says it contains %d", v.Applied())
	}
	s.SetApplied(2)
	if v := s.Publish(); v.Applied() != 2 {
		t.Errorf("after entry 2 a view says it contains %d", v.Applied())
	}
}
