package grpcserver

import (
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"herald/registry"
	"herald/registry/plugin"
	"herald/registry/storetest"
)

const (
	leaseNotFound = "etcdserver: requested lease not found"
	leaseExists   = "etcdserver: lease already exists"
)

func TestLeaseGrant(t *testing.T) {
	h := open(t)
	leases := pb.NewLeaseClient(h.conn)
	put(t, h.store, "k", nil)
	for _, c := range []struct {
		id, ttl int64
		granted int64
		code    codes.Code
		text    string
	}{
		{id: 7, ttl: 60, granted: 60},
		{id: 7, ttl: 60, code: codes.FailedPrecondition, text: leaseExists},
		{id: 8, ttl: 0, granted: 2},
		{id: 9, ttl: -5, granted: 2},
		{id: 10, ttl: math.MinInt64, granted: 2},
		{id: 11, ttl: 1, granted: 2},
		{id: 12, ttl: 2, granted: 2},
		{id: 13, ttl: 9_000_000_000, granted: 9_000_000_000},
		{id: 14, ttl: 9_000_000_001, code: codes.OutOfRange, text: "etcdserver: too large lease TTL"},
		{id: 7, ttl: math.MaxInt64, code: codes.OutOfRange, text: "etcdserver: too large lease TTL"},
		{id: -1, ttl: 60, granted: 60},
		{id: math.MinInt64, ttl: 60, granted: 60},
		{id: math.MaxInt64, ttl: 60, granted: 60},
	} {
		a, err := leases.LeaseGrant(t.Context(), &pb.LeaseGrantRequest{ID: c.id, TTL: c.ttl})
		wantStatus(t, "grant", err, c.code, c.text)
		if err == nil && (a.ID != c.id || a.TTL != c.granted || a.Error != "" || a.Header.GetRevision() != 2) {
			t.Errorf("grant of %d for %d s: %v", c.id, c.ttl, a)
		}
	}
	for range 20 {
		a, err := leases.LeaseGrant(t.Context(), &pb.LeaseGrantRequest{TTL: 60})
		if err != nil || a.ID <= 0 {
			t.Errorf("the store's own id: %v, %v", a, err)
		}
	}
	if _, err := h.store.Lease(t.Context(), 14, false); !errors.Is(err, registry.ErrLeaseNotFound) {
		t.Errorf("a lease that was refused: %v", err)
	}
}

func TestLeaseRevoke(t *testing.T) {
	h := open(t)
	leases, kv := pb.NewLeaseClient(h.conn), pb.NewKVClient(h.conn)
	w, err := h.store.Watch(t.Context(), registry.WatchRequest{KeyRange: registry.All(), SkipPuts: true})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	grantLease(t, h.store, 7, time.Minute)
	for _, key := range []string{"b", "a", "kept"} {
		if _, err := kv.Put(t.Context(), &pb.PutRequest{Key: []byte(key), Lease: 7}); err != nil {
			t.Fatal(err)
		}
	}
	put(t, h.store, "kept", nil) // detached
	a, err := leases.LeaseRevoke(t.Context(), &pb.LeaseRevokeRequest{ID: 7})
	if err != nil || a.Header.Revision != 6 {
		t.Errorf("revoke: %v, %v; want revision 6", a, err)
	}
	commits, err := w.Next(t.Context())
	if err != nil || len(commits) != 1 || commits[0].Revision != 6 || len(commits[0].Events) != 2 ||
		commits[0].Events[0].KV.Key != "a" || commits[0].Events[1].KV.Key != "b" {
		t.Errorf("deletions: %+v, %v; want a and b in revision 6", commits, err)
	}
	for _, id := range []int64{7, 0, 99, -1} {
		_, err := leases.LeaseRevoke(t.Context(), &pb.LeaseRevokeRequest{ID: id})
		wantStatus(t, "revoke of none", err, codes.NotFound, leaseNotFound)
	}
	// One without keys moves nothing.
	grantLease(t, h.store, 8, time.Minute)
	if a, err = leases.LeaseRevoke(t.Context(), &pb.LeaseRevokeRequest{ID: 8}); err != nil || a.Header.Revision != 6 {
		t.Errorf("revoke without keys: %v, %v; want revision 6", a, err)
	}
	// Another door's, which does not end by itself.
	grantLease(t, h.store, 9, registry.NoTTL)
	if _, err = leases.LeaseRevoke(t.Context(), &pb.LeaseRevokeRequest{ID: 9}); err != nil {
		t.Errorf("revoke of another door's lease: %v", err)
	}
}

// lagging is a cluster of which this server has not the newest state.
type lagging struct {
	registry.Cluster
	kv int64
}

