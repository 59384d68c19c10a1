package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"herald/registry"
	"herald/registry/catalog"
	"herald/registry/storetest"
	"herald/registry/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a store in memory with a catalog, a node with two checks, and a keeper.
type bench struct {
	*Sessions
	t     *testing.T
	store *storetest.Memory
	leads atomic.Bool
}

// newBench is called in a synctest bubble.
func newBench(t *testing.T) *bench {
	b := &bench{t: t, store: storetest.NewMemory(t)}
	b.leads.Store(true)
	c := catalog.New()
	b.Sessions = New(b.store, c)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = c.Follow(ctx, b.store) })
	wg.Go(func() { _ = NewKeeper(b.Sessions, b.leads.Load, slog.New(slog.DiscardHandler)).Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	b.do(catalog.PutNode(registry.Node{Name: "Web-1", Address: "10.0.0.1"}, 0))
	b.check(ServerCheck, "", registry.Passing)
	b.do(catalog.PutInstance(registry.Instance{Node: "Web-1", ID: "web", Service: "web"}, 0))
	b.check("service:web", "web", registry.Passing)
	return b
}

func (b *bench) do(ops ...registry.Op) {
	b.t.Helper()
	if _, err := b.store.Txn(b.t.Context(), registry.Txn{Then: ops}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) check(id, service string, status registry.HealthStatus) {
	b.t.Helper()
	b.do(catalog.PutCheck(registry.Check{Node: "Web-1", ID: id, Name: id, ServiceID: service, ServiceName: service, Status: status}, 0))
}

// make makes a session on the node, with adjust of what is usual.
func (b *bench) make(adjust func(*Session)) ID {
	b.t.Helper()
	want := Session{Node: "web-1", LockDelay: 15 * time.Second, Behavior: Release, NodeChecks: []string{ServerCheck}}
	if adjust != nil {
		adjust(&want)
	}
	id, err := b.Create(b.t.Context(), want)
	if err != nil {
		b.t.Fatal(err)
	}
	return id
}

func put(key, value string) registry.PutRequest {
	return registry.PutRequest{Key: key, Value: []byte(value), IfChanged: true}
}

func (b *bench) acquire(id ID, key string, want bool) {
	b.t.Helper()
	if got, err := b.Acquire(b.t.Context(), id, put(key, string(id))); err != nil || got != want {
		b.t.Errorf("acquire %s: %v, %v; want %v", key, got, err, want)
	}
}

func (b *bench) release(id ID, key string, want bool) {
	b.t.Helper()
	if got, err := b.Release(b.t.Context(), id, put(key, "free")); err != nil || got != want {
		b.t.Errorf("release %s: %v, %v; want %v", key, got, err, want)
	}
}

func (b *bench) destroy(id ID) {
	b.t.Helper()
	if err := b.Destroy(b.t.Context(), id); err != nil {
		b.t.Error(err)
	}
}

// held says who holds a key: "" for nobody, "absent" if there is none.
func (b *bench) held(key string) string {
	b.t.Helper()
	res, err := b.store.Range(b.t.Context(), registry.RangeRequest{KeyRange: registry.One(key)})
	switch {
	case err != nil:
		b.t.Fatal(err)
	case len(res.KVs) == 0:
		return "absent"
	case res.KVs[0].Lock.Holder == 0:
		return ""
	}
	return string(IDOf(res.KVs[0].Lock.Holder))
}

func (b *bench) wantHeld(key string, want string) {
	b.t.Helper()
	if got := b.held(key); got != want {
		b.t.Errorf("%s is held by %q, want %q", key, got, want)
	}
}

func (b *bench) lives(id ID) bool {
	b.t.Helper()
	_, err := b.get(b.t.Context(), id)
	if err != nil && !errors.Is(err, ErrNotFound) {
		b.t.Fatal(err)
	}
	return err == nil
}

// leases are how many leases there are, those of marks included.
func (b *bench) leases() int {
	b.t.Helper()
	ids, err := b.store.ListLeases(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return len(ids)
}

func inBubble(t *testing.T, f func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newBench(t)) })
}

