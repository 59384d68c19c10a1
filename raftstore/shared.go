package raftstore

import (
	"context"
	"sync"

	"herald/registry"
)

// shared makes one call serve all who ask before it begins: who comes while a call is
// under way waits for the next.
type shared[T any] struct {
	call func() (T, error)
	wake chan struct{} // one slot
	done chan struct{} // run has returned

	mu   sync.Mutex
	next *sharedCall[T]
}

// sharedCall is one call. Its outcome is set before done is closed.
type sharedCall[T any] struct {
	done chan struct{}
	res  T
	err  error
}

func newShared[T any](call func() (T, error)) *shared[T] {
	return &shared[T]{call: call, wake: make(chan struct{}, 1), done: make(chan struct{})}
}

// join returns the outcome of a call that began after join did, or the cause of ctx's end, or
// registry.ErrStopped.
func (s *shared[T]) join(ctx context.Context) (T, error) {
	s.mu.Lock()
	n := s.next
	if n == nil {
		n = &sharedCall[T]{done: make(chan struct{})}
		s.next = n
	}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
	var none T
	select {
	case <-n.done:
		return n.res, n.err
	case <-ctx.Done():
		return none, context.Cause(ctx)
	case <-s.done:
		return none, registry.ErrStopped
	}
}

// run makes one call after another until closing is closed.
func (s *shared[T]) run(closing <-chan struct{}) {
	defer close(s.done)
	for {
		select {
		case <-s.wake:
		case <-closing:
			return
		}
		s.mu.Lock()
		n := s.next
		s.next = nil
		s.mu.Unlock()
		if n != nil {
			n.res, n.err = s.call()
			close(n.done)
		}
	}
}
