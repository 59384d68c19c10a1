package mvcc

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"testing"
	"testing/iotest"

	"herald/registry"
)

// snapshotState has something in every frame.
func snapshotState(t testing.TB) *State {
	t.Helper()
	s := New()
	put := func(p registry.PutRequest) registry.Op { return registry.Op{Put: &p} }
	del := func(kr registry.KeyRange) registry.Op {
		return registry.Op{Delete: &registry.DeleteRequest{KeyRange: kr}}
	}
	txn := func(ops ...registry.Op) Command {
		return Command{Origin: testOrigin, Txn: &registry.Txn{Then: ops}}
	}
	for i, c := range []Command{
		{Grant: &LeaseGrant{ID: -1, TTL: 10}},
		{Grant: &LeaseGrant{ID: 5, TTL: 1000}},
		{Checkpoint: &LeaseCheckpoint{Remaining: []LeaseRemaining{{5, 300}}}},
		txn(put(registry.PutRequest{Key: "a", Value: []byte("1"), Flags: 3})),
		txn(put(registry.PutRequest{Key: "b", Value: []byte("2"), Lease: 5}), put(registry.PutRequest{Key: "c", Space: registry.SpaceCatalog, Lease: -1})),
		txn(put(registry.PutRequest{Key: "old", Value: []byte("gone")})),
		txn(del(registry.One("old"))),
		txn(del(registry.One("a")), put(registry.PutRequest{Key: "b", Value: []byte("3"), Lease: 5, Lock: registry.LockAcquire, Holder: -1})),
		{Compact: &Compact{Revision: 6}},
		txn(put(registry.PutRequest{Key: "d", Value: []byte("4")}), del(registry.One("b"))),
		txn(put(registry.PutRequest{Key: "x"}), del(registry.One("x"))),
		txn(del(registry.One("d")), put(registry.PutRequest{Key: "d", Value: []byte("5")})),
		txn(put(registry.PutRequest{Key: "b", Value: []byte("6"), Lease: 5})),
	} {
		if res := s.Apply(&c); res.Err != nil {
			t.Fatalf("command %d: %v", i, res.Err)
		}
		s.SetApplied(uint64(10 + i))
	}
	s.Publish()
	return s
}

func encode(t testing.TB, v *View) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := v.Encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// resum puts the checksum right after a change, for damage that it cannot tell.
func resum(b []byte) []byte {
	body := b[:len(b)-8]
	return binary.LittleEndian.AppendUint64(bytes.Clone(body), crc64.Checksum(body, crc64ec))
}

func TestSnapshotGolden(t *testing.T) {
	b := encode(t, snapshotState(t).View())
	golden(t, "testdata/snapshot.golden", hex.Dump(b))
}

func TestSnapshotOfNothing(t *testing.T) {
	s, err := Decode(bytes.NewReader(encode(t, New().View())))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.View().Revisions(), (registry.Revisions{1, 1, 1, 1}); got != want {
		t.Errorf("revisions %v, want %v", got, want)
	}
	if s.View().Hash() != New().View().Hash() {
		t.Error("it has another hash")
	}
}

// TestSnapshotDamage flips each bit of each byte, and cuts at each length.
func TestSnapshotDamage(t *testing.T) {
	whole := encode(t, snapshotState(t).View())
	for i := range whole {
		for bit := range 8 {
			b := bytes.Clone(whole)
			b[i] ^= 1 << bit
			if _, err := Decode(bytes.NewReader(b)); !errors.Is(err, registry.ErrCorrupt) {
				t.Fatalf("bit %d of byte %d flipped: %v", bit, i, err)
			}
		}
		if _, err := Decode(bytes.NewReader(whole[:i])); !errors.Is(err, registry.ErrCorrupt) {
			t.Fatalf("cut to %d bytes: %v", i, err)
		}
	}
	if _, err := Decode(bytes.NewReader(append(bytes.Clone(whole), 0))); !errors.Is(err, registry.ErrCorrupt) {
		t.Fatalf("a byte more: %v", err)
	}
	if _, err := Decode(iotest.OneByteReader(bytes.NewReader(whole))); err != nil {
		t.Fatalf("read byte by byte: %v", err)
	}
}

