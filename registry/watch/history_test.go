package watch

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"herald/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// log is a growing history; state freezes it as it is.
type log struct {
	spaces [registry.NumSpaces]struct {
		commits   []registry.Commit // from revision 2 on
		compacted int64
	}
}

func (l *log) state() *logState {
	s := &logState{}
	for i := range l.spaces {
		s.spaces[i].commits = l.spaces[i].commits[:len(l.spaces[i].commits):len(l.spaces[i].commits)]
		s.spaces[i].compacted = l.spaces[i].compacted
	}
	return s
}

func (l *log) revision(space registry.Space) int64 { return int64(len(l.spaces[space].commits)) + 1 }

// commit writes one revision. Each change is a key, with a "-" before it if it is
// deleted.
func (l *log) commit(space registry.Space, changes ...string) {
	rev := l.revision(space) + 1
	c := registry.Commit{Revision: rev, Origin: registry.Origin{Who: fmt.Sprint("writer of ", rev)}}
	for _, change := range changes {
		e := registry.Event{KV: registry.KeyValue{Key: change, ModRevision: rev}}
		if key, deleted := strings.CutPrefix(change, "-"); deleted {
			e.Type = registry.EventDelete
			e.KV.Key = key
		}
		c.Events = append(c.Events, e)
	}
	slices.SortFunc(c.Events, func(a, b registry.Event) int { return strings.Compare(a.KV.Key, b.KV.Key) })
	l.spaces[space].commits = append(l.spaces[space].commits, c)
}

func (l *log) put(changes ...string) { l.commit(registry.SpaceKV, changes...) }

func (l *log) compact(space registry.Space, rev int64) { l.spaces[space].compacted = rev }

// logState is a History.
type logState struct {
	spaces [registry.NumSpaces]struct {
		commits   []registry.Commit
		compacted int64
	}
}

func (s *logState) Revision(space registry.Space) int64 {
	return int64(len(s.spaces[space].commits)) + 1
}

func (s *logState) Compacted(space registry.Space) int64 { return s.spaces[space].compacted }

func (s *logState) Commits(space registry.Space, from, to int64, yield func(registry.Commit) bool) error {
	if lowest := s.Compacted(space); from < lowest {
		return &registry.CompactedError{Space: space, Lowest: lowest}
	}
	if to > s.Revision(space) {
		return registry.ErrFutureRevision
	}
	for rev := max(from, 2); rev <= to; rev++ {
		if !yield(s.spaces[space].commits[rev-2]) {
			return nil
		}
	}
	return nil
}

// show is a list of commits as text: "2:a,-b 3:c".
func show(commits []registry.Commit) string {
	var b strings.Builder
	for i, c := range commits {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%d:", c.Revision)
		for j, e := range c.Events {
			if j > 0 {
				b.WriteByte(',')
			}
			if e.Type == registry.EventDelete {
				b.WriteByte('-')
			}
			b.WriteString(e.KV.Key)
		}
	}
	return b.String()
}

// expected is what a watcher is to see of the commits from revision start to the
// current one, worked out the slow way.
func (l *log) expected(r registry.WatchRequest, start int64) []registry.Commit {
	var want []registry.Commit
	for _, c := range l.spaces[r.Space].commits {
		if c.Revision < start {
			continue
		}
		seen := registry.Commit{Revision: c.Revision, Origin: c.Origin}
		for _, e := range c.Events {
			skipped := e.Type == registry.EventPut && r.SkipPuts || e.Type == registry.EventDelete && r.SkipDeletes
			if r.Contains(e.KV.Key) && !skipped {
				seen.Events = append(seen.Events, e)
			}
		}
		if len(seen.Events) > 0 || r.WithEmpty && len(c.Events) == 0 && !r.Empty() {
			want = append(want, seen)
		}
	}
	return want
}
