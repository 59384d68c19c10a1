package mvcc

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"

	"herald/registry"
)

// TestReadsAcrossTheLog writes enough for several groups of chunks, a few keys far more
// often than others, and reads views of every stage at revisions all over the log: what
// they find must be what a plain list of each key's versions says. Many readers do so at
// once, so that they make the same indexes together.
func TestReadsAcrossTheLog(t *testing.T) {
	const commits, keys = 3*groupLen*chunkLen + 100, 40
	random := rand.New(rand.NewPCG(1, 2))
	s := New()
	type version struct {
		rev   int64
		value string // "" if it was deleted
	}
	history := map[string][]version{}
	live := func(key string) bool {
		h := history[key]
		return len(h) > 0 && h[len(h)-1].value != ""
	}
	at := func(key string, rev int64) string {
		h := history[key]
		i, _ := slices.BinarySearchFunc(h, rev+1, func(v version, rev int64) int { return int(v.rev - rev) })
		if i == 0 {
			return ""
		}
		return h[i-1].value
	}
	check := func(v *View, rev int64, from, to int) error {
		kr := registry.KeyRange{Start: fmt.Sprintf("k%02d", from), End: fmt.Sprintf("k%02d", to)}
		got, err := v.Range(registry.RangeRequest{KeyRange: kr, Revision: rev})
		if err != nil {
			return err
		}
		var want, have []string
		for k := from; k < to; k++ {
			key := fmt.Sprintf("k%02d", k)
			if value := at(key, rev); value != "" {
				want = append(want, key+"="+value)
			}
			one, err := v.Range(registry.RangeRequest{KeyRange: registry.One(key), Revision: rev})
			if err != nil {
				return err
			}
			if value := at(key, rev); len(one.KVs) > 0 != (value != "") || value != "" && string(one.KVs[0].Value) != value {
				return fmt.Errorf("%s at %d is %v, want %q", key, rev, one.KVs, value)
			}
		}
		for _, kv := range got.KVs {
			have = append(have, kv.Key+"="+string(kv.Value))
		}
		if !slices.Equal(have, want) {
			return fmt.Errorf("%v at %d is %v, want %v", kr, rev, have, want)
		}
		return nil
	}
	for i := range commits {
		k := random.IntN(keys)
		if random.IntN(2) == 0 {
			k = k % 3 // hot
		}
		key, value := fmt.Sprintf("k%02d", k), fmt.Sprint(i+1)
		op := registry.Op{Put: &registry.PutRequest{Key: key, Value: []byte(value)}}
		if random.IntN(4) == 0 && live(key) {
			op, value = registry.Op{Delete: &registry.DeleteRequest{KeyRange: registry.One(key)}}, ""
		}
		if res := s.Apply(&Command{Txn: &registry.Txn{Then: []registry.Op{op}}}); res.Err != nil {
			t.Fatal(res.Err)
		}
		history[key] = append(history[key], version{s.spaces[0].rev, value})
		if i%(commits/8) != 0 && i != commits-1 {
			continue
		}
		v := s.Publish()
		var readers sync.WaitGroup
		for seed := range uint64(4) {
			readers.Go(func() {
				random := rand.New(rand.NewPCG(uint64(i), seed))
				for range 60 {
					from := random.IntN(keys)
					if err := check(v, 1+random.Int64N(v.Revision(0)), from, from+random.IntN(keys-from)+1); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		readers.Wait()
	}

	// Within a transaction, an old revision does not show what the transaction wrote.
	rev := s.spaces[0].rev
	all := registry.RangeRequest{KeyRange: registry.All(), Revision: rev}
	was, err := s.View().Range(all)
	if err != nil {
		t.Fatal(err)
	}
	res := s.Apply(&Command{Txn: &registry.Txn{Then: []registry.Op{
		{Delete: &registry.DeleteRequest{KeyRange: registry.From("k20")}},
		{Put: &registry.PutRequest{Key: "k00", Value: []byte("new")}},
		{Put: &registry.PutRequest{Key: "new", Value: []byte("new")}},
		{Range: &all},
		{Range: &registry.RangeRequest{KeyRange: registry.One("new"), Revision: rev}},
	}}})
	if res.Err != nil {
		t.Fatal(res.Err)
	}
	res.Complete()
	if got := res.Txn.Results[3].Range.KVs; !slices.EqualFunc(got, was.KVs, func(a, b registry.KeyValue) bool {
		return a.Key == b.Key && a.ModRevision == b.ModRevision
	}) {
		t.Errorf("%v, want %v", got, was.KVs)
	}
	if got := res.Txn.Results[4].Range.KVs; len(got) != 0 {
		t.Errorf("a key that did not exist: %v", got)
	}
}

// BenchmarkReadOld reads one key, and a page of keys, at a revision of which 100,000
// commits have passed since.
func BenchmarkReadOld(b *testing.B) {
	s := New()
	const keys, commits = 100_000, 200_000
	random := rand.New(rand.NewPCG(1, 2))
	for range commits {
		key := fmt.Sprintf("key/%06d", random.IntN(keys))
		s.Apply(&Command{Txn: &registry.Txn{Then: []registry.Op{{Put: &registry.PutRequest{Key: key, Value: []byte("value")}}}}})
	}
	v := s.Publish()
	for _, bench := range []struct {
		name  string
		limit int64
		since int64
	}{{"one/100000", 0, 100_000}, {"one/100", 0, 100}, {"page/100000", 500, 100_000}, {"page/100", 500, 100}} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				r := registry.RangeRequest{KeyRange: registry.One(fmt.Sprintf("key/%06d", random.IntN(keys))), Revision: v.Revision(0) - bench.since, SkipCount: true}
				if bench.limit > 0 {
					r.KeyRange, r.Limit = registry.From(r.Start), bench.limit
				}
				if _, err := v.Range(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestIndexesAreCounted holds what Size says of indexes against what is there, as readers of
// new and of old views make them, together, and as compaction takes them away.
func TestIndexesAreCounted(t *testing.T) {
	const keys, commits = 10, 3 * groupLen * chunkLen
	s := churned(t, keys, commits)
	before, rev := s.View(), s.spaces[registry.SpaceKV].rev
	counted := func() int64 {
		t.Helper()
		var n int64
		for _, c := range s.spaces[registry.SpaceKV].log.chunks {
			for _, p := range []*stretch{c.index.Load(), c.group.Load()} {
				if p != nil {
					n += int64(cap(*p)) * 2 * (strconv.IntSize / 8)
				}
			}
		}
		if got := s.View().Size().Spaces[registry.SpaceKV].IndexBytes; got != n {
			t.Errorf("Size counts %d bytes of indexes, there are %d", got, n)
		}
		return n
	}
	read := func(v *View, rev int64) {
		t.Helper()
		var readers sync.WaitGroup
		for range 4 {
			readers.Go(func() {
				res, err := v.Range(registry.RangeRequest{KeyRange: registry.All(), Revision: rev})
				if err != nil || len(res.KVs) != keys {
					t.Errorf("at %d: %d keys, %v", rev, len(res.KVs), err)
				}
			})
		}
		readers.Wait()
	}
	compact := func(rev int64) {
		s.Apply(&Command{Compact: &Compact{Space: registry.SpaceKV, Revision: rev}})
		for s.sweptTo(registry.SpaceKV) <= s.spaces[registry.SpaceKV].compacted {
			s.SetApplied(1)
		}
		s.Publish()
	}
	if n := counted(); n != 0 {
		t.Errorf("%d bytes before anybody read", n)
	}
	memory := s.View().Size().Memory()
	read(before, rev/2) // in the middle of a group
	some := counted()
	read(before, keys+1)
	most := counted()
	if some == 0 || most <= some || s.View().Size().Memory() != memory+most {
		t.Errorf("%d, then %d bytes of indexes, %d of memory in all; there were %d", some, most, s.View().Size().Memory(), memory)
	}
	compact(rev / 2)
	left := counted()
	if left == 0 || left >= most {
		t.Errorf("%d bytes are left of %d", left, most)
	}
	read(before, keys+1) // of chunks that only this view has
	read(s.View(), rev/2)
	counted()
	for i := range chunkLen { // what is left has a chunk of its own
		s.Apply(&Command{Txn: &registry.Txn{Then: []registry.Op{{Put: &registry.PutRequest{Key: "k", Value: fmt.Append(nil, i)}}}}})
	}
	compact(s.spaces[registry.SpaceKV].rev)
	if left := counted(); left != 0 {
		t.Errorf("%d bytes are left with no history", left)
	}
}
