package raftstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"herald/registry"
	"herald/registry/mvcc"
)

// wantStopped checks that the store has stopped by itself because of want, and answers nothing.
func wantStopped(t *testing.T, s *Store, want error) {
	t.Helper()
	select {
	case <-s.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("the store goes on")
	}
	if err := s.Err(); !errors.Is(err, want) {
		t.Errorf("Err: %v, want %v", err, want)
	}
	_, err := registry.Put(t.Context(), s, registry.PutRequest{Key: "k", Value: []byte("late")})
	if !errors.Is(err, registry.ErrStopped) || !errors.Is(err, want) {
		t.Errorf("put: %v, want ErrStopped because of %v", err, want)
	}
	for _, c := range []registry.Consistency{registry.Linearizable, registry.Stale} {
		if _, err := s.Range(t.Context(), registry.RangeRequest{KeyRange: registry.All(), Consistency: c}); !errors.Is(err, registry.ErrStopped) {
			t.Errorf("read: %v, want ErrStopped", err)
		}
	}
}

func TestUnknownEntryStopsTheStore(t *testing.T) {
	t.Parallel()
	good := appendCommand(nil, 0, (putCommand("good")).AppendTo(nil))
	for name, c := range map[string]struct {
		entry []byte
		want  error
		says  string
	}{
		"newer entry":             {[]byte{restoreFormat + 1, 1, 2, 3}, registry.ErrFormat, "upgrade herald"},
		"newer command":           {appendCommand(append(appendEntryHeader(nil), good...), 0, []byte{99, 1}), registry.ErrFormat, "upgrade herald"},
		"command that is no such": {appendCommand(append(appendEntryHeader(nil), good...), 0, []byte{1, 0xff}), registry.ErrCorrupt, "from a backup"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(t)
			s := openReady(t, cfg)
			mustPut(t, s, "k", "v")
			before := s.machine.View()
			f := s.raft.Apply(c.entry, 0)
			if err := f.Error(); err != nil {
				t.Fatal(err)
			}
			if r := f.Response().(*entryResult); !errors.Is(r.err, c.want) {
				t.Errorf("the entry's result is %v, want %v", r.err, c.want)
			}
			wantStopped(t, s, c.want)
			if !strings.Contains(s.Err().Error(), c.says) {
				t.Errorf("%q does not say %q", s.Err(), c.says)
			}
			after := s.machine.View()
			if after.Applied() != before.Applied() || after.Hash() != before.Hash() {
				t.Errorf("applied %d, was %d: part of the entry was applied, or what followed", after.Applied(), before.Applied())
			}
			mustClose(t, s)
			// It is in the log: a restart stops at it again, rather than passing over it.
			again, err := Open(cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			wantStopped(t, again, c.want)
		})
	}
}

// failingLog fails appends while broken is set.
type failingLog struct {
	raft.LogStore
	broken atomic.Bool
}

var errDisk = errors.New("no space left on device")

func (f *failingLog) StoreLogs(l []*raft.Log) error {
	if f.broken.Load() {
		return errDisk
	}
	return f.LogStore.StoreLogs(l)
}

func (f *failingLog) IsMonotonic() bool { return true }