func (l lagging) Status() registry.Status {
	s := l.Cluster.Status()
	s.Revisions[registry.SpaceKV] = l.kv
	return s
}

// The revision that a revocation is answered with is the one that it made, also by a server
// whose state does not have it yet.
func TestLeaseRevokeTellsItsOwnRevision(t *testing.T) {
	h := open(t, func(_ *Config, host *plugin.Host) { host.Cluster = lagging{host.Cluster, 2} })
	grantLease(t, h.store, 7, time.Minute)
	if _, err := registry.Put(t.Context(), h.store, registry.PutRequest{Key: "k", Lease: 7}); err != nil {
		t.Fatal(err)
	}
	a, err := pb.NewLeaseClient(h.conn).LeaseRevoke(t.Context(), &pb.LeaseRevokeRequest{ID: 7})
	if err != nil || a.Header.Revision != 3 {
		t.Errorf("revoke: %v, %v; want revision 3", a, err)
	}
}

func TestLeaseTimeToLive(t *testing.T) {
	h := open(t)
	leases := pb.NewLeaseClient(h.conn)
	grantLease(t, h.store, 1, time.Hour)
	grantLease(t, h.store, 2, registry.NoTTL)
	grantLease(t, h.store, 3, 600*time.Second+500*time.Millisecond)
	grantLease(t, h.store, 4, registry.MaxTTL)
	for _, p := range []registry.PutRequest{
		{Key: "y", Lease: 1}, {Key: "x", Lease: 1}, {Key: "z", Lease: 2},
		{Space: registry.SpaceCatalog, Key: "node", Lease: 1}, {Space: registry.SpaceSession, Key: "session", Lease: 1},
	} {
		if _, err := registry.Put(t.Context(), h.store, p); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		id      int64
		keys    bool
		granted int64
		least   int64
		want    string
	}{
		{id: 1, granted: 3600, least: 3500},
		{id: 1, keys: true, granted: 3600, least: 3500, want: "xy"},
		{id: 2, keys: true, granted: 9_000_000_000, least: 9_000_000_000, want: "z"},
		{id: 3, keys: true, granted: 600, least: 500},
		{id: 4, granted: 9_000_000_000, least: 8_999_999_900},
	} {
		a, err := leases.LeaseTimeToLive(t.Context(), &pb.LeaseTimeToLiveRequest{ID: c.id, Keys: c.keys})
		if err != nil {
			t.Fatal(err)
		}
		var keys string
		for _, k := range a.Keys {
			keys += string(k)
		}
		if a.ID != c.id || a.GrantedTTL != c.granted || a.TTL < c.least || a.TTL > c.granted || keys != c.want || a.Header.Revision != 4 {
			t.Errorf("lease %d: %v, want at least %d s of %d and the keys %q", c.id, a, c.least, c.granted, c.want)
		}
	}
	for _, id := range []int64{0, 99, -1, math.MinInt64} {
		a, err := leases.LeaseTimeToLive(t.Context(), &pb.LeaseTimeToLiveRequest{ID: id, Keys: true})
		if err != nil || a.ID != id || a.TTL != -1 || a.GrantedTTL != 0 || len(a.Keys) != 0 || a.Header.GetRevision() != 4 {
			t.Errorf("unknown lease %d: %v, %v; want a time to live of -1", id, a, err)
		}
	}
}