func TestLock(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		one, two := b.make(nil), b.make(nil)
		b.acquire(one, "k", true)
		b.acquire(one, "k", true)
		b.acquire(two, "k", false)
		b.wantHeld("k", string(one))
		b.release(two, "k", false)
		b.release(one, "k", true)
		b.release(one, "k", false)
		b.wantHeld("k", "")
		b.acquire(two, "k", true) // a lock that was freed is to be had at once
		b.release(two, "never", false)
		b.wantHeld("never", "absent")
	})
}

// The end of a session frees its locks, or deletes their keys, and they rest for the lock
// delay: also a key that was deleted.
func TestEndAndLockDelay(t *testing.T) {
	for _, behavior := range []Behavior{Release, Delete} {
		for _, how := range []string{"destroyed", "not renewed", "its check failed"} {
			t.Run(string(behavior)+", "+how, func(t *testing.T) {
				inBubble(t, func(t *testing.T, b *bench) {
					id := b.make(func(s *Session) { s.TTL, s.Behavior = 20*time.Second, behavior })
					other := b.make(func(s *Session) { s.NodeChecks = []string{} })
					b.acquire(id, "k", true)
					b.acquire(id, "freed", true)
					b.release(id, "freed", true)
					took := time.Duration(0) // since its end
					switch how {
					case "destroyed":
						b.destroy(id)
					case "not renewed":
						time.Sleep(20*time.Second - time.Millisecond)
						b.wantHeld("k", string(id))
						time.Sleep(2 * time.Millisecond)
						took = time.Millisecond
					case "its check failed":
						b.check(ServerCheck, "", registry.Critical)
						synctest.Wait()
						b.check(ServerCheck, "", registry.Passing)
					}
					if b.lives(id) {
						t.Fatal("it lives")
					}
					want := map[Behavior]string{Release: "", Delete: "absent"}[behavior]
					b.wantHeld("k", want)
					b.acquire(other, "k", false)
					b.acquire(other, "freed", true)
					time.Sleep(15*time.Second - took - time.Millisecond)
					b.acquire(other, "k", false)
					b.wantHeld("k", want)
					time.Sleep(2 * time.Millisecond)
					b.acquire(other, "k", true)
					b.destroy(other)
					time.Sleep(time.Minute)
					if n := b.leases(); n != 0 {
						t.Errorf("%d leases are left", n)
					}
				})
			})
		}
	}
}

func TestNoLockDelay(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		id, other := b.make(func(s *Session) { s.LockDelay = 0 }), b.make(nil)
		b.acquire(id, "k", true)
		b.destroy(id)
		b.acquire(other, "k", true)
		if n := b.leases(); n != 2 {
			t.Errorf("%d leases, want the session's and its marks'", n)
		}
	})
}

// A key that a living session held, and that went by another door, is to be had; what that
// session left of it does not count once another has held the key.
func TestMarkThatIsLeftOver(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		one, two, three := b.make(nil), b.make(nil), b.make(func(s *Session) { s.LockDelay = 0 })
		b.acquire(one, "k", true)
		b.do(registry.Op{Delete: &registry.DeleteRequest{KeyRange: registry.One("k")}})
		b.acquire(two, "k", true)
		b.destroy(one)
		b.wantHeld("k", string(two))
		b.release(two, "k", true)
		b.acquire(three, "k", true)
		b.destroy(three)
		b.acquire(two, "k", true)
	})
}

