package mvcc

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"herald/registry"
	"herald/registry/wire"
)

var testOrigin = registry.Origin{Who: "alice", Why: registry.ReasonAgent, When: time.Date(2026, 11, 22, 14, 3, 0, 5, time.UTC)}

// goldenCommands has every field of every message set once. The files it is
// compared with must not change for a format that was released.
var goldenCommands = []struct {
	name string
	c    Command
}{
	{"put", Command{Origin: testOrigin, Txn: &registry.Txn{Then: []registry.Op{{Put: &registry.PutRequest{
		Space: registry.SpaceCatalog, Key: "k", Value: []byte("v"), Lease: -7, Flags: math.MaxUint64,
		KeepValue: true, KeepLease: true, KeepFlags: true, Lock: registry.LockForget, Holder: 9, IfChanged: true, PrevKV: true,
	}}}}}},
	{"plain put", Command{Txn: &registry.Txn{Then: []registry.Op{{Put: &registry.PutRequest{Key: "key", Value: []byte("value")}}}}}},
	{"txn", Command{Origin: testOrigin, Txn: &registry.Txn{
		Compare: []registry.Compare{
			{Space: registry.SpaceSession, KeyRange: registry.KeyRange{Start: "a", End: "b"}, Target: registry.CompareLockCount, Result: registry.Less, Int: -1, Uint: 3, Bytes: []byte{0xff}},
			{KeyRange: registry.One("a"), Target: registry.CompareMod, Int: 300},
		},
		Then: []registry.Op{
			{Range: &registry.RangeRequest{
				Space: registry.SpaceCatalog, KeyRange: registry.All(), Revision: 4, Limit: 5, CountOnly: true, KeysOnly: true, SkipCount: true,
				SortTarget: registry.SortByValue, SortOrder: registry.SortDescend,
				MinModRevision: 1, MaxModRevision: 2, MinCreateRevision: 3, MaxCreateRevision: -4, WithLastChange: true,
			}},
			{Delete: &registry.DeleteRequest{Space: registry.SpaceSession, KeyRange: registry.Prefix("x"), PrevKV: true}},
			{Grant: &registry.GrantRequest{ID: -3, IfAbsent: true, TTL: time.Minute, After: 4, DeleteLocked: true}},
			{Txn: &registry.Txn{Then: []registry.Op{{Put: &registry.PutRequest{Key: "in", Value: bytes.Repeat([]byte("long"), 60)}}}}},
		},
		Else: []registry.Op{{Require: &registry.Compare{KeyRange: registry.One("r"), Target: registry.CompareValue, Result: registry.NotEqual, Bytes: []byte("v")}}},
	}}},
	{"empty txn", Command{Txn: &registry.Txn{}}},
	{"grant", Command{Origin: testOrigin, Grant: &LeaseGrant{ID: math.MaxInt64, TTL: registry.MaxTTL}}},
	{"revoke", Command{Origin: registry.Origin{Why: registry.ReasonLeaseEnd}, Revoke: &LeaseRevoke{IDs: []registry.LeaseID{1, 0, math.MinInt64}}}},
	{"compact", Command{Compact: &Compact{Space: registry.SpaceCatalog, Revision: -5}}},
	{"checkpoint", Command{Checkpoint: &LeaseCheckpoint{Remaining: []LeaseRemaining{{1, time.Second}, {2, 0}}}}},
}

func TestCommandGolden(t *testing.T) {
	var out strings.Builder
	for _, g := range goldenCommands {
		b := g.c.AppendTo(nil)
		fmt.Fprintf(&out, "%s\n%s\n", g.name, hex.Dump(b))
		got, err := DecodeCommand(b)
		if err != nil {
			t.Errorf("%s: %v", g.name, err)
			continue
		}
		if got.data = nil; !reflect.DeepEqual(got, g.c) {
			t.Errorf("%s: decoded\n%s\nwhat was encoded as\n%s", g.name, text(got), text(g.c))
		}
	}
	golden(t, "testdata/commands.golden", out.String())
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the bytes are not those of %s: what was written with them cannot be read alike\n%s", file, firstDifference(got, string(want)))
	}
}

