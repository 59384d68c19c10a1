package mvcc

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"herald/registry"
	"herald/registry/wire"
)

var goldenKV = registry.KeyValue{
	Key: "k", Value: []byte("v"), CreateRevision: 2, ModRevision: 300, Version: 4,
	Lease: -7, Flags: math.MaxUint64, Lock: registry.Lock{Holder: 9, Count: 5},
}

// goldenResults has every field of every message set once.
var goldenResults = []struct {
	name string
	r    Result
}{
	{"put", Result{
		Txn: &registry.TxnResult{
			Succeeded: true,
			Results:   []registry.OpResult{{Put: &registry.PutResult{Revision: 7, Written: true}}},
			Revisions: registry.Revisions{7, 8, 9},
		},
		Revisions: registry.Revisions{7, 8, 9},
	}},
	{"txn", Result{Txn: &registry.TxnResult{
		Results: []registry.OpResult{
			{Put: &registry.PutResult{Revision: 7, Written: true, Prev: &goldenKV}},
			{},
			{Delete: &registry.DeleteResult{Revision: 7, Deleted: 2, Prev: []registry.KeyValue{goldenKV, {Key: "plain"}}}},
			{Range: &registry.RangeResult{
				KVs: []registry.KeyValue{goldenKV, {}}, Count: 3, More: true, Revision: 4, LastChange: -5, Age: time.Second,
			}},
			{Txn: &registry.TxnResult{Succeeded: true, Revisions: registry.Revisions{1, -2, math.MaxInt64}}},
		},
	}}},
	{"empty txn", Result{Txn: &registry.TxnResult{}}},
	{"grant", Result{Lease: registry.Lease{
		ID: math.MinInt64, TTL: registry.MaxTTL, Remaining: time.Nanosecond,
		Keys: []registry.LeasedKey{{Space: registry.SpaceSession, Key: "k"}, {}},
	}}},
	{"revoke", Result{Missing: []registry.LeaseID{1, 0, -1}, Revisions: registry.Revisions{1, 1, 1}}},
	{"nothing", Result{}},
}

func TestResultGolden(t *testing.T) {
	var out strings.Builder
	for _, g := range goldenResults {
		b := g.r.AppendTo(nil)
		fmt.Fprintf(&out, "%s\n%s\n", g.name, hex.Dump(b))
		got, err := DecodeResult(b)
		clear(b) // what was decoded keeps nothing of it
		if err != nil || !reflect.DeepEqual(got, g.r) {
			t.Errorf("%s: decoded\n%s\n(%v) what was encoded as\n%s", g.name, text(got), err, text(g.r))
		}
	}
	golden(t, "testdata/results.golden", out.String())
}

// TestResultOfANewerVersion has fields that this version does not know.
func TestResultOfANewerVersion(t *testing.T) {
	news := wire.AppendUint(wire.AppendString(nil, 98, "new"), 99, 1)
	with := func(field int, known []byte) []byte {
		return wire.AppendMessage(nil, field, func(b []byte) []byte { return append(append(b, news...), known...) })
	}
	key := with(putPrev, wire.AppendString(nil, recordKey, "k"))
	op := with(txnResults, with(opPut, append(wire.AppendInt(nil, putRevision, 7), key...)))
	ranged := with(txnResults, with(opRange, wire.AppendInt(nil, rangeRevision, 3)))
	deleted := with(txnResults, with(opDelete, wire.AppendInt(nil, deleteDeleted, 3)))
	unknown := with(txnResults, with(90, nil))
	revs := with(txnRevisions, wire.AppendInt(wire.AppendInt(nil, 1, 7), registry.NumSpaces+1, 8))
	txn := append(append(append(append(append(op, ranged...), deleted...), unknown...), revs...), news...)
	lease := with(resultLease, append(wire.AppendInt(nil, leaseID, 5), with(leaseKeys, wire.AppendString(nil, 2, "k"))...))
	missing := with(resultMissing, wire.AppendInt(nil, 1, 6))
	b := append(append([]byte{resultFormat}, with(resultTxn, txn)...), append(append(lease, missing...), news...)...)
	got, err := DecodeResult(b)
	want := Result{
		Txn: &registry.TxnResult{
			Results: []registry.OpResult{
				{Put: &registry.PutResult{Revision: 7, Prev: &registry.KeyValue{Key: "k"}}},
				{Range: &registry.RangeResult{Revision: 3}},
				{Delete: &registry.DeleteResult{Deleted: 3}},
				{},
			},
			Revisions: registry.Revisions{7},
		},
		Lease:   registry.Lease{ID: 5, Keys: []registry.LeasedKey{{Key: "k"}}},
		Missing: []registry.LeaseID{6},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s (%v), want %s", text(got), err, text(want))
	}
}

