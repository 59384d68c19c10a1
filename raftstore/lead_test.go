package raftstore

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"herald/raftstore/peer"
	"herald/registry"
)

// A write is passed on once more only if it certainly had no effect.
func TestUnknownOutcomesAreNotAskedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		l := c.leader()
		settle()
		f := c.stores[(l+1)%3]
		calls := 0
		answer := func(b []byte, err error) {
			calls = 0
			c.stores[l].port.Handle(methodPropose, func(context.Context, peer.Identity, []byte) ([]byte, error) {
				calls++
				return b, err
			})
		}
		put := func(ctx context.Context) error {
			_, err := registry.Put(ctx, f, registry.PutRequest{Key: "k"})
			synctest.Wait()
			return err
		}

		answer(nil, nil) // done, and the answer spoilt
		if err := put(t.Context()); !errors.Is(err, registry.ErrTimeout) || errors.Is(err, registry.ErrUnavailable) || calls != 1 {
			t.Errorf("an answer that makes no sense: %v after %d calls, want ErrTimeout after one", err, calls)
		}

		answer(nil, errors.Join(registry.ErrTimeout, registry.ErrUnavailable))
		if err := put(t.Context()); !errors.Is(err, registry.ErrTimeout) || calls != 1 {
			t.Errorf("a cause that is known, of an outcome that is not: %v after %d calls, want ErrTimeout after one", err, calls)
		}

		answer(nil, registry.ErrUnavailable)
		// It ends between two tries: of one that is under way, the outcome is not known.
		ctx, cancel := context.WithTimeout(t.Context(), f.cfg.ProposeTimeout-retryPause/2)
		defer cancel()
		if err := put(ctx); !errors.Is(err, registry.ErrUnavailable) || calls < 2 {
			t.Errorf("no effect: %v after %d calls, want ErrUnavailable after several", err, calls)
		}
	})
}

// What may be asked again says that it had no effect, and nothing else.
func TestLostKeepAliveIsNoLostWrite(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		l := c.leader()
		settle()
		f := c.stores[(l+1)%3]
		thaw := make(chan struct{})
		defer close(thaw)
		c.stores[l].port.Handle(methodKeepAlives, func(context.Context, peer.Identity, []byte) ([]byte, error) {
			<-thaw
			return nil, nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := f.KeepAlive(ctx, 1); !errors.Is(err, registry.ErrUnavailable) || errors.Is(err, registry.ErrTimeout) {
			t.Errorf("%v, want ErrUnavailable and not ErrTimeout", err)
		}
	})
}

// Who waits for a shared call when the store closes is told what any call is told then: another
// server that asked for a read index knows by it that it may ask the next leader.
func TestSharedCallsEndWithTheStore(t *testing.T) {
	t.Parallel()
	closing := make(chan struct{})
	s := newShared(func() (int, error) { return 1, nil })
	close(closing)
	s.wake = nil // it is not noticed that somebody waits
	s.run(closing)
	if _, err := s.join(t.Context()); !errors.Is(err, registry.ErrStopped) {
		t.Errorf("%v, want ErrStopped", err)
	}
}

// The end of a caller's time, should the leader be the first to notice, is an error that the caller
// knows what to make of.
func TestReadIndexThatTakesTooLongIsUnavailable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		s := c.stores[c.leader()]
		c.isolate(c.leader())
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if _, err := (localLeader{s}).readIndex(ctx); !errors.Is(err, registry.ErrUnavailable) {
			t.Errorf("%v, want ErrUnavailable", err)
		}
	})
}
