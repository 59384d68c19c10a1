package grpcserver

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"herald/grpcserver/lockpb"
	"herald/registry"
	"herald/registry/plugin"
	"herald/registry/storetest"
)

// inQueue are the keys of a queue, in the order of their creation.
func inQueue(t testing.TB, s registry.Store, name string) []registry.KeyValue {
	t.Helper()
	r := first(queuePrefix([]byte(name)))
	r.Limit = 0
	res, err := s.Range(context.Background(), *r)
	if err != nil {
		t.Fatal(err)
	}
	return res.KVs
}

// awaitQueue waits until a queue is so long.
func awaitQueue(t testing.TB, s registry.Store, name string, want int) {
	t.Helper()
	w, err := s.Watch(t.Context(), registry.WatchRequest{KeyRange: registry.Prefix(queuePrefix([]byte(name)))})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for len(inQueue(t, s, name)) != want {
		if _, err := w.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

type lockResult struct {
	answer *lockpb.LockResponse
	err    error
}

// lockLater asks for a lock beside the test, and returns once the place in the queue is taken.
func lockLater(ctx context.Context, t testing.TB, h *harness, name string, lease int64) <-chan lockResult {
	t.Helper()
	before := len(inQueue(t, h.store, name))
	done := make(chan lockResult, 1)
	go func() {
		a, err := lockpb.NewLockClient(h.conn).Lock(ctx, &lockpb.LockRequest{Name: []byte(name), Lease: lease})
		done <- lockResult{a, err}
	}()
	awaitQueue(t, h.store, name, before+1)
	return done
}

func TestLock(t *testing.T) {
	h := open(t)
	locks := lockpb.NewLockClient(h.conn)
	for id := registry.LeaseID(1); id <= 5; id++ {
		grantLease(t, h.store, id*0x1a, time.Hour)
	}
	a, err := locks.Lock(t.Context(), &lockpb.LockRequest{Name: []byte("l"), Lease: 0x1a})
	if err != nil || string(a.Key) != "l/1a" || a.Header.Revision != 2 {
		t.Fatalf("the first: %v, %v", a, err)
	}
	if kv := inQueue(t, h.store, "l")[0]; kv.Lease != 0x1a || len(kv.Value) != 0 {
		t.Errorf("its key: %+v", kv)
	}
	if a, err = locks.Lock(t.Context(), &lockpb.LockRequest{Name: []byte("l"), Lease: 0x1a}); err != nil || string(a.Key) != "l/1a" {
		t.Errorf("the holder again: %v, %v", a, err)
	}
	var waiting []<-chan lockResult
	for id := int64(2); id <= 5; id++ {
		waiting = append(waiting, lockLater(t.Context(), t, h, "l", id*0x1a))
	}
	// The lock goes from one to the next in the order of their coming, however it is given up.
	holder := a.Key
	for i, w := range waiting {
		if i%2 == 0 {
			_, err = locks.Unlock(t.Context(), &lockpb.UnlockRequest{Key: holder})
		} else {
			_, err = h.store.RevokeLease(t.Context(), registry.LeaseID(i+1)*0x1a)
		}
		if err != nil {
			t.Fatal(err)
		}
		r := <-w
		if want := fmt.Sprintf("l/%x", (i+2)*0x1a); r.err != nil || string(r.answer.Key) != want || r.answer.Header.Revision != int64(7+i) {
			t.Fatalf("waiter %d: %v, %v; want %s at %d", i, r.answer, r.err, want, 7+i)
		}
		holder = r.answer.Key
	}
	u, err := locks.Unlock(t.Context(), &lockpb.UnlockRequest{Key: holder})
	if err != nil || u.Header.Revision != 11 {
		t.Errorf("unlock: %v, %v", u, err)
	}
	if u, err = locks.Unlock(t.Context(), &lockpb.UnlockRequest{Key: holder}); err != nil || u.Header.Revision != 11 {
		t.Errorf("unlock again: %v, %v; want no error and the same revision", u, err)
	}
}

func TestLockErrors(t *testing.T) {
	h := open(t)
	locks := lockpb.NewLockClient(h.conn)
	_, err := locks.Lock(t.Context(), &lockpb.LockRequest{Name: []byte("l"), Lease: 99})
	wantStatus(t, "an unknown lease", err, codes.Unknown, "etcdserver: requested lease not found")
	_, err = locks.Lock(t.Context(), &lockpb.LockRequest{Name: make([]byte, 1600<<10)})
	wantStatus(t, "a long name", err, codes.Unknown, "etcdserver: request is too large")
	if ids, err := h.store.ListLeases(t.Context()); err != nil || len(ids) != 0 {
		t.Errorf("leases that are left: %v, %v; want none", ids, err)
	}
	_, err = locks.Unlock(t.Context(), &lockpb.UnlockRequest{})
	wantStatus(t, "no key", err, codes.Unknown, "etcdserver: key is not provided")
	h.store.SetOutage(registry.ErrNoLeader)
	_, err = locks.Lock(t.Context(), &lockpb.LockRequest{Name: []byte("l"), Lease: 99})
	wantStatus(t, "no leader", err, codes.Unavailable, "etcdserver: no leader")
}

func TestLockThroughTheGateway(t *testing.T) {
	h := open(t)
	grantLease(t, h.store, 7, time.Hour)
	if code, answer := h.post("/v3/lock/lock", `{"name":"bA==","lease":"7"}`); code != 200 {
		t.Errorf("lock: %d %s", code, answer)
	}
	if code, answer := h.post("/v3/lock/lock", `{"name":"bA==","lease":"8"}`); code != 500 {
		t.Errorf("lock by an unknown lease: %d %s, want 500", code, answer)
	}
	if code, answer := h.post("/v3/lock/unlock", `{"key":"bC83"}`); code != 200 || len(inQueue(t, h.store, "l")) != 0 {
		t.Errorf("unlock: %d %s", code, answer)
	}
}

// A waiter need not wait for its turn to hear that it will have none.
func TestLockWaiterWhoseLeaseEnds(t *testing.T) {
	h := open(t)
	for id := registry.LeaseID(1); id <= 3; id++ {
		grantLease(t, h.store, id, time.Hour)
	}
	<-lockLater(t.Context(), t, h, "l", 1)
	second := lockLater(t.Context(), t, h, "l", 2)
	third := lockLater(t.Context(), t, h, "l", 3)
	if _, err := h.store.RevokeLease(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, "the second", (<-second).err, codes.Unknown, "mutex: session is expired")
	if _, err := h.store.RevokeLease(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if r := <-third; r.err != nil {
		t.Errorf("the third: %v", r.err)
	}
}

func TestLockWaiterThatGoes(t *testing.T) {
	h := open(t)
	for id := registry.LeaseID(1); id <= 2; id++ {
		grantLease(t, h.store, id, time.Hour)
	}
	<-lockLater(t.Context(), t, h, "l", 1)
	for _, lease := range []int64{2, 0} {
		ctx, cancel := context.WithCancel(t.Context())
		w := lockLater(ctx, t, h, "l", lease)
		cancel()
		wantStatus(t, "the waiter", (<-w).err, codes.Canceled, "")
		awaitQueue(t, h.store, "l", 1)
	}
	// What the door made for it has gone with it.
	if ids, err := h.store.ListLeases(t.Context()); err != nil || len(ids) != 2 {
		t.Errorf("leases: %v, %v; want the two of before", ids, err)
	}
}

func TestLockWaiterEndsWithTheDoor(t *testing.T) {
	h := open(t, func(_ *Config, host *plugin.Host) { host.DrainTimeout = time.Hour })
	for id := registry.LeaseID(1); id <= 2; id++ {
		grantLease(t, h.store, id, time.Hour)
	}
	<-lockLater(t.Context(), t, h, "l", 1)
	w := lockLater(t.Context(), t, h, "l", 2)
	if err := h.stop(); err != nil {
		t.Error(err)
	}
	wantStatus(t, "the waiter", (<-w).err, codes.Unavailable, "etcdserver: server stopped")
	if n := len(inQueue(t, h.store, "l")); n != 1 {
		t.Errorf("%d places are left, want the holder's", n)
	}
}

// A waiter keeps its place through whatever happens to the history of the store.
func TestLockWaiterOutlastsTheHistory(t *testing.T) {
	h := open(t)
	for id := registry.LeaseID(1); id <= 2; id++ {
		grantLease(t, h.store, id, time.Hour)
	}
	<-lockLater(t.Context(), t, h, "l", 1)
	w := lockLater(t.Context(), t, h, "l", 2)
	put(t, h.store, "other", nil)
	if err := h.store.Compact(t.Context(), registry.SpaceKV, 4); err != nil {
		t.Fatal(err)
	}
	snapshot, err := h.store.Snapshot()
	if err == nil {
		err = h.store.Restore(snapshot)
	}
	if err != nil {
		t.Fatal(err)
	}
	// The holder's key goes and comes back in one transaction, as another's. Who holds
	// the lock now is who waited.
	_, err = h.store.Txn(t.Context(), registry.Txn{Then: []registry.Op{
		{Delete: &registry.DeleteRequest{KeyRange: registry.One("l/1")}},
		{Put: &registry.PutRequest{Key: "l/1", Lease: 1}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if r := <-w; r.err != nil {
		t.Errorf("the waiter: %v", r.err)
	}
}

// The door keeps a lease that it made alive as long as its client waits, and lets it end
// when the client, which has the lock then, does nothing for it.
func TestLockWithALeaseOfTheDoor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := storetest.NewMemory(t)
		s := &lockService{core: newCore(DefaultConfig(), &plugin.Host{Store: m, Cluster: m, Log: slog.New(slog.DiscardHandler)})}
		grantLease(t, m, 1, registry.NoTTL)
		if _, err := s.Lock(t.Context(), &lockpb.LockRequest{Name: []byte("l"), Lease: 1}); err != nil {
			t.Fatal(err)
		}
		var got lockResult
		go func() {
			got.answer, got.err = s.Lock(t.Context(), &lockpb.LockRequest{Name: []byte("l")})
		}()
		time.Sleep(time.Hour)
		synctest.Wait()
		if got.answer != nil || got.err != nil {
			t.Fatalf("after an hour: %v, %v; want it to wait", got.answer, got.err)
		}
		if _, err := m.RevokeLease(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got.err != nil || got.answer == nil {
			t.Fatalf("after its turn came: %v, %v", got.answer, got.err)
		}
		time.Sleep(ownTTL)
		synctest.Wait()
		if n := len(inQueue(t, m, "l")); n != 0 {
			t.Errorf("%d places are left after the lease's time, want none", n)
		}
	})
}
