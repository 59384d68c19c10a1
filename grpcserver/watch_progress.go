package grpcserver

import (
	"math"
	"math/rand/v2"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"herald/registry"
)

// How often a request for progress that cannot be answered yet is looked at again. The
// store hands commits to watchers an instant after it has applied them, which nothing
// tells of if no watch of the stream wants them.
const (
	firstProgressRetry = time.Millisecond
	lastProgressRetry  = 256 * time.Millisecond
)

// progressRequest is a client's wish to be told a revision up to which every watch of its
// stream has been told everything. One at most is being answered, and one more may wait for it.
type progressRequest struct {
	asked bool
	more  bool // it was asked again at a later revision
	// target is the revision that was current when it was asked. The answer is not below it.
	target int64
	// behind is a watch that was not there yet, looked at first the next time.
	behind *watch
	// hold, unless it is 0, is the revision beyond which nothing is sent until this is answered, and
	// held are the watches that have more.
	hold  int64
	held  []*watch
	retry time.Duration
	again <-chan time.Time
}

// askProgress notes that the client wants to be told.
func (s *watchStream) askProgress() {
	now := s.cluster.Status().Revisions[registry.SpaceKV]
	if s.progress.asked {
		s.progress.more = s.progress.more || now > s.progress.target
		return
	}
	s.progress = progressRequest{asked: true, target: now, retry: firstProgressRetry}
}

// answerProgress answers a client that asked, once every watch is synced. If it is not to
// be yet and the stream is idle, it sees to it that it is called again.
func (s *watchStream) answerProgress(idle bool) error {
	p := &s.progress
	if !p.asked {
		return nil
	}
	if len(s.watches) == 0 {
		s.releaseHeld()
		*p = progressRequest{} // nobody is told nothing, as in etcd
		return nil
	}
	revision := s.syncedRevision()
	if revision == 0 {
		s.holdBack()
		if idle {
			p.again = time.After(p.retry)
			p.retry = min(2*p.retry, lastProgressRetry)
		}
		return nil
	}
	s.releaseHeld()
	more := p.more
	*p = progressRequest{}
	if more {
		s.askProgress()
	}
	return s.answer(&pb.WatchResponse{Header: s.header(new(pb.ResponseHeader), revision), WatchId: noWatch})
}

// holdBack sees to it that watches which have all reached the revision of the request come to be at
// one revision. Where there is always more to send, one is always ahead of another: then nothing is
// sent beyond what any of them was told, until all were. One that still reads the history, or
// starts in the future, holds nobody back.
func (s *watchStream) holdBack() {
	p := &s.progress
	hold := max(p.target, s.told)
	if hold == p.hold || !p.behind.reached(p.target) {
		return
	}
	for _, w := range s.watches {
		if !w.reached(p.target) {
			return
		}
	}
	s.releaseHeld()
	p.hold = hold
}

// holds says that a watch's next commit is not to be sent yet, and remembers the watch.
func (s *watchStream) holds(w *watch) bool {
	p := &s.progress
	if p.hold == 0 || w.unsent[0].Revision <= p.hold {
		return false
	}
	p.held = append(p.held, w)
	return true
}

// releaseHeld lets every watch go on.
func (s *watchStream) releaseHeld() {
	for _, w := range s.progress.held {
		s.enqueue(w)
	}
	s.progress.hold, s.progress.held = 0, nil
}

// syncedRevision is a revision up to which every watch has sent everything; 0 if there is
// none that is not below the one that the client asked at, nor below what any watch was told
// already: clients take it for the revision that all their watches are at, which must not go
// back. A watch that starts beyond it has none.
func (s *watchStream) syncedRevision() int64 {
	p := &s.progress
	lowest := max(p.target, s.told)
	if p.behind != nil && p.behind.watcher != nil && !p.behind.reached(lowest) {
		return 0
	}
	revision := int64(math.MaxInt64)
	for _, w := range s.watches {
		if !w.reached(lowest) {
			p.behind = w
			return 0
		}
		revision = min(revision, w.synced())
	}
	return revision
}

// synced is a revision up to which the watch has sent everything.
func (w *watch) synced() int64 {
	if len(w.unsent) > 0 {
		return w.unsent[0].Revision - 1
	}
	return max(w.told, w.watcher.Synced())
}

// reached says that the watch has sent everything up to a revision, and starts there at
// the latest.
func (w *watch) reached(revision int64) bool {
	return w.start <= revision+1 && w.synced() >= revision
}

// startTick begins to count the time for notices of progress. A little chance keeps the
// streams of a server from all sending at once.
func (s *watchStream) startTick() {
	if s.tick == nil {
		every := s.config.WatchProgressInterval
		s.tick = time.NewTicker(every + rand.N(every/10+1))
	}
}

// notifyProgress tells a revision to the watches that want it and were sent nothing since
// the last time.
func (s *watchStream) notifyProgress() error {
	for _, w := range s.watches {
		if !w.notify {
			continue
		}
		if !w.quiet {
			w.quiet = true
			continue
		}
		revision := w.synced()
		if revision < w.watcher.StartedAt() || revision < w.start-1 {
			continue // it is still reading the history, or starts in the future
		}
		if err := s.answer(&pb.WatchResponse{Header: s.header(new(pb.ResponseHeader), revision), WatchId: w.id}); err != nil {
			return err
		}
	}
	return nil
}
