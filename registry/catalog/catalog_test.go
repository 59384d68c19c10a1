package catalog

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"herald/registry"
)

// apply publishes a commit of puts and single deletes.
func (c *Catalog) apply(ops ...registry.Op) int64 {
	x := c.Index()
	revision := max(1, x.revision) + 1
	b := x.edit(c.countMalformed)
	var events []registry.Event
	for _, o := range ops {
		if o.Put != nil {
			events = append(events, registry.Event{KV: registry.KeyValue{Key: o.Put.Key, Value: o.Put.Value, CreateRevision: revision, ModRevision: revision}})
		} else {
			events = append(events, registry.Event{Type: registry.EventDelete, KV: registry.KeyValue{Key: o.Delete.Start, ModRevision: revision}})
		}
	}
	b.commit(revision, events)
	c.publish(b, nil)
	return revision
}

type waited struct {
	x   *Index
	err error
}

func (c *Catalog) wait(ctx context.Context, t Topic, after int64) <-chan waited {
	done := make(chan waited, 1)
	go func() {
		x, err := c.Wait(ctx, t, after)
		done <- waited{x, err}
	}()
	return done
}

func TestWaitWakesForItsTopicOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New()
		at := c.apply(node("n"), instance("n", "1", "a"), instance("n", "2", "b"))
		a := c.wait(t.Context(), ServiceTopic("A"), at)
		absent := c.wait(t.Context(), ServiceTopic("absent"), 1)
		services := c.wait(t.Context(), ServicesTopic, at)
		nodes := c.wait(t.Context(), NodesTopic, at)
		synctest.Wait()
		for range 100 {
			c.apply(check("n", "2", "c", registry.Critical))
			c.apply(instance("n", "3", "b"))
		}
		synctest.Wait()
		if n := c.wakeups.Load(); n != 0 {
			t.Fatalf("changes to service b woke others %d times", n)
		}
		at = c.apply(check("n", "1", "c", registry.Critical))
		if got := <-a; got.err != nil || got.x.TopicRevision(ServiceTopic("a")) != at {
			t.Errorf("got %v, %v", got.x.TopicRevision(ServiceTopic("a")), got.err)
		}
		synctest.Wait()
		if n := c.wakeups.Load(); n != 1 {
			t.Errorf("%d woke, want 1", n)
		}
		at = c.apply(instance("n", "9", "Absent"))
		if got := <-absent; got.err != nil || got.x.Service("absent") == nil {
			t.Errorf("the service that appeared: %+v", got)
		}
		if got := <-services; got.err != nil || got.x.TopicRevision(ServicesTopic) != at {
			t.Errorf("the services: %+v", got)
		}
		at = c.apply(node("m"))
		if got := <-nodes; got.err != nil || got.x.TopicRevision(NodesTopic) != at {
			t.Errorf("the nodes: %+v", got)
		}
		if !c.waiters.empty() {
			t.Error("something is left of those who waited")
		}
	})
}

func TestWaitReturnsAtOnceForWhatIsPast(t *testing.T) {
	c := New()
	at := c.apply(node("n"))
	for _, topic := range []Topic{NodesTopic, NodeTopic("N"), {KindNode, "N"}} {
		if x, err := c.Wait(t.Context(), topic, at-1); err != nil || x.TopicRevision(topic) != at {
			t.Errorf("%+v: %v", topic, err)
		}
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		one := c.wait(ctx, ServiceTopic("a"), 5)
		alone := c.wait(ctx, ServiceTopic("b"), 5)
		other := c.wait(t.Context(), ServiceTopic("a"), 1)
		if got := <-one; !errors.Is(got.err, context.DeadlineExceeded) || got.x != c.Index() {
			t.Errorf("got %+v", got)
		}
		<-alone
		if _, err := c.WaitRevision(ctx, 9); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("WaitRevision: %v", err)
		}
		c.apply(node("n"), instance("n", "1", "a"))
		if got := <-other; got.err != nil {
			t.Error(got.err)
		}
		if !c.waiters.empty() {
			t.Error("something is left of those who waited")
		}
	})
}

// A waiter whose revision is ahead of the store's is woken by its topic, finds that
// it has to wait on, and does.
func TestWaitAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New()
		at := c.apply(node("n"))
		ahead := c.wait(t.Context(), NodesTopic, at+2)
		for range 2 {
			synctest.Wait()
			c.apply(node("n"))
		}
		synctest.Wait()
		select {
		case got := <-ahead:
			t.Fatalf("returned at %d", got.x.TopicRevision(NodesTopic))
		default:
		}
		c.apply(node("n"))
		if got := <-ahead; got.err != nil || got.x.TopicRevision(NodesTopic) != at+3 {
			t.Errorf("got %+v", got)
		}
	})
}