func TestRenew(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		id := b.make(func(s *Session) { s.TTL, s.TTLText, s.Name = 10*time.Second, "10.0s", "n" })
		for range 10 {
			time.Sleep(9 * time.Second)
			s, err := b.Renew(t.Context(), id)
			if err != nil || s.TTLText != "10.0s" || s.Name != "n" || s.ID != id || s.ModifyIndex != s.CreateIndex {
				t.Fatal(s, err)
			}
		}
		time.Sleep(11 * time.Second)
		if _, err := b.Renew(t.Context(), id); !errors.Is(err, ErrNotFound) {
			t.Errorf("renewed after its end: %v", err)
		}
		if _, err := b.Acquire(t.Context(), id, put("k", "")); !errors.Is(err, ErrNotFound) {
			t.Errorf("acquired after its end: %v", err)
		}
		b.release(id, "k", false)
		b.destroy(id)
		forever := b.make(nil)
		time.Sleep(1000 * time.Hour)
		if _, err := b.Renew(t.Context(), forever); err != nil {
			t.Error(err)
		}
	})
}

func TestCreateLooksAtChecks(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.check("disk", "", registry.Warning)
		b.check("db", "web", registry.Critical)
		for _, tc := range []struct {
			adjust func(*Session)
			want   string
		}{
			{func(s *Session) {}, ""},
			{func(s *Session) { s.Node = "WEB-1" }, ""},
			{func(s *Session) { s.Node = "nowhere" }, "Missing node registration"},
			{func(s *Session) { s.NodeChecks = []string{"disk"} }, ""},
			{func(s *Session) { s.NodeChecks = []string{"none"} }, "Missing check 'none' registration"},
			{func(s *Session) { s.Checks = []string{"none"} }, "Missing check 'none' registration"},
			{func(s *Session) { s.ServiceChecks = []string{"service:web"} }, ""},
			{func(s *Session) { s.ServiceChecks = []string{"db"} }, "Check 'db' is in critical state"},
		} {
			s := Session{Node: "web-1", Behavior: Release, NodeChecks: []string{}}
			tc.adjust(&s)
			_, err := b.Create(t.Context(), s)
			if got := fmt.Sprint(err); got != tc.want && !(err == nil && tc.want == "") {
				t.Errorf("%+v: %v, want %q", s, err, tc.want)
			}
		}
	})
}

// A session ends with any of its checks, with the node, and with the instance whose check it
// is; not with a warning, nor for another node's sake.
func TestKeeper(t *testing.T) {
	for name, tc := range map[string]struct {
		do    func(b *bench)
		lives bool
	}{
		"critical": {func(b *bench) { b.check(ServerCheck, "", registry.Critical) }, false},
		"warning":  {func(b *bench) { b.check(ServerCheck, "", registry.Warning) }, true},
		"a check goes": {func(b *bench) {
			b.do(catalog.DeleteCheck("web-1", "web", "service:web")...)
		}, false},
		"an instance goes": {func(b *bench) { b.do(catalog.DeleteInstance("web-1", "web")...) }, false},
		"the node goes":    {func(b *bench) { b.do(catalog.DeleteNode("web-1")...) }, false},
		"another check":    {func(b *bench) { b.check("other", "", registry.Critical) }, true},
		"another node": {func(b *bench) {
			b.do(catalog.PutNode(registry.Node{Name: "b"}, 0), catalog.PutCheck(registry.Check{Node: "b", ID: ServerCheck, Status: registry.Critical}, 0))
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench) {
				id := b.make(func(s *Session) { s.ServiceChecks = []string{"service:web"} })
				synctest.Wait()
				tc.do(b)
				synctest.Wait()
				if got := b.lives(id); got != tc.lives {
					t.Errorf("lives: %v, want %v", got, tc.lives)
				}
			})
		})
	}
}

// Only the leader's keeper acts; one that comes to lead catches up.
func TestKeeperThatDoesNotLead(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		id := b.make(nil)
		b.leads.Store(false)
		b.check(ServerCheck, "", registry.Critical)
		time.Sleep(time.Minute)
		if !b.lives(id) {
			t.Fatal("a follower ended it")
		}
		b.leads.Store(true)
		time.Sleep(lookAgain + time.Millisecond)
		if b.lives(id) {
			t.Error("it lives though its check is critical")
		}
	})
}

