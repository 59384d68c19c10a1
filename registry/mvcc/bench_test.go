package mvcc

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"herald/registry"
)

// benchKey is 32 bytes; equal numbers make equal keys, and their order is not
// that of the numbers.
func benchKey(i int) string { return fmt.Sprintf("/bench/%016x/%08d", uint64(i)*0x9e3779b97f4a7c15, i) }

var benchValue = bytes.Repeat([]byte("v"), 128)

func benchPut(key string) []byte {
	c := Command{
		Origin: registry.Origin{Who: "bench", When: time.Unix(1, 2)},
		Txn:    &registry.Txn{Then: []registry.Op{{Put: &registry.PutRequest{Key: key, Value: benchValue}}}},
	}
	return c.AppendTo(nil)
}

// benchState has n keys, put one by one as they would come from the log.
func benchState(tb testing.TB, n, batch int) *State {
	s := New()
	for i := range n {
		mustApply(tb, s, benchPut(benchKey(i)))
		if i%batch == 0 {
			s.Publish()
		}
	}
	s.Publish()
	return s
}

func mustApply(tb testing.TB, s *State, b []byte) Result {
	c, err := DecodeCommand(b)
	if err != nil {
		tb.Fatal(err)
	}
	res := s.Apply(&c)
	if res.Err != nil {
		tb.Fatal(res.Err)
	}
	return res
}

// compactAlong does what automatic compaction does: it keeps the last revisions.
func compactAlong(s *State) {
	const kept = 100_000
	if rev := s.spaces[0].rev; rev%1000 == 0 && rev > kept {
		s.Apply(&Command{Compact: &Compact{Revision: rev - kept}})
	}
}

func BenchmarkApplyPut(b *testing.B) {
	const keys = 100_000
	for _, bm := range []struct {
		name  string
		batch int // commands between two publications
		key   func(i int) string
	}{
		{"new/batch=1", 1, func(i int) string { return benchKey(keys + i) }},
		{"new/batch=64", 64, func(i int) string { return benchKey(keys + i) }},
		{"overwrite/batch=1", 1, func(i int) string { return benchKey(i * 7919 % keys) }},
		{"overwrite/batch=64", 64, func(i int) string { return benchKey(i * 7919 % keys) }},
	} {
		b.Run(bm.name, func(b *testing.B) {
			s := benchState(b, keys, 64)
			entries := make([][]byte, b.N)
			for i := range entries {
				entries[i] = benchPut(bm.key(i))
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i, e := range entries {
				mustApply(b, s, e)
				if i%bm.batch == bm.batch-1 {
					s.Publish()
				}
				compactAlong(s)
			}
		})
	}
}

func BenchmarkTxnCAS(b *testing.B) {
	const keys = 100_000
	s := benchState(b, keys, 64)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		key := benchKey(i * 7919 % keys)
		kv, _ := s.View().Get(0, key)
		c := Command{Txn: &registry.Txn{
			Compare: []registry.Compare{{KeyRange: registry.One(key), Target: registry.CompareMod, Int: kv.ModRevision}},
			Then:    []registry.Op{{Put: &registry.PutRequest{Key: key, Value: benchValue}}},
			Else:    []registry.Op{{Range: &registry.RangeRequest{KeyRange: registry.One(key)}}},
		}}
		if res := s.Apply(&c); !res.Txn.Succeeded {
			b.Fatal("the compare does not hold")
		}
		s.Publish()
		compactAlong(s)
	}
}

func BenchmarkDecodeCommand(b *testing.B) {
	e := benchPut(benchKey(1))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeCommand(e); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendCommand(b *testing.B) {
	c, err := DecodeCommand(benchPut(benchKey(1)))
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = c.AppendTo(buf[:0])
	}
}

func BenchmarkRead(b *testing.B) {
	const keys = 100_000
	s := benchState(b, keys, 64)
	for i := range keys / 2 {
		mustApply(b, s, benchPut(benchKey(i)))
	}
	v := s.Publish()
	b.Run("get", func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			if _, ok := v.Get(0, benchKey(i*7919%keys)); !ok {
				b.Fatal("a key is missing")
			}
		}
	})
	read := func(q registry.RangeRequest, n int) func(b *testing.B) {
		return func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if r, err := v.Range(q); err != nil || len(r.KVs) != n {
					b.Fatal(len(r.KVs), err)
				}
			}
		}
	}
	all := registry.Prefix("/bench/")
	b.Run("range 1", read(registry.RangeRequest{KeyRange: registry.One(benchKey(7))}, 1))
	b.Run("range 100", read(registry.RangeRequest{KeyRange: all, Limit: 100}, 100))
	b.Run("range 100 uncounted", read(registry.RangeRequest{KeyRange: all, Limit: 100, SkipCount: true}, 100))
	b.Run("range 100 at an old revision", read(registry.RangeRequest{KeyRange: all, Limit: 100, Revision: keys + 1, SkipCount: true}, 100))
	b.Run("last of all", read(registry.RangeRequest{KeyRange: all, Limit: 1, SortOrder: registry.SortDescend}, 1))
	b.Run("count", read(registry.RangeRequest{KeyRange: registry.Prefix("/bench/5"), CountOnly: true}, 0))
	b.Run("oldest created", read(registry.RangeRequest{KeyRange: registry.Prefix("/bench/55"), SortTarget: registry.SortByCreate, Limit: 1}, 1))
	b.Run("commits", func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			rev := int64(i%keys + 2)
			if err := v.Commits(0, rev, rev, func(registry.Commit) bool { return true }); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkMillion is what a million keys of 32 bytes with values of 128 cost: to
// hold, to write as a snapshot, to read back.
func BenchmarkMillion(b *testing.B) {
	const n = 1_000_000
	before := heap()
	s := benchState(b, n, 64)
	// Resident first: collecting gives memory back that a running store would hold.
	peak := resident()
	b.Run("hold", func(b *testing.B) {
		for b.Loop() {
			b.ReportMetric(float64(heap()-before)/n, "heap-B/key")
			b.ReportMetric(float64(peak)/1e6, "resident-MB")
			b.ReportMetric(float64(s.View().Size().Memory())/n, "estimate-B/key")
		}
	})
	var snapshot bytes.Buffer
	if err := s.View().Encode(&snapshot); err != nil {
		b.Fatal(err)
	}
	b.Run("encode", func(b *testing.B) {
		b.SetBytes(int64(snapshot.Len()))
		b.ReportAllocs()
		for b.Loop() {
			if err := s.View().Encode(io.Discard); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.SetBytes(int64(snapshot.Len()))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Decode(bytes.NewReader(snapshot.Bytes())); err != nil {
				b.Fatal(err)
			}
		}
	})
	runtime.KeepAlive(s)
}

// heap is the live heap after a collection.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// resident is the process's resident memory, 0 where the system does not tell.
func resident() uint64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	f := strings.Fields(string(b))
	if len(f) < 2 {
		return 0
	}
	pages, err := strconv.ParseUint(f[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * uint64(os.Getpagesize())
}
