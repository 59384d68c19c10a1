package mvcc

import (
	"errors"
	"fmt"
	"testing"

	"herald/registry"
)

// churned is a state of which each key was written to many times.
func churned(t testing.TB, keys, commits int) *State {
	s := New()
	for i := range commits {
		c := Command{Txn: &registry.Txn{Then: []registry.Op{{Put: &registry.PutRequest{Key: fmt.Sprintf("k%06d", i%keys), Value: fmt.Append(nil, i)}}}}}
		if res := s.Apply(&c); res.Err != nil {
			t.Fatal(res.Err)
		}
	}
	s.Publish()
	return s
}

func indexesKept(s *State) (n int) {
	for _, c := range s.spaces[registry.SpaceKV].log.chunks {
		for _, p := range []*stretch{c.index.Load(), c.group.Load()} {
			if p != nil {
				n++
			}
		}
	}
	return n
}

// To read the past within a transaction that writes costs those nothing who wait for the next
// command, and is answered as of the transaction, whatever came since.
func TestApplyDoesNotSearchHistory(t *testing.T) {
	const keys, commits = 10, 3 * groupLen * chunkLen
	s := churned(t, keys, commits)
	put := func(value string) registry.Op {
		return registry.Op{Put: &registry.PutRequest{Key: "k000003", Value: []byte(value)}}
	}
	all := registry.RangeRequest{KeyRange: registry.All(), Revision: keys + 1}
	now := all
	now.Revision = s.spaces[registry.SpaceKV].rev
	res := s.Apply(&Command{Txn: &registry.Txn{Then: []registry.Op{
		put("new"), {Range: &all}, {Txn: &registry.Txn{Then: []registry.Op{{Range: &now}}}},
	}}})
	if res.Err != nil {
		t.Fatal(res.Err)
	}
	if n := indexesKept(s); n != 0 {
		t.Errorf("applying it made %d indexes", n)
	}
	if v := s.View(); v.Revision(registry.SpaceKV) != now.Revision {
		t.Errorf("it was published, at %d", v.Revision(registry.SpaceKV))
	}
	s.Apply(&Command{Txn: &registry.Txn{Then: []registry.Op{{Delete: &registry.DeleteRequest{KeyRange: registry.All()}}}}})
	s.Apply(&Command{Compact: &Compact{Space: registry.SpaceKV, Revision: s.spaces[registry.SpaceKV].rev}})
	for s.sweptTo(registry.SpaceKV) <= s.spaces[registry.SpaceKV].compacted {
		s.SetApplied(1)
	}
	s.Publish()

	res.Complete()
	past, present := res.Txn.Results[1].Range, res.Txn.Results[2].Txn.Results[0].Range
	for i, got := range []*registry.RangeResult{past, present} {
		first := i * (commits - keys) // what was put last at that revision, at the lowest
		if got.Count != keys || len(got.KVs) != keys || got.Revision != now.Revision+1 {
			t.Fatalf("got %d of %d keys at %d, want %d at %d", len(got.KVs), got.Count, got.Revision, keys, now.Revision+1)
		}
		for k := range got.KVs {
			kv := &got.KVs[k]
			at := first + (k-first%keys+keys)%keys
			if string(kv.Value) != fmt.Sprint(at) || kv.ModRevision != int64(at)+2 {
				t.Errorf("%s = %s at %d, want %d at %d", kv.Key, kv.Value, kv.ModRevision, at, at+2)
			}
		}
	}
	again := *past
	if res.Complete(); past.Count != again.Count || len(past.KVs) != keys {
		t.Errorf("completed twice, it has %d of %d keys", len(past.KVs), past.Count)
	}
}

// Whether a revision can be read is for the state to say, which fails all of the transaction.
func TestUnreadableRevisionFailsTheTransaction(t *testing.T) {
	s := churned(t, 10, 100)
	s.Apply(&Command{Compact: &Compact{Space: registry.SpaceKV, Revision: 50}})
	before := s.Publish().Hash()
	for revision, want := range map[int64]error{49: registry.ErrCompacted, 102: registry.ErrFutureRevision} {
		res := s.Apply(&Command{Txn: &registry.Txn{Then: []registry.Op{
			{Put: &registry.PutRequest{Key: "k000001", Value: []byte("new")}},
			{Range: &registry.RangeRequest{KeyRange: registry.All(), Revision: 60}},
			{Range: &registry.RangeRequest{KeyRange: registry.All(), Revision: revision}},
		}}})
		res.Complete()
		if !errors.Is(res.Err, want) || res.Txn != nil {
			t.Errorf("at %d: %+v, want %v", revision, res, want)
		}
	}
	if s.Publish().Hash() != before {
		t.Error("a transaction that failed left something")
	}
}

// BenchmarkApplyReadsOld applies a transaction that reads a key as it was before all of a long
// history.
func BenchmarkApplyReadsOld(b *testing.B) {
	const commits = 500_000
	old := registry.RangeRequest{KeyRange: registry.One("k000000"), Revision: 2}
	for b.Loop() {
		b.StopTimer()
		s := churned(b, 100_000, commits)
		b.StartTimer()
		s.Apply(&Command{Txn: &registry.Txn{Then: []registry.Op{{Put: &registry.PutRequest{Key: "k"}}, {Range: &old}}}})
	}
}
