package storetest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"herald/registry"
)

// bubble runs a test on a Memory in fake time, with a subject's methods.
func bubble(t *testing.T, run func(s *subject, m *Memory)) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(t)
		run(&subject{T: t, Store: m, ctx: t.Context()}, m)
	})
}

// pass lets fake time go by, and everything that is due happen.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestLeaseEndsOnTime(t *testing.T) {
	bubble(t, func(s *subject, m *Memory) {
		short, long, forever := s.grant(10*time.Second), s.grant(30*time.Second), s.grant(registry.NoTTL)
		s.putAs(registry.PutRequest{Key: "short", Lease: short})
		s.putAs(registry.PutRequest{Key: "long", Lease: long})
		s.putAs(registry.PutRequest{Key: "forever", Lease: forever})
		pass(10*time.Second - 1)
		s.holds("forever= long= short=")
		l, err := m.Lease(s.ctx, short, false)
		if err != nil || l.Remaining != 1 {
			t.Errorf("Lease: got %+v, %v; want 1 ns to remain", l, err)
		}
		pass(1)
		s.holds("forever= long=")
		s.revisionIs(registry.SpaceKV, 5)
		pass(19 * time.Second)
		if _, err := m.KeepAlive(s.ctx, long); err != nil {
			t.Errorf("KeepAlive: %v", err)
		}
		pass(30*time.Second - 1)
		s.holds("forever= long=")
		pass(1)
		s.holds("forever=")
		pass(100 * 365 * 24 * time.Hour)
		s.holds("forever=")
	})
}

func TestLongestLease(t *testing.T) {
	bubble(t, func(s *subject, m *Memory) {
		id := s.grant(registry.MaxTTL)
		pass(time.Hour)
		if l, err := m.Lease(s.ctx, id, false); err != nil || l.Remaining != registry.MaxTTL-time.Hour {
			t.Errorf("Lease: got %+v, %v", l, err)
		}
	})
}

// A lease that ends before those granted earlier is not waited for too long.
func TestShorterLeaseWakesTheExpirer(t *testing.T) {
	bubble(t, func(s *subject, _ *Memory) {
		s.grant(time.Hour)
		synctest.Wait()
		s.putAs(registry.PutRequest{Key: "a", Lease: s.grant(time.Second)})
		pass(time.Second)
		s.holds("")
	})
}

func TestLeasesEndTogether(t *testing.T) {
	bubble(t, func(s *subject, m *Memory) {
		w := s.watch(registry.WatchRequest{KeyRange: registry.All(), SkipPuts: true})
		first, second := s.grant(time.Second), s.grant(time.Second)
		for key, id := range map[string]registry.LeaseID{"a": first, "b": second, "c": first} {
			s.putAs(registry.PutRequest{Key: key, Lease: id})
		}
		applied := m.Status().Applied
		pass(time.Second)
		if got := m.Status().Applied - applied; got != 1 {
			t.Errorf("%d commands ended them, want 1", got)
		}
		commits := s.next(w, 2)
		for i, c := range commits {
			if c.Revision != int64(5+i) || c.Origin.Why != registry.ReasonLeaseEnd {
				t.Errorf("commit %d: got %+v", i, c)
			}
		}
		if got := len(commits[0].Events) + len(commits[1].Events); got != 3 {
			t.Errorf("%d events, want 3", got)
		}
	})
}

func TestRevokedLeaseHasNoDeadline(t *testing.T) {
	bubble(t, func(s *subject, m *Memory) {
		if _, err := m.GrantLease(s.ctx, 7, time.Second); err != nil {
			t.Fatal(err)
		}
		s.revoke(7)
		if _, err := m.GrantLease(s.ctx, 7, time.Hour); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		if _, err := m.KeepAlive(s.ctx, 7); err != nil {
			t.Errorf("KeepAlive of the second lease of that id: %v", err)
		}
	})
}

func TestOutage(t *testing.T) {
	bubble(t, func(s *subject, m *Memory) {
		id := s.grant(10 * time.Second)
		s.putAs(registry.PutRequest{Key: "a", Value: []byte("1"), Lease: id})
		pass(9 * time.Second)
		m.SetOutage(registry.ErrNoLeader)
		one := registry.RangeRequest{KeyRange: registry.One("a")}
		for what, call := range map[string]func() error{
			"Range":       func() error { _, err := m.Range(s.ctx, one); return err },
			"a read Txn":  func() error { _, err := m.Txn(s.ctx, registry.Txn{}); return err },
			"a write Txn": func() error { _, err := m.Txn(s.ctx, registry.Txn{Then: []registry.Op{putOp("b", "")}}); return err },
			"Compact":     func() error { return m.Compact(s.ctx, registry.SpaceKV, 2) },
			"GrantLease":  func() error { _, err := m.GrantLease(s.ctx, 0, time.Hour); return err },
			"KeepAlive":   func() error { _, err := m.KeepAlive(s.ctx, id); return err },
			"RevokeLease": func() error { _, err := m.RevokeLease(s.ctx, id); return err },
			"Lease":       func() error { _, err := m.Lease(s.ctx, id, false); return err },
			"ListLeases":  func() error { _, err := m.ListLeases(s.ctx); return err },
			"Members":     func() error { _, err := m.Members(s.ctx); return err },
		} {
			s.isError(what, call(), registry.ErrNoLeader)
		}
		if st := m.Status(); st.Ready || st.IsLeader || st.Leader != "" {
			t.Errorf("Status: got %+v", st)
		}
		one.Consistency = registry.Stale
		s.equal("a stale read", showKVs(s.read(one).KVs), "a=1")
		within, err := m.Txn(t.Context(), registry.Txn{Then: []registry.Op{{Range: &one}}})
		if err != nil {
			t.Fatal(err)
		}
		s.equal("a transaction of stale reads", showKVs(within.Results[0].Range.KVs), "a=1")

		ready := errors.New("has not returned")
		go func() { ready = m.WaitReady(s.ctx) }()
		soon, cancel := context.WithTimeout(s.ctx, time.Second)
		defer cancel()
		s.isError("WaitReady", m.WaitReady(soon), context.DeadlineExceeded)
		pass(time.Hour)
		m.SetOutage(nil)
		synctest.Wait()
		s.isError("WaitReady afterwards", ready, nil)
		s.equal("the term", m.Status().Term, uint64(2))
		pass(10*time.Second - 1)
		s.holds("a=1")
		pass(1)
		s.holds("")
	})
}

