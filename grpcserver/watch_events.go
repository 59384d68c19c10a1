package grpcserver

import "google.golang.org/grpc/mem"

const (
	// eventBatchBytes is how large the events of one response may be together, if they
	// are of several revisions. What one revision did stays together, however large.
	eventBatchBytes = 1 << 20
	// fragmentBytes is how large a piece of one revision may be, for a watch that takes pieces:
	// with all that is around it, no larger than a request. One event goes whole.
	fragmentBytes = defaultRequestBytes - 1<<10
)

// turn sends one response of a watch, and gives it another turn if there is more.
func (s *watchStream) turn(w *watch) error {
	if w.watcher == nil {
		return nil // it ended while it waited for its turn
	}
	if len(w.unsent) == 0 {
		if err := s.poll(w); err != nil || len(w.unsent) == 0 {
			return err
		}
	}
	if s.holds(w) {
		return nil
	}
	w.quiet = false
	if err := s.sendEvents(w); err != nil {
		return err
	}
	if len(w.unsent) == 0 {
		// Only after a Poll that returns nothing is Ready called again.
		if err := s.poll(w); err != nil {
			return err
		}
	}
	if len(w.unsent) > 0 {
		s.enqueue(w)
	}
	return nil
}

// poll takes what a watcher has, and tells the client if it has ended.
func (s *watchStream) poll(w *watch) error {
	commits, err := w.watcher.Poll()
	if err != nil {
		return s.ended(w, err)
	}
	w.unsent = commits
	return nil
}

// sendEvents sends as many of the commits that wait as go into one response, or one commit
// in fragments.
//
// The header's revision is that of the last commit: this watch has been told all up to there, and
// nothing that it is told later is as old.
func (s *watchStream) sendEvents(w *watch) error {
	e := s.encodings.of(&w.unsent[0], w.prevKV)
	if w.fragment && len(e.bytes) > fragmentBytes {
		return s.sendFragments(w, e.fragments(fragmentBytes))
	}
	answer := &s.out
	answer.id, answer.fragment, answer.events = w.id, false, append(answer.events[:0], e.buffer)
	for n, bytes := 1, len(e.bytes); n < len(w.unsent); n++ {
		e := s.encodings.of(&w.unsent[n], w.prevKV)
		if bytes += len(e.bytes); bytes > eventBatchBytes || s.progress.hold > 0 && w.unsent[n].Revision > s.progress.hold {
			break
		}
		answer.events = append(answer.events, e.buffer)
	}
	s.header(&answer.header, s.sent(w, len(answer.events)))
	err := s.stream.SendMsg(answer)
	clear(answer.events) // they would live as long as the stream is silent
	return err
}

// sendFragments sends one commit in several responses. Nothing else is sent between them,
// since clients put together what follows each other.
func (s *watchStream) sendFragments(w *watch, fragments []mem.Buffer) error {
	answer := eventsAnswer{id: w.id}
	s.header(&answer.header, s.sent(w, 1))
	for i := range fragments {
		answer.events, answer.fragment = fragments[i:i+1], i < len(fragments)-1
		if err := s.stream.SendMsg(&answer); err != nil {
			return err
		}
	}
	return nil
}

// sent drops the first n of the commits that wait, and returns the last one's revision.
func (s *watchStream) sent(w *watch, n int) int64 {
	w.told = w.unsent[n-1].Revision
	s.told = max(s.told, w.told)
	clear(w.unsent[:n])
	if w.unsent = w.unsent[n:]; len(w.unsent) == 0 {
		w.unsent = nil
	}
	return w.told
}
