package etcdclient

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"herald/grpcserver"
	"herald/registry"
	"herald/registry/plugin"
	"herald/registry/storetest"
)

// open is a client of a door to a store in memory.
func open(t *testing.T) (*Store, *storetest.Memory) {
	t.Helper()
	memory := storetest.NewMemory(t)
	door := grpcserver.New()
	door.Config().(*grpcserver.Config).Address = "127.0.0.1:0"
	err := door.Open(t.Context(), &plugin.Host{
		Node: "test", Server: true, Store: memory, Cluster: memory, Log: slog.New(slog.DiscardHandler), DrainTimeout: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- door.Run(ctx) }()
	s, err := Open(door.Addresses()[0].Address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s, memory
}

func put(key, value string) registry.Op {
	return registry.Op{Put: &registry.PutRequest{Key: key, Value: []byte(value)}}
}

func TestKeys(t *testing.T) {
	s, _ := open(t)
	ctx := t.Context()
	cas := func(rev int64, value string) registry.TxnResult {
		t.Helper()
		res, err := s.Txn(ctx, registry.Txn{
			Compare: []registry.Compare{{KeyRange: registry.One("a"), Target: registry.CompareMod, Int: rev}},
			Then:    []registry.Op{put("a", value), put("b", value), {Delete: &registry.DeleteRequest{KeyRange: registry.One("c")}}},
			Else:    []registry.Op{{Range: &registry.RangeRequest{KeyRange: registry.One("a")}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	if res := cas(0, "1"); !res.Succeeded || res.Revisions[registry.SpaceKV] != 2 || res.Results[2].Delete.Deleted != 0 {
		t.Errorf("%+v", res)
	}
	res := cas(0, "2")
	if found := res.Results[0].Range.KVs; res.Succeeded || len(found) != 1 || string(found[0].Value) != "1" || found[0].ModRevision != 2 {
		t.Errorf("%+v", res)
	}
	all, err := s.Range(ctx, registry.RangeRequest{KeyRange: registry.All(), Limit: 1})
	if err != nil || all.Count != 2 || !all.More || all.Revision != 2 || all.KVs[0].Key != "a" {
		t.Errorf("%+v, %v", all, err)
	}
	stale, err := s.Range(ctx, registry.RangeRequest{KeyRange: registry.Prefix("b"), Consistency: registry.Stale})
	if err != nil || len(stale.KVs) != 1 {
		t.Errorf("%+v, %v", stale, err)
	}
	for what, call := range map[string]func() error{
		"another space": func() error {
			_, err := s.Range(ctx, registry.RangeRequest{Space: registry.SpaceCatalog, KeyRange: registry.All()})
			return err
		},
		"a lock": func() error {
			_, err := registry.Put(ctx, s, registry.PutRequest{Key: "a", Lock: registry.LockAcquire, Holder: 1})
			return err
		},
		"a put that keeps the lease": func() error {
			_, err := registry.Put(ctx, s, registry.PutRequest{Key: "a", KeepLease: true})
			return err
		},
		"a deletion in another space": func() error {
			_, err := registry.Delete(ctx, s, registry.DeleteRequest{Space: registry.SpaceCatalog, KeyRange: registry.All()})
			return err
		},
		"a range that is sorted": func() error {
			_, err := s.Range(ctx, registry.RangeRequest{KeyRange: registry.All(), SortTarget: registry.SortByCreate, SortOrder: registry.SortDescend})
			return err
		},
	} {
		if err := call(); !errors.Is(err, registry.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := s.Range(ctx, registry.RangeRequest{KeyRange: registry.One("a"), Revision: 99}); !errors.Is(err, registry.ErrFutureRevision) {
		t.Errorf("a future revision: %v", err)
	}
}

// A watch delivers everything once, whole, and says how far it is where nothing happens.
func TestWatch(t *testing.T) {
	s, memory := open(t)
	ctx := t.Context()
	must := func(ops ...registry.Op) {
		t.Helper()
		if _, err := memory.Txn(ctx, registry.Txn{Then: ops}); err != nil {
			t.Fatal(err)
		}
	}
	must(put("b", "1"), put("a", "1"), put("x", "1"))
	must(put("a", "2"))
	w, err := s.Watch(ctx, registry.WatchRequest{KeyRange: registry.KeyRange{Start: "a", End: "c"}, StartRevision: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	must(registry.Op{Delete: &registry.DeleteRequest{KeyRange: registry.All()}})
	must(put("x", "2"))
	want := []int{2, 1, 2} // events of revisions 2, 3, 4
	for rev := int64(2); len(want) > 0; {
		commits, err := w.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range commits {
			if c.Revision != rev || len(c.Events) != want[0] {
				t.Fatalf("%+v, want %d events of revision %d", c, want[0], rev)
			}
			if rev == 2 && (c.Events[0].KV.Key != "a" || c.Events[0].Seq != 1 || c.Events[1].KV.Key != "b" || c.Events[1].Seq != 0) {
				t.Errorf("%+v, want a, which was second, and b, which was first", c.Events)
			}
			if rev == 4 && (c.Events[0].Type != registry.EventDelete || c.Events[0].Prev == nil || c.Events[0].Prev.ModRevision != 3) {
				t.Errorf("%+v", c.Events[0])
			}
			rev, want = rev+1, want[1:]
		}
	}
	for w.Synced() < 5 {
		short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
		commits, err := w.Next(short)
		cancel()
		if len(commits) > 0 || !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("%v, %v", commits, err)
		}
	}
	if err := s.Compact(ctx, registry.SpaceKV, 4); err != nil {
		t.Fatal(err)
	}
	var compacted *registry.CompactedError
	late, err := s.Watch(ctx, registry.WatchRequest{KeyRange: registry.All(), StartRevision: 2})
	if err == nil {
		_, err = late.Next(ctx)
	}
	if !errors.As(err, &compacted) || compacted.Lowest != 4 {
		t.Errorf("a watch from what was compacted: %v", err)
	}
}

func TestLeasesAndMutexes(t *testing.T) {
	s, memory := open(t)
	ctx := t.Context()
	var ids []registry.LeaseID
	for range 2 {
		l, err := s.GrantLease(ctx, 0, time.Minute)
		if err != nil || l.TTL != time.Minute {
			t.Fatalf("%+v, %v", l, err)
		}
		ids = append(ids, l.ID)
	}
	if l, err := s.KeepAlive(ctx, ids[0]); err != nil || l.TTL != time.Minute {
		t.Errorf("%+v, %v", l, err)
	}
	if _, err := s.KeepAlive(ctx, 99); !errors.Is(err, registry.ErrLeaseNotFound) {
		t.Errorf("a lease that is not there: %v", err)
	}
	var tokens []int64
	for i, id := range ids {
		m, err := s.NewMutex("mutex", id)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Abandon()
		if i > 0 {
			if _, taken, err := m.TryLock(ctx); taken || err != nil {
				t.Fatalf("it is taken twice (%v)", err)
			}
			if _, err := s.RevokeLease(ctx, ids[0]); err != nil {
				t.Fatal(err)
			}
		}
		token, taken, err := m.TryLock(ctx)
		if !taken || err != nil {
			t.Fatalf("it is not taken: %v", err)
		}
		tokens = append(tokens, token)
	}
	if tokens[0] >= tokens[1] {
		t.Errorf("tokens %v", tokens)
	}
	if left, err := memory.ListLeases(ctx); err != nil || len(left) != 1 || left[0] != ids[1] {
		t.Errorf("leases %v, %v", left, err)
	}
}

// Of a server that was never reached, nothing can have taken effect.
func TestNobodyThere(t *testing.T) {
	s, err := Open("127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := registry.Put(t.Context(), s, registry.PutRequest{Key: "a"}); !errors.Is(err, registry.ErrUnavailable) {
		t.Errorf("%v", err)
	}
}