func TestWaitRevision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New()
		done := make(chan int64, 4)
		for _, r := range []int64{4, 2, 3, 2} {
			go func() {
				x, err := c.WaitRevision(t.Context(), r)
				if err != nil || x.Revision() < r {
					t.Errorf("WaitRevision(%d) = %d, %v", r, x.Revision(), err)
				}
				done <- r
			}()
		}
		for _, want := range []int{2, 1, 1} {
			synctest.Wait()
			r := c.apply(node("n"))
			synctest.Wait()
			if len(done) != want {
				t.Fatalf("at revision %d %d returned, want %d", r, len(done), want)
			}
			for range want {
				<-done
			}
		}
		if !c.waiters.empty() {
			t.Error("something is left of those who waited")
		}
	})
}

// Ten thousand wait for a thousand services; each change wakes its own ten.
func TestManyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const topics, each = 1000, 10
		c := New()
		var wg sync.WaitGroup
		for i := range topics * each {
			wg.Go(func() {
				if _, err := c.Wait(t.Context(), ServiceTopic(fmt.Sprint(i%topics)), 1); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		c.apply(node("n"))
		for i := range topics {
			c.apply(instance("n", fmt.Sprint(i), fmt.Sprint(i)))
			if i%100 == 0 {
				synctest.Wait()
				if got, want := c.wakeups.Load(), int64(each*(i+1)); got != want {
					t.Fatalf("after %d changes %d woke, want %d", i+1, got, want)
				}
			}
		}
		wg.Wait()
		if got := c.wakeups.Load(); got != topics*each {
			t.Errorf("%d woke, want %d", got, topics*each)
		}
		if !c.waiters.empty() {
			t.Error("something is left of those who waited")
		}
	})
}

// One who gives up after its topic rose must not take along those who wait for
// the next rise.
func TestLeaveAfterARise(t *testing.T) {
	w := newWaiters()
	w.mu.Lock()
	first := w.joinLocked(NodesTopic)
	w.wakeLocked(NodesTopic)
	second := w.joinLocked(NodesTopic)
	w.mu.Unlock()
	w.leave(NodesTopic, first)
	w.mu.Lock()
	w.wakeLocked(NodesTopic)
	w.mu.Unlock()
	select {
	case <-second.rose:
	default:
		t.Error("who waits was not woken")
	}
}

// Names of absent services that had to be forgotten rise, and so do those who wait
// for them.
func TestWaitForWhatIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New()
		absent := c.wait(t.Context(), ServiceTopic("absent"), 1)
		there := c.wait(t.Context(), NodesTopic, 2)
		c.apply(node("n"))
		synctest.Wait()
		x := *c.Index()
		for i := range goneMost {
			x.goneServices.add(fmt.Sprint(i), 2)
		}
		c.index.Store(&x)
		c.apply(instance("n", "1", "a"))
		c.apply(DeleteInstance("n", "1")[0])
		if got := <-absent; got.err != nil || got.x.TopicRevision(ServiceTopic("absent")) != 2 {
			t.Errorf("got %+v", got)
		}
		synctest.Wait()
		if len(there) != 0 {
			t.Error("one who waits for the nodes returned")
		}
		c.apply(node("n"))
		<-there
	})
}

// Those who wait and those who publish, all at once.
func TestWaitRaces(t *testing.T) {
	const services, rounds = 8, 200
	c := New()
	c.apply(node("n"))
	var wg sync.WaitGroup
	for i := range services * 4 {
		wg.Go(func() {
			topic := ServiceTopic(fmt.Sprint(i % services))
			for after := int64(1); ; {
				x, err := c.Wait(t.Context(), topic, after)
				if err != nil {
					t.Error(err)
					return
				}
				r := x.TopicRevision(topic)
				if r <= after {
					t.Errorf("woke at %d, which is not above %d", r, after)
				}
				after = r
				if v := x.Service(topic.Name); v != nil && v.Instances()[0].Port == rounds {
					return
				}
			}
		})
	}
	for r := range rounds + 1 {
		for s := range services {
			c.apply(PutInstance(registry.Instance{Node: "n", ID: fmt.Sprint(s), Service: fmt.Sprint(s), Port: r}, 0))
		}
	}
	wg.Wait()
	if !c.waiters.empty() {
		t.Error("something is left of those who waited")
	}
}

func TestNewCatalogIsEmpty(t *testing.T) {
	c := New()
	x := c.Index()
	if x.Revision() != 0 || x.Service("web") != nil || x.Node("n") != nil || c.Age() != math.MaxInt64 {
		t.Errorf("a new catalog has revision %d and age %v", x.Revision(), c.Age())
	}
	for _, topic := range everyTopic() {
		if got := x.TopicRevision(topic); got != 1 {
			t.Errorf("topic %+v is at %d, want 1", topic, got)
		}
	}
}
