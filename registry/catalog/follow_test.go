package catalog

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"herald/registry"
	"herald/registry/storetest"
)

func write(t testing.TB, s registry.Store, ops ...registry.Op) int64 {
	t.Helper()
	r, err := s.Txn(context.Background(), registry.Txn{Then: ops})
	if err != nil {
		t.Fatal(err)
	}
	return r.Revisions[registry.SpaceCatalog]
}

// follow runs Follow until the test ends.
func follow(t testing.TB, s registry.Store, options ...Option) *Catalog {
	t.Helper()
	c := New(options...)
	start(t, c, s)
	return c
}

func start(t testing.TB, c *Catalog, s registry.Store) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Follow(ctx, s) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Follow returned %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

func at(t testing.TB, c *Catalog, revision int64) *Index {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	x, err := c.WaitRevision(ctx, revision)
	if err != nil {
		t.Fatalf("waiting for revision %d: %v; at %d", revision, err, x.Revision())
	}
	return x
}

func TestFollow(t *testing.T) {
	s := storetest.NewMemory(t)
	c := follow(t, s)
	x := at(t, c, 1)
	if x.Size() != (Size{}) || c.Age() != 0 {
		t.Errorf("the empty store's catalog has size %+v and age %v", x.Size(), c.Age())
	}
	r := write(t, s, node("n"), instance("n", "1", "web"), check("n", "1", "c", registry.Warning))
	x = at(t, c, r)
	if v := x.Service("web"); v == nil || v.Instances()[0].Status != registry.Warning || v.Revision != r {
		t.Errorf("service %+v", v)
	}
	// What is in another space is none of its business.
	if _, err := registry.Put(t.Context(), s, registry.PutRequest{Key: "n\x00x", Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
	// A lease takes along what hangs on it, at once.
	lease, err := s.GrantLease(t.Context(), 0, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	r = write(t, s, PutNode(registry.Node{Name: "m"}, lease.ID), PutInstance(registry.Instance{Node: "m", ID: "1", Service: "web"}, lease.ID))
	if v := at(t, c, r).Service("web"); v.Len() != 2 || v.Instances()[0].Lease != lease.ID {
		t.Errorf("service %+v", v)
	}
	if _, err := s.RevokeLease(t.Context(), lease.ID); err != nil {
		t.Fatal(err)
	}
	if x := at(t, c, r+1); x.Service("web").Len() != 1 || x.Node("m") != nil || x.Revision() != r+1 {
		t.Errorf("after the lease ended: %+v", x.Size())
	}
}

// A restart finds the revisions that topics had, as far as history reaches.
func TestFollowReplaysHistory(t *testing.T) {
	s := storetest.NewMemory(t)
	first := follow(t, s)
	write(t, s, node("n"))
	write(t, s, instance("n", "1", "old"))
	write(t, s, instance("n", "2", "gone"))
	write(t, s, DeleteInstance("n", "2")...)
	write(t, s, instance("n", "3", "web", "t"))
	r := write(t, s, check("n", "3", "c", registry.Critical))
	want := at(t, first, r)

	again := follow(t, s)
	x := at(t, again, r)
	topics := append(everyTopic(), ServiceTopic("old"), ServiceTopic("gone"), NodeTopic("n"))
	for _, topic := range topics {
		if got, want := x.TopicRevision(topic), want.TopicRevision(topic); got != want {
			t.Errorf("after a restart topic %+v is at %d, want %d", topic, got, want)
		}
	}

	// Without the history of the first half, nothing is below what it was.
	const kept = 4
	if err := s.Compact(t.Context(), registry.SpaceCatalog, kept); err != nil {
		t.Fatal(err)
	}
	x = at(t, follow(t, s), r)
	for _, topic := range topics {
		if got, want := x.TopicRevision(topic), max(kept, want.TopicRevision(topic)); got != want {
			t.Errorf("after compaction and a restart topic %+v is at %d, want %d", topic, got, want)
		}
	}
	if got, want := read(x).text(), read(want).text(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// What is replayed is not shown until it is over: a reader would see the past.
func TestFollowDoesNotShowThePast(t *testing.T) {
	s := storetest.NewMemory(t)
	for i := range 500 {
		write(t, s, PutNode(registry.Node{Name: "n", ID: fmt.Sprint(i)}, 0))
	}
	c := New()
	start(t, c, &troubled{Store: s, slow: true})
	x, err := c.Wait(t.Context(), NodesTopic, 1)
	if err != nil || x.Node("n").ID != "499" {
		t.Errorf("the first index that was shown has revision %d, %v", x.Revision(), err)
	}
}

func TestFollowManyPages(t *testing.T) {
	s := storetest.NewMemory(t)
	const n = 3*pageKeys + 5
	var ops []registry.Op
	r := write(t, s, node("n"))
	for i := range n {
		ops = append(ops, instance("n", fmt.Sprint(i), "web"))
		if len(ops) == 1000 || i == n-1 {
			r, ops = write(t, s, ops...), nil
		}
	}
	if err := s.Compact(t.Context(), registry.SpaceCatalog, r); err != nil {
		t.Fatal(err)
	}
	x := at(t, follow(t, s), r)
	if got := x.Service("web").Len(); got != n {
		t.Errorf("%d instances, want %d", got, n)
	}
}

// After a restore the index is what the store now holds; topics of what changed
// rise, those of what did not stay, and none goes down.
func TestFollowRestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := storetest.NewMemory(t)
		c := follow(t, s)
		write(t, s, node("n"), instance("n", "1", "web"), instance("n", "2", "same"))
		snapshot, err := s.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		write(t, s, instance("n", "3", "later"))
		r := write(t, s, PutInstance(registry.Instance{Node: "n", ID: "1", Service: "web", Port: 80}, 0))
		before := at(t, c, r)
		web := c.wait(t.Context(), ServiceTopic("web"), r)
		later := c.wait(t.Context(), ServiceTopic("later"), r)
		same := c.wait(t.Context(), ServiceTopic("same"), before.TopicRevision(ServiceTopic("same")))
		if err := s.Restore(snapshot); err != nil {
			t.Fatal(err)
		}
		if got := <-web; got.err != nil || got.x.Service("web").Instances()[0].Port != 0 {
			t.Errorf("web: %+v", got)
		}
		if got := <-later; got.err != nil || got.x.Service("later") != nil {
			t.Errorf("later: %+v", got)
		}
		synctest.Wait()
		if len(same) != 0 {
			t.Error("a service that the restore did not touch woke its waiter")
		}
		x := c.Index()
		if x.Revision() >= r {
			t.Fatalf("the store is at %d and the index at %d", 2, x.Revision())
		}
		for _, topic := range append(everyTopic(), ServiceTopic("same"), ServiceTopic("later")) {
			if got, was := x.TopicRevision(topic), before.TopicRevision(topic); got < was {
				t.Errorf("topic %+v went down from %d to %d", topic, was, got)
			}
		}
		// And the store's next commits, though numbered lower, raise them further.
		was := x.TopicRevision(ServiceTopic("web"))
		write(t, s, PutInstance(registry.Instance{Node: "n", ID: "1", Service: "web", Port: 81}, 0))
		if x, err := c.Wait(t.Context(), ServiceTopic("web"), was); err != nil || x.Service("web").Instances()[0].Port != 81 {
			t.Errorf("after the restore: %v", err)
		}
		write(t, s, instance("n", "2", "same", "t"))
		if got := <-same; got.err != nil {
			t.Error(got.err)
		}
	})
}

// troubled is a store whose watches and reads can be made to fail.
type troubled struct {
	registry.Store
	mu      sync.Mutex
	fail    error // of Range and Watch
	watches []*troubledWatch
	reads   atomic.Int64 // of keys
	slow    bool         // watches deliver one commit at a time
}

type troubledWatch struct {
	registry.Watcher
	broken chan struct{}
	err    error
	slow   bool
	ready  []registry.Commit
}

func (s *troubled) setFail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

// breakWatches ends every watch with err.
func (s *troubled) breakWatches(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.watches {
		w.err = err
		close(w.broken)
	}
	s.watches = nil
}

func (s *troubled) Range(ctx context.Context, r registry.RangeRequest) (registry.RangeResult, error) {
	if !r.CountOnly {
		s.reads.Add(1)
	}
	s.mu.Lock()
	err := s.fail
	s.mu.Unlock()
	if err != nil {
		return registry.RangeResult{}, err
	}
	return s.Store.Range(ctx, r)
}

func (s *troubled) Watch(ctx context.Context, r registry.WatchRequest) (registry.Watcher, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return nil, s.fail
	}
	w, err := s.Store.Watch(ctx, r)
	if err != nil {
		return nil, err
	}
	tw := &troubledWatch{Watcher: w, broken: make(chan struct{}), slow: s.slow}
	s.watches = append(s.watches, tw)
	return tw, nil
}

func (w *troubledWatch) Next(ctx context.Context) ([]registry.Commit, error) {
	if w.slow {
		if len(w.ready) == 0 {
			var err error
			if w.ready, err = w.Watcher.Next(ctx); err != nil {
				return nil, err
			}
		}
		one := w.ready[:1]
		w.ready = w.ready[1:]
		return one, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-w.broken:
			cancel()
		case <-ctx.Done():
		}
	}()
	commits, err := w.Watcher.Next(ctx)
	select {
	case <-w.broken:
		return nil, w.err
	default:
		return commits, err
	}
}

func TestFollowOutlastsTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &troubled{Store: storetest.NewMemory(t)}
		s.setFail(registry.ErrUnavailable)
		c := follow(t, s)
		time.Sleep(10 * time.Second)
		if c.Index().Revision() != 0 || c.Age() != math.MaxInt64 {
			t.Errorf("fed by a store that fails: revision %d, age %v", c.Index().Revision(), c.Age())
		}
		s.setFail(nil)
		at(t, c, 1)

		r := write(t, s, node("n"))
		at(t, c, r)
		s.setFail(registry.ErrUnavailable)
		s.breakWatches(errors.New("connection lost"))
		time.Sleep(5 * time.Second)
		if got := c.Age(); got != 5*time.Second {
			t.Errorf("out of touch for 5 s, the age is %v", got)
		}
		r = write(t, s, instance("n", "1", "web"))
		reads := s.reads.Load()
		s.setFail(nil)
		if x := at(t, c, r); x.Service("web") == nil {
			t.Error("what was written meanwhile is not there")
		}
		if c.Age() != 0 {
			t.Errorf("in touch again, the age is %v", c.Age())
		}
		if got := s.reads.Load(); got != reads {
			t.Errorf("a watch that could go on read everything again: %d reads", got-reads)
		}
	})
}

// A watch that fell behind history reads anew.
func TestFollowAfterCompaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &troubled{Store: storetest.NewMemory(t)}
		c := follow(t, s)
		r := write(t, s, node("n"), instance("n", "1", "web"), instance("n", "2", "same"))
		before := at(t, c, r)
		s.setFail(registry.ErrUnavailable)
		s.breakWatches(errors.New("connection lost"))
		synctest.Wait()
		write(t, s, DeleteInstance("n", "1")...)
		r = write(t, s, instance("n", "3", "new"))
		if err := s.Compact(t.Context(), registry.SpaceCatalog, r); err != nil {
			t.Fatal(err)
		}
		s.setFail(nil)
		x := at(t, c, r)
		if x.Service("web") != nil || x.Service("new") == nil {
			t.Errorf("size %+v", x.Size())
		}
		for name, want := range map[string]int64{"web": r, "new": r, "same": before.TopicRevision(ServiceTopic("same"))} {
			if got := x.TopicRevision(ServiceTopic(name)); got != want {
				t.Errorf("%s is at %d, want %d", name, got, want)
			}
		}
		if x.offset != 0 {
			t.Errorf("topics are %d above the store's revisions", x.offset)
		}
	})
}