// An order that events cannot have stood in, or that they would not be written with, is refused
// also where the checksum is right.
func TestSnapshotWithAnOrderThatIsNone(t *testing.T) {
	whole := encode(t, snapshotState(t).View())
	const valid = "\x2a\x02\x01\x00" // of two events, the second was first
	if bytes.Count(whole, []byte(valid)) != 1 {
		t.Fatal("the snapshot has no order, or more than one")
	}
	for what, order := range map[string]string{
		"as they stand":      "\x2a\x02\x00\x01",
		"one place twice":    "\x2a\x02\x01\x01",
		"a place too many":   "\x2a\x02\x02\x00",
		"half a number":      "\x2a\x02\x01\x80",
		"one number for two": "\x2a\x02\x80\x01",
	} {
		b := resum(bytes.Replace(whole, []byte(valid), []byte(order), 1))
		if _, err := Decode(bytes.NewReader(b)); !errors.Is(err, registry.ErrCorrupt) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := Decode(bytes.NewReader(resum(whole))); err != nil {
		t.Errorf("as it was written: %v", err)
	}
}

func TestSnapshotOfANewerVersion(t *testing.T) {
	b := append(appendHeader(nil, snapshotFormat+1), "whatever it holds"...)
	if _, err := Decode(bytes.NewReader(b)); !errors.Is(err, registry.ErrFormat) {
		t.Fatalf("%v", err)
	}
}

func TestSnapshotErrorsOfTheDisk(t *testing.T) {
	broken := errors.New("disk on fire")
	v := snapshotState(t).View()
	whole := encode(t, v)
	for _, n := range []int{0, 5, headerLen, 40, len(whole) - 3, len(whole)} {
		_, err := Decode(io.MultiReader(bytes.NewReader(whole[:n]), iotest.ErrReader(broken)))
		if !errors.Is(err, broken) || errors.Is(err, registry.ErrCorrupt) {
			t.Errorf("read fails after %d bytes: %v", n, err)
		}
		if n < len(whole) {
			if err := v.Encode(&failingWriter{left: n, err: broken}); !errors.Is(err, broken) {
				t.Errorf("write fails after %d bytes: %v", n, err)
			}
		}
	}
}

type failingWriter struct {
	left int
	err  error
}

func (w *failingWriter) Write(b []byte) (int, error) {
	if len(b) > w.left {
		return w.left, w.err
	}
	w.left -= len(b)
	return len(b), nil
}

// TestSnapshotLengths has a frame claim to be longer than all memory.
func TestSnapshotLengths(t *testing.T) {
	b := appendHeader(nil, snapshotFormat)
	for _, size := range []uint64{1 << 40, 1<<63 - 1, 1 << 63, 1<<64 - 1} {
		claim := binary.AppendUvarint(append(bytes.Clone(b), frameState), size)
		if _, err := Decode(bytes.NewReader(append(claim, 1, 2, 3))); !errors.Is(err, registry.ErrCorrupt) {
			t.Errorf("a frame of %d bytes: %v", size, err)
		}
	}
	endless := append(append(bytes.Clone(b), frameState), bytes.Repeat([]byte{0x80}, 20)...)
	if _, err := Decode(bytes.NewReader(endless)); !errors.Is(err, registry.ErrCorrupt) {
		t.Errorf("a length without end: %v", err)
	}
}

// FuzzDecodeSnapshot has the checksum put right, so that the checks behind it are
// reached. What passes them must be a state that works.
func FuzzDecodeSnapshot(f *testing.F) {
	f.Add(encode(f, New().View()))
	f.Add(encode(f, snapshotState(f).View()))
	compacted := snapshotState(f)
	compacted.Apply(&Command{Compact: &Compact{Revision: 10}})
	f.Add(encode(f, compacted.Publish()))
	if err := compacted.Supersede(registry.Revisions{}, testOrigin); err != nil {
		f.Fatal(err)
	}
	f.Add(encode(f, compacted.View()))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < headerLen+8 {
			return
		}
		s, err := Decode(bytes.NewReader(resum(b)))
		if err != nil {
			if !errors.Is(err, registry.ErrFormat) && !errors.Is(err, registry.ErrCorrupt) {
				t.Fatalf("neither ErrFormat nor ErrCorrupt: %v", err)
			}
			return
		}
		before := dump(s.View())
		if roundTrip(t, s.View()).View().Hash() != s.View().Hash() {
			t.Fatal("it changes when it is written and read again")
		}
		v := s.View()
		s.swept.step = 1
		for _, g := range goldenCommands {
			s.Apply(&g.c)
			s.Apply(&Command{Compact: &Compact{Revision: s.spaces[0].rev}})
		}
		v.Leases(func(l LeaseState) bool {
			s.Apply(&Command{Revoke: &LeaseRevoke{IDs: []registry.LeaseID{l.ID}}})
			return true
		})
		s.Publish()
		if after := dump(v); after != before {
			t.Fatal("a view changed under its reader")
		}
		if s.Supersede(registry.Revisions{}, testOrigin) == nil {
			roundTrip(t, s.View())
		}
	})
}