func TestLeaseLeases(t *testing.T) {
	h := open(t)
	leases := pb.NewLeaseClient(h.conn)
	want := []int64{-3, 1, 2, math.MaxInt64}
	for _, id := range want {
		grantLease(t, h.store, registry.LeaseID(id), registry.NoTTL)
	}
	a, err := leases.LeaseLeases(t.Context(), &pb.LeaseLeasesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var got []int64
	for _, l := range a.Leases {
		got = append(got, l.ID)
	}
	if !slices.Equal(got, want) || a.Header.GetRevision() != 1 {
		t.Errorf("leases: %v at %d, want %v at 1", got, a.Header.GetRevision(), want)
	}
}

// The leases of agents and of HTTP sessions are none of etcd's clients'; one that holds a lock on a key beside its session is one of those.
func TestLeaseLeasesLeavesOutOtherDoors(t *testing.T) {
	h := open(t)
	for id := range registry.LeaseID(4) {
		grantLease(t, h.store, id+1, registry.NoTTL)
	}
	attach := func(p registry.PutRequest) {
		t.Helper()
		if _, err := registry.Put(t.Context(), h.store, p); err != nil {
			t.Fatal(err)
		}
	}
	attach(registry.PutRequest{Space: registry.SpaceCatalog, Key: "s/last", Lease: 1})
	attach(registry.PutRequest{Space: registry.SpaceSession, Key: "session", Lease: 2})
	attach(registry.PutRequest{Key: "locked", Lock: registry.LockAcquire, Holder: 2})
	attach(registry.PutRequest{Key: "k", Lease: 3})
	a, err := pb.NewLeaseClient(h.conn).LeaseLeases(t.Context(), &pb.LeaseLeasesRequest{})
	if err != nil || len(a.Leases) != 2 || a.Leases[0].ID != 3 || a.Leases[1].ID != 4 {
		t.Errorf("%v, %v, want the leases 3 and 4", a, err)
	}
}

func TestLeaseKeepAlive(t *testing.T) {
	h := open(t)
	grantLease(t, h.store, 7, time.Minute)
	grantLease(t, h.store, 8, registry.NoTTL)
	grantLease(t, h.store, 9, time.Second/2)
	put(t, h.store, "k", nil)
	stream, err := pb.NewLeaseClient(h.conn).LeaseKeepAlive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	asked := []struct{ id, ttl int64 }{{7, 60}, {99, 0}, {0, 0}, {8, 9_000_000_000}, {9, 1}, {-1, 0}, {7, 60}}
	for _, c := range asked {
		if err := stream.Send(&pb.LeaseKeepAliveRequest{ID: c.id}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range asked {
		a, err := stream.Recv()
		if err != nil || a.ID != c.id || a.TTL != c.ttl || a.Header.GetRevision() != 2 {
			t.Errorf("keepalive of %d: %v, %v; want %d s", c.id, a, err, c.ttl)
		}
	}
	// What was asked before the client said that it has no more is still answered.
	for range 50 {
		if err := stream.Send(&pb.LeaseKeepAliveRequest{ID: 7}); err != nil {
			t.Fatal(err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		if a, err := stream.Recv(); err != nil || a.TTL != 60 {
			t.Fatalf("answer %d of 50: %v, %v", i+1, a, err)
		}
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("end: %v, want %v", err, io.EOF)
	}
}

// Whatever keeps the door from knowing that a lease lives on ends the stream: no answer
// may say that it does, nor that it has ended.
func TestLeaseKeepAliveWithoutAnAnswer(t *testing.T) {
	for _, c := range []struct {
		err  error
		text string
	}{
		{registry.ErrNoLeader, "etcdserver: no leader"},
		{registry.ErrUnavailable, "etcdserver: leader changed"},
		{registry.ErrTimeout, "etcdserver: request timed out"},
	} {
		h := open(t)
		grantLease(t, h.store, 7, time.Minute)
		stream, err := pb.NewLeaseClient(h.conn).LeaseKeepAlive(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		h.store.SetOutage(c.err)
		if err := stream.Send(&pb.LeaseKeepAliveRequest{ID: 7}); err != nil {
			t.Fatal(err)
		}
		_, err = stream.Recv()
		wantStatus(t, "keepalive", err, codes.Unavailable, c.text)
	}
}

func TestLeaseKeepAliveEndsWithTheDoor(t *testing.T) {
	h := open(t, func(_ *Config, host *plugin.Host) { host.DrainTimeout = time.Hour })
	stream, err := pb.NewLeaseClient(h.conn).LeaseKeepAlive(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&pb.LeaseKeepAliveRequest{ID: 7}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	if err := h.stop(); err != nil {
		t.Error(err)
	}
	_, err = stream.Recv()
	wantStatus(t, "after the door's end", err, codes.Unavailable, "etcdserver: server stopped")
}

func TestLeaseKeepAliveEndsWithTheClient(t *testing.T) {
	h := open(t)
	grantLease(t, h.store, 7, time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	stream, err := pb.NewLeaseClient(h.conn).LeaseKeepAlive(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 { // more than fit into the queue, with nobody to take the answers
		if err := stream.Send(&pb.LeaseKeepAliveRequest{ID: 7}); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	for err = nil; err == nil; {
		_, err = stream.Recv()
	}
	wantStatus(t, "stream", err, codes.Canceled, "")
	// That its goroutines have ended is for goleak to say.
}

// No call of the service is answered from what one server happens to know.
func TestLeasesWithoutALeader(t *testing.T) {
	h := open(t)
	leases := pb.NewLeaseClient(h.conn)
	grantLease(t, h.store, 7, time.Minute)
	h.store.SetOutage(registry.ErrNoLeader)
	requiring := metadata.AppendToOutgoingContext(t.Context(), "hasleader", "true")
	for what, call := range map[string]func(context.Context) error{
		"grant": func(ctx context.Context) error {
			_, err := leases.LeaseGrant(ctx, &pb.LeaseGrantRequest{TTL: 9})
			return err
		},
		"revoke": func(ctx context.Context) error {
			_, err := leases.LeaseRevoke(ctx, &pb.LeaseRevokeRequest{ID: 7})
			return err
		},
		"timetolive": func(ctx context.Context) error {
			_, err := leases.LeaseTimeToLive(ctx, &pb.LeaseTimeToLiveRequest{ID: 7})
			return err
		},
		"leases": func(ctx context.Context) error {
			_, err := leases.LeaseLeases(ctx, &pb.LeaseLeasesRequest{})
			return err
		},
	} {
		wantStatus(t, what, call(t.Context()), codes.Unavailable, "etcdserver: no leader")
		wantStatus(t, what, call(requiring), codes.Unavailable, "etcdserver: no leader")
	}
}

// What a lease's holder is told, by a clock.
func TestLeaseByTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := storetest.NewMemory(t)
		s := &leaseService{core: newCore(DefaultConfig(), &plugin.Host{Store: m, Cluster: m})}
		a, err := s.LeaseGrant(t.Context(), &pb.LeaseGrantRequest{ID: 7, TTL: 10})
		if err != nil || a.TTL != 10 {
			t.Fatal(a, err)
		}
		if _, err := registry.Put(t.Context(), m, registry.PutRequest{Key: "k", Lease: 7}); err != nil {
			t.Fatal(err)
		}
		left := func(want int64) {
			t.Helper()
			synctest.Wait()
			a, err := s.LeaseTimeToLive(t.Context(), &pb.LeaseTimeToLiveRequest{ID: 7})
			if err != nil || a.TTL != want {
				t.Errorf("time to live: %v, %v; want %d", a, err, want)
			}
		}
		left(10)
		time.Sleep(time.Nanosecond)
		left(9)
		time.Sleep(8 * time.Second)
		left(1)
		time.Sleep(time.Second)
		left(0)
		if a, err := s.keepAlive(t.Context(), 7); err != nil || a.TTL != 10 {
			t.Errorf("keepalive: %v, %v", a, err)
		}
		left(10)
		time.Sleep(10*time.Second - time.Nanosecond)
		left(0)
		time.Sleep(time.Nanosecond)
		left(-1)
		if a, err := s.keepAlive(t.Context(), 7); err != nil || a.TTL != 0 || a.Header.Revision != 3 {
			t.Errorf("keepalive after the end: %v, %v; want a time to live of 0, and the key's deletion", a, err)
		}
	})
}

func TestLeasesThroughTheGateway(t *testing.T) {
	h := open(t)
	for _, c := range []struct {
		path, body string
		code       int
	}{
		{"/v3/lease/grant", `{"ID":"7","TTL":"60"}`, 200},
		{"/v3/lease/grant", `{"ID":"7","TTL":"60"}`, 400},
		{"/v3/lease/keepalive", `{"ID":"7"}`, 200},
		{"/v3/lease/timetolive", `{"ID":"7"}`, 200},
		{"/v3/kv/lease/timetolive", `{"ID":"7"}`, 200},
		{"/v3/lease/leases", `{}`, 200},
		{"/v3/kv/lease/leases", `{}`, 200},
		{"/v3/lease/revoke", `{"ID":"7"}`, 200},
		{"/v3/kv/lease/revoke", `{"ID":"7"}`, 404},
	} {
		if code, answer := h.post(c.path, c.body); code != c.code {
			t.Errorf("%s %s: %d %s, want %d", c.path, c.body, code, answer, c.code)
		}
	}
}

func grantLease(t testing.TB, s registry.Store, id registry.LeaseID, ttl time.Duration) {
	t.Helper()
	if _, err := s.GrantLease(context.Background(), id, ttl); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkLeaseKeepAlive is of as many streams as run in parallel (-cpu), each with a request
// under way at a time.
func BenchmarkLeaseKeepAlive(b *testing.B) {
	h := open(b)
	grantLease(b, h.store, 7, time.Hour)
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(p *testing.PB) {
		stream, err := pb.NewLeaseClient(h.conn).LeaseKeepAlive(b.Context())
		if err != nil {
			b.Error(err)
			return
		}
		for p.Next() {
			if err := stream.Send(&pb.LeaseKeepAliveRequest{ID: 7}); err != nil {
				b.Error(err)
				return
			}
			if a, err := stream.Recv(); err != nil || a.TTL != 3600 {
				b.Error(a, err)
				return
			}
		}
	})
}