func TestFollowEndsWithItsStore(t *testing.T) {
	s := storetest.Open()
	c := New()
	done := make(chan error)
	go func() { done <- c.Follow(context.Background(), s) }()
	at(t, c, 1)
	s.Close()
	if err := <-done; !errors.Is(err, registry.ErrStopped) {
		t.Errorf("got %v, want ErrStopped", err)
	}
}

func TestFollowCountsMalformed(t *testing.T) {
	s := storetest.NewMemory(t)
	c := follow(t, s)
	r := write(t, s, put("nonsense", []byte("x"), 0), node("n"))
	if x := at(t, c, r); x.Node("n") == nil {
		t.Error("the good record beside it is not there")
	}
	if got := c.Malformed(); got != 1 {
		t.Errorf("%d malformed, want 1", got)
	}
}

// Whoever writes waits for the catalog to contain the revision, also of a transaction whose
// writes cancel out; and so does a server that starts.
func TestFollowRevisionsWithoutEvents(t *testing.T) {
	s := storetest.NewMemory(t)
	nothing := append([]registry.Op{node("n")}, DeleteNode("n")...)
	boots := write(t, s, nothing...)
	c := follow(t, s)
	at(t, c, boots)
	if x := at(t, c, write(t, s, nothing...)); x.Size() != (Size{}) {
		t.Errorf("there is %+v", x.Size())
	}
	raised := c.Index().TopicRevision(NodesTopic)
	if last := write(t, s, nothing...); at(t, c, last).TopicRevision(NodesTopic) != raised {
		t.Error("a commit without events raised a topic")
	}
}
