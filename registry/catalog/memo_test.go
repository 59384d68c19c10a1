package catalog

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

func TestMemoBuildsOnce(t *testing.T) {
	w := newWorld()
	s := w.commit(node("n"), instance("n", "1", "web")).Service("web")
	var builds atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if got := s.Memo("k", func() []byte { builds.Add(1); return []byte("v") }); string(got) != "v" {
				t.Errorf("got %q", got)
			}
		})
	}
	wg.Wait()
	if builds.Load() != 1 {
		t.Errorf("built %d times, want once", builds.Load())
	}
	// A change makes another entry, which knows nothing of it.
	s = w.commit(instance("n", "2", "web")).Service("web")
	if got := s.Memo("k", func() []byte { return []byte("w") }); string(got) != "w" {
		t.Errorf("after a change got %q", got)
	}
}

func TestMemoIsBounded(t *testing.T) {
	var m memo
	for i := range 10 * memoEntries {
		m.get(fmt.Sprint(i), func() []byte { return []byte("v") })
	}
	if len(m.entries) > memoEntries || m.bytes != len(m.entries) {
		t.Errorf("%d entries of %d bytes are kept", len(m.entries), m.bytes)
	}
	for i := range 5 {
		big := fmt.Sprint("big", i)
		if got := m.get(big, func() []byte { return make([]byte, memoBytes/2) }); len(got) != memoBytes/2 {
			t.Fatalf("got %d bytes", len(got))
		}
		if m.bytes > memoBytes {
			t.Fatalf("%d bytes are kept", m.bytes)
		}
	}
	if got := m.get("huge", func() []byte { return make([]byte, 2*memoBytes) }); len(got) != 2*memoBytes || m.bytes > memoBytes {
		t.Errorf("got %d bytes, %d are kept", len(got), m.bytes)
	}
}

// One that panics must not leave an empty answer behind.
func TestMemoOfAPanic(t *testing.T) {
	var m memo
	func() {
		defer func() { _ = recover() }()
		m.get("k", func() []byte { panic("rendering") })
	}()
	if got := m.get("k", func() []byte { return []byte("v") }); string(got) != "v" {
		t.Errorf("got %q", got)
	}
}

// Nor to those who waited for it: they build it themselves, once.
func TestMemoOfAPanicWhileOthersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m memo
		entered, fail := make(chan struct{}), make(chan struct{})
		panicked := make(chan any, 1)
		go func() {
			defer func() { panicked <- recover() }()
			m.get("k", func() []byte {
				close(entered)
				<-fail
				panic("rendering")
			})
		}()
		<-entered
		var builds atomic.Int32
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if got := m.get("k", func() []byte { builds.Add(1); return []byte("v") }); string(got) != "v" {
					t.Errorf("got %q", got)
				}
			})
		}
		close(fail)
		wg.Wait()
		if got := <-panicked; got != "rendering" {
			t.Errorf("who built it panicked with %v", got)
		}
		if builds.Load() != 1 || m.bytes != 1 {
			t.Errorf("built %d times, and %d bytes are kept", builds.Load(), m.bytes)
		}
	})
}
