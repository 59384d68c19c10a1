package grpcserver

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/metadata"

	"herald/registry"
)

// electorate is a cluster that knows a leader or does not.
type electorate struct {
	registry.Cluster
	leaderless atomic.Bool
	term       atomic.Uint64
}

func (e *electorate) Status() registry.Status {
	if e.leaderless.Load() {
		return registry.Status{}
	}
	return registry.Status{Leader: "n1", Term: e.term.Load()}
}

func TestStreamsThatRequireALeader(t *testing.T) {
	requiring := metadata.NewIncomingContext(context.Background(), metadata.Pairs("hasleader", "true"))
	synctest.Test(t, func(t *testing.T) {
		cluster := new(electorate)
		c := &core{leaders: newLeaderWatch(cluster)}
		ctx, stop := context.WithCancel(context.Background())
		c.background.Go(func() { c.leaders.run(ctx) })
		defer c.background.Wait()
		defer stop()

		first, cancel := c.streamContext(requiring)
		defer cancel()
		careless, cancel := c.streamContext(context.Background())
		defer cancel()
		time.Sleep(time.Minute)

		// An election that ends in time is not noticed.
		cluster.leaderless.Store(true)
		time.Sleep(leaderPatience - 2*leaderPoll)
		cluster.leaderless.Store(false)
		time.Sleep(time.Minute)
		if first.Err() != nil {
			t.Fatal("a stream was cut by an ordinary election")
		}

		cluster.leaderless.Store(true)
		time.Sleep(leaderPatience + 2*leaderPoll)
		if !errors.Is(context.Cause(first), rpctypes.ErrGRPCNoLeader) {
			t.Errorf("cause without a leader: %v, want %v", context.Cause(first), rpctypes.ErrGRPCNoLeader)
		}
		if err := streamStatus(first, first.Err()); !errors.Is(err, rpctypes.ErrGRPCNoLeader) {
			t.Errorf("what the client is told: %v, want %v", err, rpctypes.ErrGRPCNoLeader)
		}
		if careless.Err() != nil {
			t.Error("a stream that does not require a leader was cut")
		}

		// One that begins as the leader returns is not cut for what was before.
		cluster.leaderless.Store(false)
		second, cancel := c.streamContext(requiring)
		defer cancel()
		time.Sleep(time.Minute)
		if second.Err() != nil {
			t.Errorf("a stream that began under a leader was cut: %v", context.Cause(second))
		}
	})
}

func TestStreamsThatOnlyTheClientEnds(t *testing.T) {
	stopping, stop := context.WithCancelCause(context.Background())
	c := &core{stopping: stopping}
	ctx, cancel := c.untilStopped(context.Background())
	defer cancel()
	if ctx.Err() != nil {
		t.Fatal("ended at once")
	}
	stop(rpctypes.ErrGRPCStopped)
	<-ctx.Done()
	if !errors.Is(context.Cause(ctx), rpctypes.ErrGRPCStopped) {
		t.Errorf("cause: %v, want %v", context.Cause(ctx), rpctypes.ErrGRPCStopped)
	}
}

func TestLeaderChangesAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := new(electorate)
		w := newLeaderWatch(cluster)
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			w.run(ctx)
		}()
		defer func() {
			stop()
			<-done
		}()
		seen := func(what string, want int64) {
			t.Helper()
			time.Sleep(2 * leaderPoll)
			if got := w.changesSeen(); got != want {
				t.Errorf("%s: %d changes seen, want %d", what, got, want)
			}
		}
		seen("the first leader", 1)
		seen("the same", 1)
		cluster.leaderless.Store(true)
		seen("none", 1)
		cluster.leaderless.Store(false)
		seen("the same again, in the same term", 1)
		cluster.term.Store(2)
		seen("elected again", 2)
	})
}