func TestID(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lease := registry.LeaseID(rapid.Int64Range(1, 1<<leaseBits-1).Draw(t, "lease"))
		id := IDOf(lease)
		if len(id) != 36 || id[14] != '4' || !strings.ContainsRune("89ab", rune(id[19])) || id != ID(strings.ToLower(string(id))) {
			t.Fatalf("%s is no UUID of version 4", id)
		}
		if got, ok := id.Lease(); got != lease || !ok {
			t.Fatalf("%s is of lease %d (%v), want %d", id, got, ok, lease)
		}
	})
	for _, id := range []ID{"", "abc", "0f9a8c1e-6b6e-4c0e-9d51-000000000002", "00000000-0000-4000-8000-000000000000", ID(strings.Repeat("g", 36)), ID(strings.ToUpper(string(IDOf(77))))} {
		if lease, ok := id.Lease(); ok {
			t.Errorf("%q is taken for lease %d", id, lease)
		}
	}
}

func TestRecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfN(rapid.StringN(0, 5, -1), 1, 3)
		r := record{Session: Session{
			ID: IDOf(5), Name: rapid.String().Draw(t, "name"), Node: rapid.String().Draw(t, "node"),
			TTL: time.Duration(rapid.Int64Min(0).Draw(t, "ttl")), TTLText: rapid.String().Draw(t, "text"),
			LockDelay: time.Duration(rapid.Int64Min(0).Draw(t, "delay")), Behavior: Delete,
			NodeChecks: rapid.SampledFrom([][]string{nil, {}, {"a"}, ids.Draw(t, "node checks")}).Draw(t, "checks of the node"),
			Checks:     ids.Draw(t, "checks"), ServiceChecks: ids.Draw(t, "service checks"),
		}, marks: 9}
		got, err := decode(&registry.KeyValue{Key: Key(r.ID), Value: r.encode()})
		if err != nil || fmt.Sprintf("%#v", *got) != fmt.Sprintf("%#v", r) {
			t.Fatalf("%#v, %v, want %#v", *got, err, r)
		}
	})
}

func TestRecordWithAFieldOfAnotherKind(t *testing.T) {
	for field := 1; field <= 11; field++ {
		wrong := wire.AppendBytes(nil, field, []byte("x"))
		if field != 3 && field != 5 && field < 10 {
			wrong = wire.AppendInt(nil, field, 1)
		}
		if _, err := decode(&registry.KeyValue{Key: Key(IDOf(1)), Value: wrong}); !errors.Is(err, registry.ErrCorrupt) {
			t.Errorf("field %d: %v, want ErrCorrupt", field, err)
		}
	}
}

// The leases of sessions and of the marks of their locks are nobody's who lists leases: also when
// the locks are freed, and the marks gone.
func TestLeasesAreNotListed(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		id := b.make(nil)
		b.acquire(id, "k", true)
		b.release(id, "k", true)
		if n := b.leases(); n != 2 {
			t.Fatalf("%d leases, want the session's and that of its marks", n)
		}
		ids, err := b.store.ListLeases(t.Context(), registry.SpaceCatalog, registry.SpaceSession)
		if err != nil || len(ids) != 0 {
			t.Errorf("listed: %v, %v", ids, err)
		}
	})
}

func FuzzRecord(f *testing.F) {
	r := record{Session: Session{Name: "n", Node: "web-1", TTL: time.Minute, NodeChecks: []string{ServerCheck}}, marks: 3}
	f.Add(r.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := decode(&registry.KeyValue{Key: Key(IDOf(1)), Value: b}); err != nil && !errors.Is(err, registry.ErrCorrupt) {
			t.Errorf("%v does not say that the record is corrupt", err)
		}
	})
}