func TestRestore(t *testing.T) {
	bubble(t, func(s *subject, m *Memory) {
		s.putAs(registry.PutRequest{Key: "a", Value: []byte("1"), Lease: s.grant(10 * time.Second)})
		pass(5 * time.Second)
		snapshot, err := m.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		s.put("b", "1")
		w := s.watch(registry.WatchRequest{KeyRange: registry.All()})
		if err := m.Restore([]byte("not a snapshot")); err == nil {
			t.Error("Restore of nonsense did not fail")
		}
		s.holds("a=1 b=1")
		if err := m.Restore(snapshot); err != nil {
			t.Fatal(err)
		}
		_, err = s.nextFails(w)
		s.isError("Next", err, registry.ErrWatchReset)
		s.holds("a=1")
		w = s.watch(registry.WatchRequest{KeyRange: registry.All()})
		pass(10*time.Second - 1)
		s.holds("a=1")
		pass(1)
		s.sees(w, "3:-a")
	})
}

func TestClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := Open()
		s := &subject{T: t, Store: m, ctx: t.Context()}
		id := s.grant(time.Second)
		w, err := m.Watch(context.Background(), registry.WatchRequest{KeyRange: registry.All()})
		if err != nil {
			t.Fatal(err)
		}
		snapshot, err := m.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		m.Close()
		m.Close()
		_, err = w.Next(t.Context())
		s.isError("Next", err, registry.ErrStopped)
		_, err = m.Range(t.Context(), registry.RangeRequest{KeyRange: registry.All(), Consistency: registry.Stale})
		s.isError("Range", err, registry.ErrStopped)
		s.fails(registry.ErrStopped, putOp("a", "1"))
		_, err = m.KeepAlive(t.Context(), id)
		s.isError("KeepAlive", err, registry.ErrStopped)
		_, err = m.Watch(t.Context(), registry.WatchRequest{KeyRange: registry.All()})
		s.isError("Watch", err, registry.ErrStopped)
		s.isError("WaitReady", m.WaitReady(t.Context()), registry.ErrStopped)
		s.isError("Restore", m.Restore(snapshot), registry.ErrStopped)
		if m.Status().Ready {
			t.Error("a closed store is ready")
		}
	})
}

func TestMemoryIsACluster(t *testing.T) {
	m := NewMemory(t)
	s := &subject{T: t, Store: m, ctx: t.Context()}
	s.put("a", "1")
	if err := m.WaitReady(t.Context()); err != nil {
		t.Errorf("WaitReady: %v", err)
	}
	st := m.Status()
	want := registry.Status{
		ID: memoryID, ClusterID: memoryID, Leader: memoryID, IsLeader: true, Ready: true, Term: 1,
		LastIndex: 1, Committed: 1, Applied: 1, Bytes: m.state.View().Size().Memory(), Revisions: registry.Revisions{2, 1, 1, 1},
	}
	s.equal("Status", st, want)
	members, err := m.Members(t.Context())
	if err != nil || len(members) != 1 || members[0].ID != st.Leader || !members[0].Leader {
		t.Errorf("Members: got %+v, %v", members, err)
	}
}

// The queue of deadlines does what looking at all of them does.
func TestDeadlines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := newDeadlines()
		model := map[registry.LeaseID]time.Time{}
		start := time.Unix(0, 0)
		genTime := rapid.Map(rapid.IntRange(0, 20), func(n int) time.Time { return start.Add(time.Duration(n)) })
		genID := rapid.Map(rapid.IntRange(-4, 4), func(n int) registry.LeaseID { return registry.LeaseID(n) })
		t.Repeat(map[string]func(*rapid.T){
			"set": func(t *rapid.T) {
				id, at := genID.Draw(t, "id"), genTime.Draw(t, "at")
				model[id] = at
				first := d.set(id, at)
				if next, _ := d.earliest(); first && !next.Equal(at) {
					t.Fatalf("set reports %v as the earliest, which is %v", at, next)
				}
			},
			"remove": func(t *rapid.T) {
				id := genID.Draw(t, "id")
				delete(model, id)
				d.remove(id)
			},
			"pop": func(t *rapid.T) {
				now := genTime.Draw(t, "now")
				var want []registry.LeaseID
				for id, at := range model {
					if !at.After(now) {
						want = append(want, id)
						delete(model, id)
					}
				}
				got := d.popUntil(now)
				slices.Sort(got)
				slices.Sort(want)
				if !slices.Equal(got, want) {
					t.Fatalf("popUntil(%v): got %v, want %v", now, got, want)
				}
			},
			"": func(t *rapid.T) {
				first, some := d.earliest()
				if some != (len(model) > 0) || len(d.queue) != len(d.byID) {
					t.Fatalf("%d queued, %d by id, %d in the model", len(d.queue), len(d.byID), len(model))
				}
				for id, at := range model {
					if got, ok := d.of(id); !ok || !got.Equal(at) || at.Before(first) {
						t.Fatalf("lease %d: got %v, %v; want %v; the earliest is %v", id, got, ok, at, first)
					}
				}
			},
		})
	})
}