func TestDecodeResultErrors(t *testing.T) {
	field := func(n int, fill ...byte) []byte {
		return wire.AppendMessage(nil, n, func(b []byte) []byte { return append(b, fill...) })
	}
	result := func(b []byte) []byte { return append([]byte{resultFormat}, b...) }
	op := func(b ...byte) []byte { return result(field(resultTxn, field(txnResults, b...)...)) }
	number := wire.AppendUint(nil, 1, 1)
	deep := []byte{}
	for range maxTxnDepth + 1 {
		deep = field(txnResults, field(opTxn, deep...)...)
	}
	for _, c := range []struct {
		name string
		b    []byte
		want error
	}{
		{"nothing", nil, registry.ErrCorrupt},
		{"format 0", []byte{0}, registry.ErrCorrupt},
		{"a newer format", []byte{resultFormat + 1, 1, 2, 3}, registry.ErrFormat},
		{"a field cut short", result(field(resultTxn, 1, 2)[:3]), registry.ErrCorrupt},
		{"a transaction that is a number", result(wire.AppendUint(nil, resultTxn, 1)), registry.ErrCorrupt},
		{"an operation of two kinds", op(append(field(opPut), field(opDelete)...)...), registry.ErrCorrupt},
		{"a put that is a number", op(wire.AppendUint(nil, opPut, 1)...), registry.ErrCorrupt},
		{"a revision that is bytes", op(field(opPut, field(putRevision)...)...), registry.ErrCorrupt},
		{"a key that is a number", op(field(opPut, field(putPrev, number...)...)...), registry.ErrCorrupt},
		{"a found key that is a number", op(field(opRange, field(rangeKVs, number...)...)...), registry.ErrCorrupt},
		{"a deleted key that is a number", op(field(opDelete, field(deletePrev, number...)...)...), registry.ErrCorrupt},
		{"revisions that are a number", result(wire.AppendUint(nil, resultRevisions, 1)), registry.ErrCorrupt},
		{"a lease of bytes", result(field(resultLease, field(leaseID)...)), registry.ErrCorrupt},
		{"a space that no byte holds", result(field(resultLease, field(leaseKeys, wire.AppendUint(nil, 1, 300)...)...)), registry.ErrCorrupt},
		{"a missing lease of bytes", result(field(resultMissing, field(1)...)), registry.ErrCorrupt},
		{"transactions too deep", result(field(resultTxn, deep...)), registry.ErrCorrupt},
	} {
		t.Run(c.name, func(t *testing.T) {
			if r, err := DecodeResult(c.b); !errors.Is(err, c.want) || !reflect.DeepEqual(r, Result{}) {
				t.Errorf("%x: %s, %v, want %v", c.b, text(r), err, c.want)
			}
		})
	}
	if kv, err := DecodeKeyValue(number); !errors.Is(err, registry.ErrCorrupt) || !reflect.DeepEqual(kv, registry.KeyValue{}) {
		t.Errorf("a key that is a number: %+v, %v", kv, err)
	}
}

func anyKV(t *rapid.T) registry.KeyValue {
	return registry.KeyValue{
		Key: rapid.String().Draw(t, "key"), Value: rapid.SliceOf(rapid.Byte()).Draw(t, "value"),
		CreateRevision: rapid.Int64().Draw(t, "create"), ModRevision: rapid.Int64().Draw(t, "mod"), Version: rapid.Int64().Draw(t, "version"),
		Lease: registry.LeaseID(rapid.Int64().Draw(t, "lease")), Flags: rapid.Uint64().Draw(t, "flags"),
		Lock: registry.Lock{Holder: registry.LeaseID(rapid.Int64().Draw(t, "holder")), Count: rapid.Uint64().Draw(t, "count")},
	}
}

func anyRevisions(t *rapid.T) (revs registry.Revisions) {
	for s := range revs {
		revs[s] = rapid.Int64().Draw(t, "revision")
	}
	return revs
}

