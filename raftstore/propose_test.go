package raftstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"herald/registry"
	"herald/registry/mvcc"
)

func revokeFenced(s *Store, id registry.LeaseID, fence uint64) error {
	c := mvcc.Command{Revoke: &mvcc.LeaseRevoke{IDs: []registry.LeaseID{id}}}
	_, err := s.proposer.propose(context.Background(), &c, proposeOptions{fence: fence, limit: 1 << 20})
	return err
}

// fakeRaft holds what it is given until it is told what becomes of it.
type fakeRaft struct {
	machine *machine
	index   uint64
	entries chan *fakeFuture
}

type fakeFuture struct {
	data  []byte
	done  chan struct{}
	err   error
	resp  any
	index uint64
}

func (f *fakeFuture) Error() error  { <-f.done; return f.err }
func (f *fakeFuture) Response() any { return f.resp }
func (f *fakeFuture) Index() uint64 { return f.index }

func (r *fakeRaft) Apply(b []byte, _ time.Duration) raft.ApplyFuture {
	f := &fakeFuture{data: b, done: make(chan struct{})}
	r.entries <- f
	return f
}

func (r *fakeRaft) commit(f *fakeFuture) {
	r.index++
	f.index = r.index
	f.resp = r.machine.ApplyBatch([]*raft.Log{{Index: r.index, Term: 1, Data: f.data}})[0]
	close(f.done)
}

func (r *fakeRaft) reject(f *fakeFuture, err error) {
	f.err = err
	close(f.done)
}

func commandsOf(t *testing.T, f *fakeFuture) (keys []string) {
	t.Helper()
	err := splitEntry(f.data, func(_ uint64, b []byte) error {
		c, err := mvcc.DecodeCommand(b)
		if err == nil {
			keys = append(keys, c.Txn.Then[0].Put.Key)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func newFakeProposer(t *testing.T, timeout time.Duration) (*proposer, *fakeRaft) {
	m := newMachine(hubConfig)
	r := &fakeRaft{machine: m, entries: make(chan *fakeFuture, 100)}
	p := newProposer(r, m, timeout, &Hooks{}, func() error { return registry.ErrNoLeader }, func() error { return nil })
	p.start()
	t.Cleanup(m.hub.Close)
	return p, r
}

func putCommand(key string) *mvcc.Command {
	return &mvcc.Command{Txn: &registry.Txn{Then: []registry.Op{{Put: &registry.PutRequest{Key: key}}}}}
}

func proposeKey(ctx context.Context, p *proposer, key string) error {
	_, err := p.propose(ctx, putCommand(key), proposeOptions{limit: 1 << 20})
	return err
}

func TestProposalsThatWaitGoTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, r := newFakeProposer(t, time.Minute)
		var wg sync.WaitGroup
		put := func(key string) {
			wg.Go(func() {
				if err := proposeKey(context.Background(), p, key); err != nil {
					t.Errorf("%s: %v", key, err)
				}
			})
			synctest.Wait()
		}
		// One alone leaves at once, also while another is on its way.
		for i := range entriesInFlight {
			put(fmt.Sprintf("alone-%d", i))
			if got := len(r.entries); got != i+1 {
				t.Fatalf("%d entries on their way, want %d", got, i+1)
			}
		}
		for i := range 10 {
			put(fmt.Sprintf("together-%d", i))
		}
		if got := len(r.entries); got != entriesInFlight {
			t.Fatalf("%d entries on their way, want %d", got, entriesInFlight)
		}
		r.commit(<-r.entries)
		synctest.Wait()
		for range entriesInFlight - 1 {
			r.commit(<-r.entries)
		}
		synctest.Wait()
		f := <-r.entries
		keys := commandsOf(t, f)
		if len(keys) != 10 || keys[0] != "together-0" || keys[9] != "together-9" {
			t.Errorf("the next entry holds %v, want ten in order", keys)
		}
		r.commit(f)
		wg.Wait()
		p.stop()
	})
}

func TestProposalOutcomes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		reject error
		want   error
	}{
		{"not leader", raft.ErrNotLeader, registry.ErrNoLeader},
		{"leadership moving", raft.ErrLeadershipTransferInProgress, registry.ErrUnavailable},
		{"leadership lost", raft.ErrLeadershipLost, registry.ErrTimeout},
		{"shut down", raft.ErrRaftShutdown, registry.ErrTimeout},
		{"disk", errors.New("input/output error"), registry.ErrTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, r := newFakeProposer(t, time.Minute)
				var err error
				var wg sync.WaitGroup
				wg.Go(func() { err = proposeKey(context.Background(), p, "k") })
				r.reject(<-r.entries, c.reject)
				wg.Wait()
				if !errors.Is(err, c.want) {
					t.Errorf("got %v, want %v", err, c.want)
				}
				p.stop()
			})
		})
	}
}

