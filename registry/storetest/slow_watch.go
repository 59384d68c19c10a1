package storetest

import (
	"errors"

	"herald/registry"
)

// slowWatchCases are watchers whose consumer does not keep up.
var slowWatchCases = []testCase{
	{"is caught up, without gap or repetition", func(s *subject) {
		const writes = 300
		w := s.watch(registry.WatchRequest{KeyRange: registry.One("a"), Buffer: 2})
		for i := range writes {
			s.do(putOp("a", "1"))
			if i%3 == 0 {
				s.put("other", "1")
			}
		}
		var want []int64
		for rev := int64(2); len(want) < writes; rev++ {
			if (rev-2)%4 != 1 { // every fourth, from revision 3 on, wrote the other key
				want = append(want, rev)
			}
		}
		for i, c := range s.next(w, writes) {
			if c.Revision != want[i] {
				s.Fatalf("commit %d: got revision %d, want %d", i, c.Revision, want[i])
			}
		}
		rev := s.put("a", "last").Revision
		s.equal("then live", s.next(w, 1)[0].Revision, rev)
	}},
	{"may be polled", func(s *subject) {
		const writes = 200
		for range writes / 2 {
			s.put("a", "1")
		}
		ready := make(chan struct{}, 1)
		w := s.watch(registry.WatchRequest{KeyRange: registry.One("a"), StartRevision: 2, Buffer: 3, Ready: func() {
			select {
			case ready <- struct{}{}:
			default:
			}
		}})
		for range writes / 2 {
			s.put("a", "2")
		}
		for rev := int64(2); rev < 2+writes; {
			commits, err := w.Poll()
			if err != nil {
				s.Fatal(err)
			}
			for _, c := range commits {
				s.equal("revision", c.Revision, rev)
				rev++
			}
			if len(commits) > 0 {
				continue
			}
			select {
			case <-ready:
			case <-s.ctx.Done():
				s.Fatalf("after revision %d nothing is said to be ready", rev-1)
			}
		}
		if commits, err := w.Poll(); len(commits) > 0 || err != nil {
			s.Fatalf("got %v, %v, want nothing", commits, err)
		}
		w.Close()
		select {
		case <-ready:
		case <-s.ctx.Done():
			s.Fatal("its end is not said")
		}
		_, err := w.Poll()
		s.isError("Poll after Close", err, registry.ErrWatchClosed)
	}},
	{"is told what it lost", func(s *subject) {
		w := s.watch(registry.WatchRequest{KeyRange: registry.One("a"), Buffer: 1})
		for range 50 {
			s.put("a", "1")
		}
		rev := s.put("a", "2").Revision
		s.compact(registry.SpaceKV, rev)
		commits, err := s.nextFails(w)
		s.isCompacted("Next", err, registry.SpaceKV, rev)
		for i, c := range commits {
			s.equal("what came before", c.Revision, int64(i+2))
		}
		if int64(len(commits)) >= rev-1 {
			s.Error("nothing was lost")
		}
		_, again := w.Next(s.ctx)
		if !errors.Is(again, registry.ErrCompacted) {
			s.Errorf("Next again: got %v, want the same error", again)
		}
		s.sees(s.watch(registry.WatchRequest{KeyRange: registry.One("a"), StartRevision: rev}), "52:a=2")
	}},
}