func anyTxnResult(t *rapid.T, depth int) *registry.TxnResult {
	res := &registry.TxnResult{Succeeded: rapid.Bool().Draw(t, "succeeded"), Revisions: anyRevisions(t)}
	kvs := rapid.SliceOfN(rapid.Custom(anyKV), 0, 3)
	for range rapid.IntRange(0, 3).Draw(t, "results") {
		var op registry.OpResult
		switch k := rapid.IntRange(0, 5).Draw(t, "kind"); {
		case k < 2:
			op.Put = &registry.PutResult{Revision: rapid.Int64().Draw(t, "revision"), Written: rapid.Bool().Draw(t, "written")}
			if rapid.Bool().Draw(t, "prev") {
				kv := anyKV(t)
				op.Put.Prev = &kv
			}
		case k < 3:
			op.Delete = &registry.DeleteResult{Revision: rapid.Int64().Draw(t, "revision"), Deleted: rapid.Int64().Draw(t, "deleted"), Prev: kvs.Draw(t, "prev")}
		case k < 4:
			op.Range = &registry.RangeResult{
				KVs: kvs.Draw(t, "kvs"), Count: rapid.Int64().Draw(t, "count"), More: rapid.Bool().Draw(t, "more"),
				Revision: rapid.Int64().Draw(t, "revision"), LastChange: rapid.Int64().Draw(t, "last change"),
				Age: time.Duration(rapid.Int64().Draw(t, "age")),
			}
		case k < 5 && depth < 3:
			op.Txn = anyTxnResult(t, depth+1)
		}
		res.Results = append(res.Results, op)
	}
	return res
}

// TestResultRoundTrip also has what is decoded outlive the bytes it came in.
func TestResultRoundTrip(t *testing.T) {
	leases := rapid.Map(rapid.SliceOfN(rapid.Int64(), 0, 3), func(ns []int64) (ids []registry.LeaseID) {
		for _, n := range ns {
			ids = append(ids, registry.LeaseID(n))
		}
		return ids
	})
	rapid.Check(t, func(t *rapid.T) {
		r := Result{Missing: leases.Draw(t, "missing"), Revisions: anyRevisions(t)}
		if rapid.Bool().Draw(t, "txn") {
			r.Txn = anyTxnResult(t, 0)
		}
		if rapid.Bool().Draw(t, "lease") {
			r.Lease = registry.Lease{
				ID:  registry.LeaseID(rapid.Int64().Draw(t, "id")),
				TTL: time.Duration(rapid.Int64().Draw(t, "ttl")), Remaining: time.Duration(rapid.Int64().Draw(t, "remaining")),
			}
			for range rapid.IntRange(0, 2).Draw(t, "keys") {
				r.Lease.Keys = append(r.Lease.Keys, registry.LeasedKey{Space: anySpace.Draw(t, "space"), Key: rapid.String().Draw(t, "key")})
			}
		}
		b := r.AppendTo([]byte("before"))
		if string(b[:6]) != "before" {
			t.Fatal("it does not append")
		}
		got, err := DecodeResult(b[6:])
		clear(b)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "result", got, r)
	})
}

func FuzzDecodeResult(f *testing.F) {
	for _, g := range goldenResults {
		f.Add(g.r.AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeResult(b)
		if err != nil {
			if !errors.Is(err, registry.ErrFormat) && !errors.Is(err, registry.ErrCorrupt) {
				t.Fatalf("neither ErrFormat nor ErrCorrupt: %v", err)
			}
			return
		}
		again, err := DecodeResult(r.AppendTo(nil))
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Fatalf("%s\nbecame %s: %v", text(r), text(again), err)
		}
	})
}

func BenchmarkResult(b *testing.B) {
	for _, bm := range []struct {
		name string
		r    *Result
	}{{"put", &goldenResults[0].r}, {"txn", &goldenResults[1].r}} {
		encoded := bm.r.AppendTo(nil)
		b.Run("encode/"+bm.name, func(b *testing.B) {
			b.ReportAllocs()
			buf := make([]byte, 0, 1024)
			for b.Loop() {
				buf = bm.r.AppendTo(buf[:0])
			}
		})
		b.Run("decode/"+bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := DecodeResult(encoded); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