// A limit on what a command takes means the same whoever makes it, and when.
func TestOwnBytes(t *testing.T) {
	for _, c := range []Command{
		{Txn: &registry.Txn{Then: []registry.Op{{Put: &registry.PutRequest{Key: "k", Value: make([]byte, 300)}}}}},
		{Compact: &Compact{Revision: 7}},
	} {
		want := len(c.AppendTo(nil))
		for _, o := range []registry.Origin{{}, {Why: 1}, {Who: "a", When: time.Unix(1, 0)}, {Who: strings.Repeat("w", 200), Why: 1, When: time.Unix(1<<33, 1)}} {
			c.Origin = o
			if got := OwnBytes(c.AppendTo(nil)); got != want {
				t.Errorf("%d bytes of one by %+v, want %d", got, o, want)
			}
		}
	}
	for _, b := range []string{"", "\x01", "\x01\x0a", "\x01\x0a\x05abcd", "\x01\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "\x01\x12\x01a"} {
		if got := OwnBytes([]byte(b)); got != len(b) {
			t.Errorf("%x: %d bytes, want all of its %d", b, got, len(b))
		}
	}
}

func TestDecodeCommandErrors(t *testing.T) {
	field := func(n int, fill ...byte) []byte {
		return wire.AppendMessage(nil, n, func(b []byte) []byte { return append(b, fill...) })
	}
	command := func(parts ...[]byte) []byte { return append([]byte{commandFormat}, bytes.Join(parts, nil)...) }
	op := func(parts ...[]byte) []byte {
		return command(field(commandTxn, field(2, bytes.Join(parts, nil)...)...))
	}
	deep := []byte{}
	for range maxTxnDepth + 1 {
		deep = field(2, field(opTxn, deep...)...)
	}
	for _, c := range []struct {
		name string
		b    []byte
		want error
	}{
		{"nothing", nil, registry.ErrCorrupt},
		{"format 0", []byte{0}, registry.ErrCorrupt},
		{"a newer format", []byte{commandFormat + 1, 1, 2, 3}, registry.ErrFormat},
		{"no kind", command(), registry.ErrCorrupt},
		{"an origin alone", command(field(commandOrigin)), registry.ErrCorrupt},
		{"two kinds", command(field(commandTxn), field(commandGrant)), registry.ErrCorrupt},
		{"one kind twice", command(field(commandTxn), field(commandTxn)), registry.ErrCorrupt},
		{"an unknown kind", command(field(99)), registry.ErrFormat},
		{"an unknown kind beside a known one", command(field(commandTxn), field(99)), registry.ErrFormat},
		{"an unknown field of the origin", command(field(commandOrigin, field(4)...), field(commandTxn)), registry.ErrFormat},
		{"an unknown field of a transaction", command(field(commandTxn, field(4)...)), registry.ErrFormat},
		{"an unknown operation", op(field(7)), registry.ErrFormat},
		{"an unknown field of a put", op(field(opPut, field(13)...)), registry.ErrFormat},
		{"an unknown field of a put among others", op(field(opPut, wire.AppendString(field(13), 2, "k")...)), registry.ErrFormat},
		{"an unknown field of a range", op(field(opRange, field(16)...)), registry.ErrFormat},
		{"an unknown field of a delete", op(field(opDelete, field(5)...)), registry.ErrFormat},
		{"an unknown field of a compare", op(field(opRequire, field(9)...)), registry.ErrFormat},
		{"an unknown field of a grant", command(field(commandGrant, field(3)...)), registry.ErrFormat},
		{"an unknown field of a compaction", command(field(commandCompact, field(3)...)), registry.ErrFormat},
		{"an unknown field of a lease", command(field(commandRevoke, field(1, field(3)...)...)), registry.ErrFormat},
		{"an unknown field of a revoke", command(field(commandRevoke, field(2)...)), registry.ErrFormat},
		{"an unknown space", op(field(opPut, wire.AppendUint(nil, 1, registry.NumSpaces)...)), registry.ErrFormat},
		{"an unknown lock action", op(field(opPut, wire.AppendUint(nil, 9, 4)...)), registry.ErrFormat},
		{"an unknown compare target", op(field(opRequire, wire.AppendUint(nil, 4, 8)...)), registry.ErrFormat},
		{"an unknown sort order", op(field(opRange, wire.AppendUint(nil, 10, 3)...)), registry.ErrFormat},
		{"a space that no byte holds", op(field(opPut, wire.AppendUint(nil, 1, 300)...)), registry.ErrCorrupt},
		{"an operation of no kind", op(), registry.ErrCorrupt},
		{"an operation of two kinds", op(field(opPut), field(opDelete)), registry.ErrCorrupt},
		{"an operation of one kind twice", op(field(opPut), field(opPut)), registry.ErrCorrupt},
		{"a key that is a number", op(field(opPut, wire.AppendUint(nil, 2, 1)...)), registry.ErrCorrupt},
		{"a lease that is bytes", op(field(opPut, field(4)...)), registry.ErrCorrupt},
		{"a field cut short", command(field(commandTxn, 1, 2)[:3]), registry.ErrCorrupt},
		{"transactions too deep", command(field(commandTxn, deep...)), registry.ErrCorrupt},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := DecodeCommand(c.b)
			if !errors.Is(err, c.want) {
				t.Errorf("%x: %v, want %v", c.b, err, c.want)
			}
		})
	}
}

