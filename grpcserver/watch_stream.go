package grpcserver

import (
	"context"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"

	"herald/registry"
)

// watchStream is the watches of one stream. All but its ready list belongs to the one
// goroutine that is in run.
type watchStream struct {
	*watchService
	ctx     context.Context
	stream  grpc.ServerStream
	watches map[int64]*watch
	nextID  int64
	turns   []*watch     // scratch of takeTurns
	out     eventsAnswer // scratch of sendEvents

	// told is the highest revision in what was sent.
	told     int64
	progress progressRequest
	// tick tells of the time for notices of progress; nil until a watch wants them.
	tick *time.Ticker

	wake chan struct{} // one slot: ready is not empty

	// mu guards ready and watch.queued. The store calls Ready with its own locks held, so that
	// nothing is called under mu.
	mu    sync.Mutex
	ready []*watch
}

// watch is one watch of a stream.
type watch struct {
	id       int64
	watcher  registry.Watcher // closed and nil once the watch has ended
	start    int64            // the first revision that was asked for; 0 is what comes next
	prevKV   bool
	fragment bool
	notify   bool // of progress
	// quiet says that nothing was sent since the last time for notices.
	quiet bool
	// unsent are commits that were polled and are yet to be sent.
	unsent []registry.Commit
	told   int64 // the revision of the last commit that was sent
	queued bool  // it is in ready
}

func newWatchStream(s *watchService, stream grpc.ServerStream) *watchStream {
	return &watchStream{watchService: s, stream: stream, watches: map[int64]*watch{}, wake: make(chan struct{}, 1)}
}

// run serves the stream until ctx ends, or the store does. Requests and watches take turns,
// and watches among each other: one that has much to say holds nobody up for longer
// than one response takes.
func (s *watchStream) run(ctx context.Context, asked <-chan *pb.WatchRequest) error {
	s.ctx = ctx
	for {
		turns := s.takeTurns()
		if err := s.answerProgress(len(turns) == 0); err != nil {
			return err
		}
		if err := s.attend(asked, len(turns) > 0); err != nil {
			return err
		}
		for i, w := range turns {
			turns[i] = nil
			if err := s.turn(w); err != nil {
				return err
			}
			if len(asked) == 0 && ctx.Err() == nil {
				continue
			}
			if err := s.attend(asked, true); err != nil {
				return err
			}
		}
	}
}

// attend does what is to be done besides sending events, one thing at most. It waits for
// something to do unless busy.
func (s *watchStream) attend(asked <-chan *pb.WatchRequest, busy bool) error {
	var tick <-chan time.Time
	if s.tick != nil {
		tick = s.tick.C
	}
	if busy {
		select {
		case r := <-asked:
			return s.handle(r)
		case <-tick:
			return s.notifyProgress()
		case <-s.ctx.Done():
			return context.Cause(s.ctx)
		default:
			return nil
		}
	}
	select {
	case r := <-asked:
		return s.handle(r)
	case <-tick:
		return s.notifyProgress()
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	case <-s.wake:
	case <-s.progress.again:
	}
	return nil
}

func (s *watchStream) handle(r *pb.WatchRequest) error {
	switch {
	case r.GetCreateRequest() != nil:
		return s.create(r.GetCreateRequest())
	case r.GetCancelRequest() != nil:
		return s.cancel(r.GetCancelRequest().WatchId)
	case r.GetProgressRequest() != nil:
		s.askProgress()
	}
	return nil
}

// enqueue gives a watch a turn. Any goroutine may call it, with any locks held but mu.
func (s *watchStream) enqueue(w *watch) {
	s.mu.Lock()
	first := len(s.ready) == 0
	if !w.queued {
		w.queued = true
		s.ready = append(s.ready, w)
	}
	s.mu.Unlock()
	if first {
		select {
		case s.wake <- struct{}{}:
		default:
		}
	}
}

// takeTurns returns whose turn is next, and makes the ready list the one after. A watch
// that becomes ready again before its turn gets another.
func (s *watchStream) takeTurns() []*watch {
	s.mu.Lock()
	defer s.mu.Unlock()
	turns := s.ready
	s.ready, s.turns = s.turns[:0], turns
	for _, w := range turns {
		w.queued = false
	}
	return turns
}

// answer sends anything but events.
func (s *watchStream) answer(r *pb.WatchResponse) error {
	s.told = max(s.told, r.Header.Revision)
	return s.stream.SendMsg(r)
}

// forget ends a watch without a word.
func (s *watchStream) forget(w *watch) {
	w.watcher.Close()
	w.watcher, w.unsent = nil, nil
	delete(s.watches, w.id)
	s.calls.watches.Add(-1)
}

// close ends all watches.
func (s *watchStream) close() {
	for _, w := range s.watches {
		s.forget(w)
	}
	if s.tick != nil {
		s.tick.Stop()
	}
}