func TestFailedAppendStopsTheStore(t *testing.T) {
	t.Parallel()
	var disk *failingLog
	s, err := open(testConfig(t), options{log: func(l raft.LogStore) raft.LogStore {
		disk = &failingLog{LogStore: l}
		return disk
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	waitReady(t, s)
	mustPut(t, s, "k", "v")
	disk.broken.Store(true)
	_, err = registry.Put(t.Context(), s, registry.PutRequest{Key: "k", Value: []byte("lost")})
	if !errors.Is(err, registry.ErrTimeout) && !errors.Is(err, registry.ErrStopped) {
		t.Errorf("put: %v, want ErrTimeout or ErrStopped", err)
	}
	// A disk that recovers changes nothing: what it lost, it lost.
	disk.broken.Store(false)
	wantStopped(t, s, errDisk)
	if !strings.Contains(s.Err().Error(), "free or repair the disk") {
		t.Errorf("%q does not say what to do", s.Err())
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	s := openReady(t, testConfig(t))
	w, err := s.Watch(t.Context(), registry.WatchRequest{KeyRange: registry.All()})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			for {
				_, err := registry.Put(context.Background(), s, registry.PutRequest{Key: fmt.Sprint(i)})
				if errors.Is(err, registry.ErrStopped) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	if _, err := w.Next(t.Context()); err != nil {
		t.Error(err)
	}
	for range 3 {
		wg.Go(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	<-s.Done()
	if err := s.Err(); err != nil {
		t.Errorf("Err after Close: %v", err)
	}
	for err == nil {
		_, err = w.Next(t.Context())
	}
	if !errors.Is(err, registry.ErrStopped) {
		t.Errorf("watcher: %v, want ErrStopped", err)
	}
	for name, call := range map[string]func() error{
		"Grant":     func() error { _, err := s.GrantLease(t.Context(), 1, time.Second); return err },
		"KeepAlive": func() error { _, err := s.KeepAlive(t.Context(), 1); return err },
		"Revoke":    func() error { _, err := s.RevokeLease(t.Context(), 1); return err },
		"Lease":     func() error { _, err := s.Lease(t.Context(), 1, false); return err },
		"Compact":   func() error { return s.Compact(t.Context(), registry.SpaceKV, 2) },
		"Members":   func() error { _, err := s.Members(t.Context()); return err },
		"Watch":     func() error { _, err := s.Watch(t.Context(), registry.WatchRequest{}); return err },
	} {
		if err := call(); !errors.Is(err, registry.ErrStopped) {
			t.Errorf("%s after Close: %v, want ErrStopped", name, err)
		}
	}
}

// A snapshot of a large state, written while puts go on, holds up none of them, and
// the state that it restores is the one it was taken of.
func TestSnapshotBesideWrites(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	cfg.SnapshotBytes = 1 << 20 // many of them
	cfg.TrailingEntries = 1
	taken := make(chan struct{}, 1)
	cfg.Hooks.Snapshot = func(_ time.Duration, err error) {
		if err != nil && !errors.Is(err, registry.ErrStopped) {
			t.Error(err)
		}
		select {
		case taken <- struct{}{}:
		default:
		}
	}
	s := openReady(t, cfg)
	fill(t, s, "k", 20_000)
	select {
	case <-taken:
	case <-time.After(20 * time.Second):
		t.Fatal("no snapshot was taken by bytes")
	}
	want := s.machine.View()
	mustClose(t, s)
	s = openReady(t, cfg)
	if got := s.machine.View(); got.Hash() != want.Hash() || got.Revisions() != want.Revisions() {
		t.Errorf("restored: hash %x at %v, want %x at %v", got.Hash(), got.Revisions(), want.Hash(), want.Revisions())
	}
}

func TestStatusAndMembers(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	cfg.NodeID, cfg.Version = "id-a", "1.2.3"
	s := openReady(t, cfg)
	mustPut(t, s, "k", "v")
	st := s.Status()
	if st.ID != "id-a" || st.Leader != "id-a" || !st.IsLeader || !st.Ready || st.LeaderAt != s.PeerAddress() || st.Term == 0 {
		t.Errorf("status %+v", st)
	}
	if st.Applied == 0 || st.Applied > st.Committed || st.Committed > st.LastIndex || st.Revisions[registry.SpaceKV] != 2 {
		t.Errorf("indexes of %+v", st)
	}
	m, err := s.Members(t.Context())
	want := registry.Member{ID: "id-a", Name: "node-a", Address: s.PeerAddress(), Suffrage: registry.Voter, Leader: true,
		Alive: true, Version: cfg.Version, Term: st.Term, LastIndex: st.LastIndex, Applied: st.Applied}
	if err != nil || len(m) != 1 || m[0] != want {
		t.Errorf("members %+v, %v; want %+v", m, err, want)
	}
}

// A server whose address has changed says so to its cluster once it leads.
func TestAddressIsCorrected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, nil)
		c.leader()
		c.stop(0)
		c.configs[0].PeerAddress = host(0) + ":7500"
		c.start(0)
		s := c.stores[c.leader()]
		settle()
		m, err := s.Members(t.Context())
		if err != nil || len(m) != 1 || m[0].Address != host(0)+":7500" || m[0].Suffrage != registry.Voter {
			t.Errorf("members %+v, %v", m, err)
		}
	})
}

func TestRestoreKeepsStateOnBadSnapshot(t *testing.T) {
	t.Parallel()
	m := newMachine(hubConfig)
	defer m.hub.Close()
	m.starting.Store(false)
	m.ApplyBatch([]*raft.Log{{Index: 1, Term: 1, Data: appendCommand(appendEntryHeader(nil), 0, putCommand("k").AppendTo(nil))}})
	before := m.View()
	if err := m.Restore(nopCloser{strings.NewReader("not a snapshot")}); !errors.Is(err, registry.ErrCorrupt) {
		t.Errorf("Restore: %v, want ErrCorrupt", err)
	}
	if m.View() != before {
		t.Error("the state was replaced")
	}
	m.ApplyBatch([]*raft.Log{{Index: 2, Term: 1, Data: appendCommand(appendEntryHeader(nil), 0, putCommand("l").AppendTo(nil))}})
	if got := m.View().Revision(registry.SpaceKV); got != 3 {
		t.Errorf("revision %d after it went on, want 3", got)
	}
}

type nopCloser struct{ *strings.Reader }

func (nopCloser) Close() error { return nil }

// What is published in the middle of an entry, before a compaction, does not pass for
// the whole of it.
func TestHalfAppliedEntryWakesNobody(t *testing.T) {
	t.Parallel()
	m := newMachine(hubConfig)
	defer m.hub.Close()
	entry := appendEntryHeader(nil)
	for _, c := range []*mvcc.Command{
		putCommand("before"),
		{Compact: &mvcc.Compact{Space: registry.SpaceKV, Revision: 2}},
		putCommand("after"),
	} {
		entry = appendCommand(entry, 0, c.AppendTo(nil))
	}
	l := &raft.Log{Index: 7, Term: 1, Data: entry}
	m.ApplyBatch([]*raft.Log{{Index: 6, Term: 1, Type: raft.LogConfiguration}})
	w := m.waiting.add(7)
	// All of ApplyBatch but the publication at its end.
	if err := m.decode(l); err != nil {
		t.Fatal(err)
	}
	m.apply(l)
	if v := m.View(); v.Revision(registry.SpaceKV) != 2 || v.Applied() != 6 {
		t.Errorf("in the middle of entry 7 the view is at revision %d and claims entry %d; want 2 and 6", v.Revision(registry.SpaceKV), v.Applied())
	}
	select {
	case <-w.ready:
		t.Error("who waits for entry 7 is through before it is applied")
	default:
	}
	m.publish()
	if v := m.View(); v.Revision(registry.SpaceKV) != 3 || v.Applied() != 7 {
		t.Errorf("after it: revision %d, entry %d", v.Revision(registry.SpaceKV), v.Applied())
	}
	select {
	case <-w.ready:
	default:
		t.Error("who waits for entry 7 is not through")
	}
}

func TestWaitApplied(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(hubConfig)
		defer m.hub.Close()
		var reached [4]atomic.Bool
		var wg sync.WaitGroup
		for i := range reached {
			wg.Go(func() {
				if err := m.waitApplied(t.Context(), uint64(i)); err == nil {
					reached[i].Store(true)
				}
			})
		}
		ctx, cancel := context.WithCancel(t.Context())
		var gone error
		wg.Go(func() { gone = m.waitApplied(ctx, 9) })
		for i := range uint64(4) {
			if i > 0 {
				m.ApplyBatch([]*raft.Log{{Index: i, Type: raft.LogConfiguration}})
			}
			synctest.Wait()
			for j := range reached {
				if got, want := reached[j].Load(), uint64(j) <= i; got != want {
					t.Errorf("applied %d: who waits for %d is through: %v", i, j, got)
				}
			}
		}
		cancel()
		wg.Wait()
		if !errors.Is(gone, context.Canceled) || len(m.waiting.set) != 0 {
			t.Errorf("who left got %v, and %d still wait", gone, len(m.waiting.set))
		}
	})
}