// TestHashAt compares replicas that went different ways to the same history.
func TestHashAt(t *testing.T) {
	one, two := snapshotState(t), snapshotState(t)
	two.swept.step = 1000
	two.SetApplied(500) // swept, and at another index
	two.Publish()
	var seen []string
	for rev := one.View().Compacted(0); rev <= one.View().Revision(0); rev++ {
		h1, at1, c1, err1 := one.View().HashAt(0, rev)
		h2, at2, c2, err2 := roundTrip(t, two.View()).View().HashAt(0, rev)
		if h1 != h2 || at1 != rev || at2 != rev || c1 != 6 || c2 != 6 || err1 != nil || err2 != nil {
			t.Errorf("at %d: %x %d %d %v, and %x %d %d %v", rev, h1, at1, c1, err1, h2, at2, c2, err2)
		}
		seen = append(seen, fmt.Sprint(h1))
	}
	for i := range seen[1:] {
		if seen[i] == seen[i+1] {
			t.Errorf("two revisions have one hash, %s", seen[i])
		}
	}
	if one.View().Hash() != two.View().Hash() {
		t.Error("equal states have different hashes")
	}
	now, at, _, err := one.View().HashAt(0, 0)
	if want := seen[len(seen)-1]; fmt.Sprint(now) != want || at != one.View().Revision(0) || err != nil {
		t.Errorf("now: %d at %d, %v, want %s", now, at, err, want)
	}
	if _, _, _, err := one.View().HashAt(0, 5); !errors.Is(err, registry.ErrCompacted) {
		t.Errorf("compacted: %v", err)
	}
	if _, _, _, err := one.View().HashAt(0, 99); !errors.Is(err, registry.ErrFutureRevision) {
		t.Errorf("future: %v", err)
	}
	if _, _, _, err := one.View().HashAt(9, 1); !errors.Is(err, registry.ErrInvalid) {
		t.Errorf("no such space: %v", err)
	}
}

// TestHashesTellOrders has two states differ in the order of one commit's events alone.
func TestHashesTellOrders(t *testing.T) {
	put := func(key string) registry.Op { return registry.Op{Put: &registry.PutRequest{Key: key}} }
	one, two := New(), New()
	one.Apply(&Command{Txn: &registry.Txn{Then: []registry.Op{put("a"), put("b")}}})
	two.Apply(&Command{Txn: &registry.Txn{Then: []registry.Op{put("b"), put("a")}}})
	v, w := one.Publish(), two.Publish()
	if v.Hash() == w.Hash() {
		t.Error("their hashes are the same")
	}
	h1, _, _, err1 := v.HashAt(0, 2)
	h2, _, _, err2 := w.HashAt(0, 2)
	if h1 == h2 || err1 != nil || err2 != nil {
		t.Errorf("their hashes at a revision: %x %v, %x %v", h1, err1, h2, err2)
	}
}
