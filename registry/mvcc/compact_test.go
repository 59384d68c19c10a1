package mvcc

import (
	"fmt"
	"testing"

	"herald/registry"
)

// TestCompactionIsPaidInInstalments compacts a long history at once and has each
// command afterwards do no more than a bounded piece of it, until all is gone.
func TestCompactionIsPaidInInstalments(t *testing.T) {
	s := New()
	const n = 20_000
	put := func(i int) {
		s.Apply(&Command{Txn: &registry.Txn{Then: []registry.Op{{Put: &registry.PutRequest{Key: fmt.Sprint(i % 100), Value: []byte("v")}}}}})
	}
	for i := range n {
		put(i)
	}
	sp := &s.spaces[0]
	s.Apply(&Command{Compact: &Compact{Revision: sp.rev}})
	if err := s.Publish().Commits(0, sp.rev-1, sp.rev, nil); err == nil {
		t.Fatal("what was compacted can be read")
	}
	const most = sweepStep + 2
	rounds := 0
	for s.swept.next[0].rev <= sp.compacted {
		before := sp.versions
		put(rounds)
		if gone := before + 1 - sp.versions; gone > most {
			t.Fatalf("one command swept %d versions, more than %d", gone, most)
		}
		if rounds++; rounds > n {
			t.Fatalf("%d commands later %d versions are left", rounds, sp.versions)
		}
	}
	if sp.versions != rounds {
		t.Errorf("%d versions are left, of %d superseded since the compaction", sp.versions, rounds)
	}
	if rounds > n/sweepStep+1 {
		t.Errorf("it took %d commands to sweep %d versions", rounds, n)
	}
	if chunks := len(sp.log.chunks); chunks > rounds/chunkLen+3 {
		t.Errorf("the log still has %d chunks", chunks)
	}
}

// TestSweepKeepsUp has every command write much, and compaction follow closely:
// what is left to sweep must not grow.
func TestSweepKeepsUp(t *testing.T) {
	s := New()
	for range 200 {
		var ops []registry.Op
		for k := range 500 {
			ops = append(ops, registry.Op{Put: &registry.PutRequest{Key: fmt.Sprint(k)}})
		}
		s.Apply(&Command{Txn: &registry.Txn{Then: ops}})
		s.Apply(&Command{Compact: &Compact{Revision: s.spaces[0].rev}})
	}
	if left := s.spaces[0].versions; left > 2000 {
		t.Errorf("%d versions were not swept", left)
	}
}

// TestSweepHugeCommit sweeps a commit of many events in pieces, and reads in
// between.
func TestSweepHugeCommit(t *testing.T) {
	s := New()
	const n = 5 * sweepStep
	for _, v := range []string{"1", "2"} {
		var ops []registry.Op
		for k := range n {
			ops = append(ops, registry.Op{Put: &registry.PutRequest{Key: fmt.Sprintf("%04d", k), Value: []byte(v)}})
		}
		s.Apply(&Command{Txn: &registry.Txn{Then: ops}})
	}
	s.Apply(&Command{Txn: &registry.Txn{Then: []registry.Op{{Delete: &registry.DeleteRequest{KeyRange: registry.All()}}}}})
	for s.sweep(); s.swept.events > 0; s.sweep() {
	}
	s.Apply(&Command{Compact: &Compact{Revision: 3}})
	for i := range 30 {
		s.SetApplied(uint64(4 + i))
		v := s.Publish()
		for rev, want := range map[int64]int{3: n, 4: 0} {
			got, err := v.Range(registry.RangeRequest{KeyRange: registry.All(), Revision: rev})
			if err != nil || len(got.KVs) != want {
				t.Fatalf("sweep %d, revision %d: %d keys, %v, want %d", i, rev, len(got.KVs), err, want)
			}
		}
	}
	if left := s.spaces[0].versions; left != 2*n { // version 2 and the tombstones
		t.Errorf("%d versions are kept, want %d", left, 2*n)
	}
}

// TestCompactAcrossChunks compacts at every revision around the chunks of the log
// in turn: the commit at the compaction revision must stay, and memory must go.
func TestCompactAcrossChunks(t *testing.T) {
	s := New()
	s.swept.step = 10_000
	const last = 3*chunkLen + 10
	for i := range last {
		s.Apply(&Command{Txn: &registry.Txn{Then: []registry.Op{{Put: &registry.PutRequest{Key: "k", Value: fmt.Append(nil, i)}}}}})
	}
	for rev := int64(2); rev <= last; rev++ {
		s.Apply(&Command{Compact: &Compact{Revision: rev}})
		v := s.Publish()
		want := rev
		err := v.Commits(0, rev, rev+1, func(c registry.Commit) bool {
			if c.Revision != want || len(c.Events) != 1 || string(c.Events[0].KV.Value) != fmt.Sprint(want-2) {
				t.Fatalf("compacted at %d, commit %d: %+v", rev, want, c)
			}
			want++
			return true
		})
		if err != nil || want != rev+2 {
			t.Fatalf("compacted at %d: %v, next would be commit %d", rev, err, want)
		}
	}
	if n := len(s.spaces[0].log.chunks); n > 2 {
		t.Errorf("%d chunks are left", n)
	}
}

func TestUnsweptUntilEverythingCompactedIsGone(t *testing.T) {
	s := New()
	const n = 1000
	for i := range n {
		s.Apply(&Command{Txn: &registry.Txn{Then: []registry.Op{{Put: &registry.PutRequest{Key: "k", Value: fmt.Append(nil, i)}}}}})
	}
	if s.Publish().Size().Unswept {
		t.Error("unswept before anything was compacted")
	}
	const half = n / 2
	last := s.spaces[0].rev
	for _, rev := range []int64{half, last} {
		if s.View().Swept(registry.SpaceKV, rev) {
			t.Errorf("%d is swept before it was compacted", rev)
		}
		s.Apply(&Command{Compact: &Compact{Revision: rev}})
	}
	if v := s.Publish(); !v.Size().Unswept || v.Swept(registry.SpaceKV, half) || !v.Swept(registry.SpaceKV, 2) {
		t.Error("a thousand versions were swept at once, or none")
	}
	early := 0
	for i := 0; s.Publish().Size().Unswept; i++ {
		if i > n {
			t.Fatal("never swept")
		}
		if v := s.View(); v.Swept(registry.SpaceKV, last) {
			t.Fatal("swept to the end, and not swept")
		} else if v.Swept(registry.SpaceKV, half) {
			early++
		}
		s.SetApplied(uint64(i))
	}
	if early == 0 || !s.View().Swept(registry.SpaceKV, last) {
		t.Errorf("half was swept %d steps before all was; all: %v", early, s.View().Swept(registry.SpaceKV, last))
	}
	if left := s.View().Size().Spaces[0].Versions; left != 0 {
		t.Errorf("swept, but %d versions are left", left)
	}
}
