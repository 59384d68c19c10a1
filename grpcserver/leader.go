package grpcserver

import (
	"context"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"herald/registry"
)

const (
	// leaderPoll is how often the door looks whether there is a leader.
	leaderPoll = 250 * time.Millisecond
	// leaderPatience is how long a stream that requires a leader goes on without one: three
	// election timeouts, as in etcd, so that no ordinary election cuts it.
	leaderPatience = 3 * time.Second
)

// leaderWatch ends the streams that require a leader once there has been none for
// leaderPatience. One goroutine looks, for all of them. It is safe for concurrent use.
type leaderWatch struct {
	cluster registry.Cluster

	mu     sync.Mutex
	seen   time.Time // when a leader was last known
	leader string    // who that was, and in which term
	term   uint64
	// changes counts how often another leader was seen, or one of another term; the first counts.
	changes int64
	tenure  context.Context // ends, with its cause, when the leader has been missed for too long
	end     context.CancelCauseFunc
}

func newLeaderWatch(cluster registry.Cluster) *leaderWatch {
	w := &leaderWatch{cluster: cluster, seen: time.Now()}
	w.tenure, w.end = context.WithCancelCause(context.Background())
	return w
}

// run looks until ctx ends.
func (w *leaderWatch) run(ctx context.Context) {
	tick := time.NewTicker(leaderPoll)
	defer tick.Stop()
	for {
		w.look()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// look asks for the leader and returns the tenure that is now.
func (w *leaderWatch) look() context.Context {
	st := w.cluster.Status()
	known := st.Leader != ""
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	switch {
	case known:
		w.seen = now
		if w.leader != st.Leader || w.term != st.Term {
			w.leader, w.term = st.Leader, st.Term
			w.changes++
		}
		if w.tenure.Err() != nil {
			w.tenure, w.end = context.WithCancelCause(context.Background())
		}
	case now.Sub(w.seen) >= leaderPatience:
		w.end(rpctypes.ErrGRPCNoLeader)
	}
	return w.tenure
}

// changesSeen is how often the leader was seen to change.
func (w *leaderWatch) changesSeen() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changes
}

// streamContext is the context of a call that is a stream. If the call requires a leader, it
// ends when there has been none for leaderPatience, and its cause is what the client is
// to be told. The caller must cancel it.
func (c *core) streamContext(ctx context.Context) (context.Context, context.CancelFunc) {
	if !requiresLeader(ctx) {
		return context.WithCancel(ctx)
	}
	return endedBy(ctx, c.leaders.look())
}

// untilStopped is for streams that only their clients end: its context ends when the door
// does too, and its cause is then what the client is to be told. The caller must cancel it.
func (c *core) untilStopped(ctx context.Context) (context.Context, context.CancelFunc) {
	return endedBy(ctx, c.stopping)
}

// endedBy is ctx, ended also by another context, with that one's cause.
func endedBy(ctx, other context.Context) (context.Context, context.CancelFunc) {
	ctx, end := context.WithCancelCause(ctx)
	off := context.AfterFunc(other, func() { end(context.Cause(other)) })
	return ctx, func() {
		off()
		end(nil)
	}
}