// A caller that leaves learns whether its command may still take effect, and holds up nobody.
func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		taken bool // its command is in an entry
		leave func(cancel func())
		want  []error
	}{
		{"queued, cancelled", false, func(cancel func()) { cancel() }, []error{registry.ErrUnavailable, context.Canceled}},
		{"queued, timed out", false, func(func()) { time.Sleep(time.Minute) }, []error{registry.ErrUnavailable}},
		{"taken, cancelled", true, func(cancel func()) { cancel() }, []error{registry.ErrTimeout, context.Canceled}},
		{"taken, timed out", true, func(func()) { time.Sleep(time.Minute) }, []error{registry.ErrTimeout}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, r := newFakeProposer(t, time.Minute)
				var wg sync.WaitGroup
				if !c.taken {
					for i := range entriesInFlight {
						wg.Go(func() { _ = proposeKey(context.Background(), p, fmt.Sprintf("in-the-way-%d", i)) })
						synctest.Wait()
					}
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var err error
				var afters atomic.Int32
				wg.Go(func() {
					_, err = p.propose(ctx, putCommand("k"), proposeOptions{limit: 1 << 20, after: func() { afters.Add(1) }})
				})
				synctest.Wait()
				c.leave(cancel)
				synctest.Wait()
				for _, want := range c.want {
					if !errors.Is(err, want) {
						t.Errorf("got %v, want %v", err, want)
					}
				}
				if n := afters.Load(); n != 0 {
					t.Errorf("its outcome was called certain %d times before it was", n)
				}
				// What is on its way ends, and those behind are served.
				go func() {
					for f := range r.entries {
						r.commit(f)
					}
				}()
				if err := proposeKey(t.Context(), p, "next"); err != nil {
					t.Errorf("the next: %v", err)
				}
				wg.Wait()
				p.stop()
				close(r.entries)
				if n := afters.Load(); n != 1 {
					t.Errorf("its outcome was called certain %d times, want once", n)
				}
				_, there := r.machine.View().Get(registry.SpaceKV, "k")
				if there != c.taken {
					t.Errorf("the key is there: %v, want %v", there, c.taken)
				}
			})
		})
	}
}

func TestStoppedProposer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, r := newFakeProposer(t, time.Minute)
		var wg sync.WaitGroup
		errs := make([]error, entriesInFlight+3)
		for i := range errs {
			wg.Go(func() { errs[i] = proposeKey(context.Background(), p, fmt.Sprint(i)) })
			synctest.Wait()
		}
		stopped := make(chan struct{})
		go func() { p.stop(); close(stopped) }()
		synctest.Wait()
		select {
		case <-stopped:
			t.Fatal("stopped while entries are on their way")
		default:
		}
		for range entriesInFlight {
			r.commit(<-r.entries)
		}
		<-stopped
		wg.Wait()
		for i, err := range errs {
			want := error(nil)
			if i >= entriesInFlight {
				want = registry.ErrStopped
			}
			if !errors.Is(err, want) {
				t.Errorf("proposal %d: %v, want %v", i, err, want)
			}
		}
		if err := proposeKey(context.Background(), p, "late"); !errors.Is(err, registry.ErrStopped) {
			t.Errorf("after stop: %v, want ErrStopped", err)
		}
	})
}

func TestTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	cfg.MaxRequestBytes = 4096
	s := openReady(t, cfg)
	_, err := registry.Put(t.Context(), s, registry.PutRequest{Key: "k", Value: make([]byte, 5000)})
	if !errors.Is(err, registry.ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
	wantGone(t, s, "k")
}

// A real store under many callers, some of whom leave: every acknowledged write is
// there, and every write that certainly did not happen is not.
func TestConcurrentProposals(t *testing.T) {
	t.Parallel()
	s := openReady(t, testConfig(t))
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := range 50 {
				ctx, cancel := context.WithCancel(context.Background())
				if i%7 == 0 {
					time.AfterFunc(time.Duration(i)*10*time.Microsecond, cancel)
				}
				key := fmt.Sprintf("%d/%d", w, i)
				_, err := registry.Put(ctx, s, registry.PutRequest{Key: key})
				cancel()
				switch _, there := get(t, s, key); {
				case err == nil && !there:
					t.Errorf("%s is gone after it was acknowledged", key)
				case errors.Is(err, registry.ErrUnavailable) && there:
					t.Errorf("%s is there, though: %v", key, err)
				case err != nil && !errors.Is(err, context.Canceled):
					t.Errorf("%s: %v", key, err)
				}
			}
		})
	}
	wg.Wait()
}

// TestPatientProposalIgnoresAnAbandonedOnesTimer has a patient proposal reuse what a
// client that hung up left behind.
func TestPatientProposalIgnoresAnAbandonedOnesTimer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, r := newFakeProposer(t, 5*time.Second)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- proposeKey(ctx, p, "a") }()
		synctest.Wait()
		cancel() // while the entry is in flight
		if err := <-done; !errors.Is(err, registry.ErrTimeout) {
			t.Errorf("abandoned in flight: %v", err)
		}
		r.commit(<-r.entries)
		synctest.Wait()
		time.Sleep(10 * time.Second)
		got := make(chan error, 1)
		go func() {
			_, err := p.propose(context.Background(), putCommand("b"), proposeOptions{limit: 1 << 20, patient: true})
			got <- err
		}()
		synctest.Wait()
		select {
		case err := <-got:
			t.Errorf("it gave up before raft had answered: %v", err)
		default:
		}
		for len(r.entries) > 0 {
			r.commit(<-r.entries)
		}
		synctest.Wait()
		p.stop()
	})
}