// TestDecodedCommandKeepsNothing overwrites the bytes a command was decoded
// from, as a log that reuses its buffers does, and the buffer of a value that
// was given to Apply as it is.
func TestDecodedCommandKeepsNothing(t *testing.T) {
	for _, g := range goldenCommands {
		b := g.c.AppendTo(nil)
		c, err := DecodeCommand(b)
		if err != nil {
			t.Fatal(err)
		}
		clear(b)
		if c.data = nil; !reflect.DeepEqual(c, g.c) {
			t.Errorf("%s changed with its bytes", g.name)
		}
	}
	s := New()
	value := []byte("before")
	s.Apply(&Command{Txn: &registry.Txn{Then: []registry.Op{{Put: &registry.PutRequest{Key: "a", Value: value}}}}})
	copy(value, "after!")
	if kv, _ := s.Publish().Get(0, "a"); string(kv.Value) != "before" {
		t.Errorf("a value changed with the buffer it came in: %q", kv.Value)
	}
}

func FuzzDecodeCommand(f *testing.F) {
	for _, g := range goldenCommands {
		f.Add(g.c.AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := DecodeCommand(b)
		if err != nil {
			if !errors.Is(err, registry.ErrFormat) && !errors.Is(err, registry.ErrCorrupt) {
				t.Fatalf("neither ErrFormat nor ErrCorrupt: %v", err)
			}
			return
		}
		// What was read is written and read again alike, and can be applied: by two
		// replicas, to the same end.
		again, err := DecodeCommand(c.AppendTo(nil))
		if err != nil || !reflect.DeepEqual(again, c) {
			t.Fatalf("%s\nbecame %s: %v", text(c), text(again), err)
		}
		one, two := New(), New()
		for _, setup := range goldenCommands {
			one.Apply(&setup.c)
			two.Apply(&setup.c)
		}
		r1, r2 := one.Apply(&c), two.Apply(&again)
		if text(r1.Txn) != text(r2.Txn) || !sameError(r1.Err, r2.Err) || one.Publish().Hash() != two.Publish().Hash() {
			t.Fatalf("two replicas differ after %s", text(c))
		}
	})
}

// TestAdoptedMemory has a record take memory over only if it holds exactly the key and
// value that are put.
func TestAdoptedMemory(t *testing.T) {
	for _, c := range []struct {
		name  string
		put   registry.PutRequest
		edit  func(p *registry.PutRequest)
		taken bool
	}{
		{"as decoded", registry.PutRequest{Key: "k", Value: []byte("v")}, func(*registry.PutRequest) {}, true},
		{"a key alone", registry.PutRequest{Key: "k"}, func(*registry.PutRequest) {}, true},
		{"another value", registry.PutRequest{Key: "k", Value: []byte("v")}, func(p *registry.PutRequest) { p.Value = []byte("w") }, false},
		{"another key", registry.PutRequest{Key: "k", Value: []byte("v")}, func(p *registry.PutRequest) { p.Key = "l" }, false},
		{"a value taken away", registry.PutRequest{Key: "k", Value: []byte("v")}, func(p *registry.PutRequest) { p.Value = nil }, false},
		{"part of the key", registry.PutRequest{Key: "kk", Value: []byte("v")}, func(p *registry.PutRequest) { p.Key = p.Key[:1] }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := DecodeCommand((&Command{Txn: &registry.Txn{Then: []registry.Op{{Put: &c.put}}}}).AppendTo(nil))
			if err != nil {
				t.Fatal(err)
			}
			p := d.Txn.Then[0].Put
			c.edit(p)
			s := New()
			s.Apply(&d)
			r := s.spaces[0].get(p.Key)
			if r == nil || !bytes.Equal(r.value(), p.Value) {
				t.Fatalf("the record is not what was put: %+v", r)
			}
			if taken := r.data == &d.data[0]; taken != c.taken {
				t.Errorf("its memory was taken over: %v, want %v", taken, c.taken)
			}
		})
	}
}
