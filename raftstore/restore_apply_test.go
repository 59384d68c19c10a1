package raftstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"herald/registry"
	"herald/registry/archive"
	"herald/registry/mvcc"
)

// restoreMachine is a machine at index 1, with k = "live", and an archive with k = "archive".
func restoreMachine(t *testing.T) (m *machine, apply func(term uint64, e restoreEntry) *entryResult, b []byte) {
	t.Helper()
	state := func(value string) *mvcc.State {
		s := mvcc.New()
		s.Apply(&mvcc.Command{Txn: &registry.Txn{Then: []registry.Op{{Put: &registry.PutRequest{Key: "k", Value: []byte(value)}}}}})
		s.SetApplied(1)
		return s
	}
	var buf bytes.Buffer
	if _, err := archive.Write(&buf, state("archive").Publish(), registry.SnapshotInfo{}); err != nil {
		t.Fatal(err)
	}
	m = newMachine(hubConfig)
	t.Cleanup(func() { m.dropRestore(); m.hub.Close() })
	m.starting.Store(false)
	m.replace(state("live"))
	index := uint64(1)
	return m, func(term uint64, e restoreEntry) *entryResult {
		index++
		return m.Apply(&raft.Log{Type: raft.LogCommand, Index: index, Term: term, Data: e.append(nil)}).(*entryResult)
	}, buf.Bytes()
}

// TestRestoreEntries has entries of restores come as they should not.
func TestRestoreEntries(t *testing.T) {
	t.Parallel()
	const all = -1
	piece := func(id uint64, from, to int) func(b []byte) restoreEntry {
		return func(b []byte) restoreEntry {
			if to == all {
				to = len(b)
			}
			return restoreEntry{kind: restorePiece, fence: 5, id: id, offset: uint64(from), data: b[from:to]}
		}
	}
	of := func(kind byte, id uint64) func(b []byte) restoreEntry {
		return func(b []byte) restoreEntry {
			return restoreEntry{kind: kind, fence: 5, id: id, offset: uint64(len(b))}
		}
	}
	fenced := func(e func([]byte) restoreEntry, term uint64) func([]byte) restoreEntry {
		return func(b []byte) restoreEntry { r := e(b); r.fence = term; return r }
	}
	type step struct {
		e   func(b []byte) restoreEntry
		err error
	}
	for _, c := range []struct {
		name     string
		steps    []step
		restored bool
	}{
		{"in one piece", []step{{piece(1, 0, all), nil}, {of(restoreEnd, 1), nil}}, true},
		{"in pieces", []step{{piece(1, 0, 10), nil}, {piece(1, 10, 200), nil}, {piece(1, 200, all), nil}, {of(restoreEnd, 1), nil}}, true},
		{"no pieces", []step{{of(restoreEnd, 1), errRestoreOver}}, false},
		{"a piece is missing", []step{{piece(1, 0, 10), nil}, {piece(1, 20, all), errRestoreOver}, {of(restoreEnd, 1), errRestoreOver}}, false},
		{"a piece comes twice", []step{{piece(1, 0, 10), nil}, {piece(1, 10, 20), nil}, {piece(1, 10, 20), errRestoreOver}, {piece(1, 20, all), nil}, {of(restoreEnd, 1), nil}}, true},
		{"the end comes early", []step{{piece(1, 0, 10), nil}, {of(restoreEnd, 1), errRestoreOver}, {piece(1, 10, all), nil}, {of(restoreEnd, 1), nil}}, true},
		{"the end comes twice", []step{{piece(1, 0, all), nil}, {of(restoreEnd, 1), nil}, {of(restoreEnd, 1), errRestoreOver}}, true},
		{"another's end", []step{{piece(1, 0, all), nil}, {of(restoreEnd, 2), errRestoreOver}}, false},
		{"another's piece", []step{{piece(1, 0, 10), nil}, {piece(2, 10, 20), errRestoreOver}, {piece(1, 10, all), nil}, {of(restoreEnd, 1), nil}}, true},
		{"another begins", []step{{piece(1, 0, 10), nil}, {piece(2, 0, 10), nil}, {piece(1, 10, all), errRestoreOver}, {of(restoreEnd, 1), errRestoreOver}, {piece(2, 10, all), nil}, {of(restoreEnd, 2), nil}}, true},
		{"cancelled", []step{{piece(1, 0, all), nil}, {of(restoreCancel, 1), nil}, {of(restoreEnd, 1), errRestoreOver}}, false},
		{"another is cancelled", []step{{piece(1, 0, all), nil}, {of(restoreCancel, 2), errRestoreOver}, {of(restoreEnd, 1), nil}}, true},
		{"begins again", []step{{piece(1, 0, 10), nil}, {piece(1, 0, all), nil}, {of(restoreEnd, 1), nil}}, true},
		{"of another term", []step{{fenced(piece(1, 0, all), 4), errFenced}, {of(restoreEnd, 1), errRestoreOver}}, false},
		{"ended in another term's name", []step{{piece(1, 0, all), nil}, {fenced(of(restoreEnd, 1), 4), errFenced}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, apply, b := restoreMachine(t)
			for i, st := range c.steps {
				res := apply(5, st.e(b))
				if res.err != nil || !errors.Is(res.results[0].Err, st.err) || (res.results[0].Err == nil) != (st.err == nil) {
					t.Errorf("step %d: %+v, want %v", i, res, st.err)
				}
				if got, want := m.View().Applied(), uint64(2+i); got != want {
					t.Errorf("step %d: %d is applied, want %d", i, got, want)
				}
			}
			want := "live"
			if c.restored {
				want = "archive"
			}
			if kv, _ := m.View().Get(0, "k"); string(kv.Value) != want {
				t.Errorf("k is %q, want %q", kv.Value, want)
			}
		})
	}
}

// TestRestoreEndsWithItsTerm has it dropped by whatever comes in a later term, and no
// snapshot taken before that.
func TestRestoreEndsWithItsTerm(t *testing.T) {
	t.Parallel()
	for _, later := range []raft.Log{
		{Type: raft.LogCommand, Data: appendEntryHeader(nil)},
		{Type: raft.LogConfiguration},
	} {
		m, apply, b := restoreMachine(t)
		e := restoreEntry{kind: restorePiece, fence: 5, id: 1, data: b}
		apply(5, e)
		if _, err := m.Snapshot(); !errors.Is(err, errRestoring) {
			t.Errorf("a snapshot was taken during a restore: %v", err)
		}
		later.Index, later.Term = 3, 6
		m.Apply(&later)
		if _, err := m.Snapshot(); err != nil {
			t.Errorf("no snapshot after the term of a restore: %v", err)
		}
		e.kind, e.offset, e.data = restoreEnd, uint64(len(b)), nil
		if res := apply(5, e); !errors.Is(res.results[0].Err, errRestoreOver) {
			t.Errorf("its end: %+v", res)
		}
	}
}

// TestRestoreOfAnInstalledSnapshot drops what the snapshot does not know.
func TestRestoreOfAnInstalledSnapshot(t *testing.T) {
	t.Parallel()
	m, apply, b := restoreMachine(t)
	apply(5, restoreEntry{kind: restorePiece, fence: 5, id: 1, data: b})
	var snap bytes.Buffer
	if err := m.View().Encode(&snap); err != nil {
		t.Fatal(err)
	}
	if err := m.Restore(readCloser{&snap}); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Snapshot(); err != nil {
		t.Errorf("snapshot: %v", err)
	}
}

type readCloser struct{ *bytes.Buffer }

func (readCloser) Close() error { return nil }

// TestRestoreEntriesThatStopTheMachine: what another server can apply and this one cannot is
// the end of this one.
func TestRestoreEntriesThatStopTheMachine(t *testing.T) {
	t.Parallel()
	end := func(b []byte, origin []byte) []byte {
		e := restoreEntry{kind: restoreEnd, fence: 5, id: 1, offset: uint64(len(b)), data: origin}
		return e.append(nil)
	}
	for _, c := range []struct {
		name string
		cut  int
		data func(b []byte) []byte
		want error
	}{
		{"an unknown kind", 0, func([]byte) []byte { return []byte{restoreFormat, 9} }, registry.ErrFormat},
		{"cut short", 0, func([]byte) []byte { return []byte{restoreFormat} }, registry.ErrCorrupt},
		{"cut short in its head", 0, func([]byte) []byte { return []byte{restoreFormat, restoreEnd, 5, 1} }, registry.ErrCorrupt},
		{"an archive cut short", 1, func(b []byte) []byte { return end(b, nil) }, registry.ErrCorrupt},
		{"an origin of a newer version", 0, func(b []byte) []byte { return end(b, []byte{9 << 3, 1}) }, registry.ErrFormat},
		{"an origin that is none", 0, func(b []byte) []byte { return end(b, []byte{0xff}) }, registry.ErrCorrupt},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, apply, b := restoreMachine(t)
			var failed error
			m.fail = func(err error) { failed = err }
			b = b[:len(b)-c.cut]
			apply(5, restoreEntry{kind: restorePiece, fence: 5, id: 1, data: b})
			res := m.Apply(&raft.Log{Type: raft.LogCommand, Index: 3, Term: 5, Data: c.data(b)}).(*entryResult)
			if !errors.Is(res.err, c.want) || !errors.Is(failed, c.want) {
				t.Errorf("%v, failed with %v, want %v", res.err, failed, c.want)
			}
			if kv, _ := m.View().Get(0, "k"); string(kv.Value) != "live" {
				t.Errorf("k is %q", kv.Value)
			}
			if _, err := m.Snapshot(); err == nil {
				t.Error("it still takes snapshots")
			}
		})
	}
}

// TestRestoreBetweenCommands has all of it in one batch: what comes before is undone by it,
// what comes after is not, and the lease clock hears of the leases there are.
func TestRestoreBetweenCommands(t *testing.T) {
	t.Parallel()
	m, _, b := restoreMachine(t)
	var told []string
	m.restored = func(v *mvcc.View) { told = append(told, "restored") }
	m.leases = func(ch []mvcc.LeaseChange) {
		for _, c := range ch {
			told = append(told, time.Duration(c.ID).String())
		}
	}
	entry := func(c mvcc.Command) []byte { return appendCommand(appendEntryHeader(nil), 0, c.AppendTo(nil)) }
	put := func(key string) []byte {
		return entry(mvcc.Command{Txn: &registry.Txn{Then: []registry.Op{{Put: &registry.PutRequest{Key: key}}}}})
	}
	grant := func(id registry.LeaseID) []byte {
		return entry(mvcc.Command{Grant: &mvcc.LeaseGrant{ID: id, TTL: time.Minute}})
	}
	of := func(kind byte, offset int, data []byte) []byte {
		e := restoreEntry{kind: kind, fence: 5, id: 1, offset: uint64(offset), data: data}
		return e.append(nil)
	}
	var logs []*raft.Log
	for i, data := range [][]byte{
		of(restorePiece, 0, b), put("before"), grant(1), of(restoreEnd, len(b), nil), put("after"), grant(2),
	} {
		logs = append(logs, &raft.Log{Type: raft.LogCommand, Index: uint64(2 + i), Term: 5, Data: data})
	}
	for i, r := range m.ApplyBatch(logs) {
		if er := r.(*entryResult); er.err != nil || er.results[0].Err != nil {
			t.Errorf("entry %d: %+v", i, er)
		}
	}
	v := m.View()
	for key, want := range map[string]bool{"before": false, "after": true, "k": true} {
		if _, ok := v.Get(0, key); ok != want {
			t.Errorf("%s exists: %v", key, ok)
		}
	}
	if v.Applied() != 7 || v.Size().Leases != 1 {
		t.Errorf("%d is applied, there are %d leases", v.Applied(), v.Size().Leases)
	}
	if got := strings.Join(told, " "); got != "restored 2ns" {
		t.Errorf("the lease clock was told of %s", got)
	}
}

func TestRestoreEntryGolden(t *testing.T) {
	t.Parallel()
	e := restoreEntry{kind: restoreEnd, fence: 300, id: 2, offset: 128, data: []byte("x")}
	if got, want := e.append(nil), []byte{2, 2, 0xac, 2, 2, 0x80, 1, 'x'}; !bytes.Equal(got, want) {
		t.Errorf("%x, want %x: logs have the latter", got, want)
	}
	o := registry.Origin{Who: "a", Why: registry.ReasonOperator, When: time.Unix(0, 1).UTC()}
	if got, want := appendOrigin(nil, o), []byte{0x0a, 1, 'a', 0x10, 5, 0x18, 2}; !bytes.Equal(got, want) {
		t.Errorf("%x, want %x: logs have the latter", got, want)
	}
}

func FuzzDecodeRestoreEntry(f *testing.F) {
	e := restoreEntry{kind: restorePiece, fence: 5, id: 1 << 63, offset: 7, data: []byte("piece")}
	f.Add(e.append(nil))
	f.Add([]byte{restoreFormat, restoreCancel, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if !isRestore(b) {
			return
		}
		e, err := decodeRestoreEntry(b)
		if err != nil {
			if !errors.Is(err, registry.ErrFormat) && !errors.Is(err, registry.ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		if isRestoreCancel(b) != (e.kind == restoreCancel) {
			t.Fatal("whether it is a cancel is said in two ways")
		}
		if again, err := decodeRestoreEntry(e.append(nil)); err != nil || !reflect.DeepEqual(again, e) {
			t.Fatalf("%+v became %+v (%v)", e, again, err)
		}
	})
}

func FuzzReadRestoreHead(f *testing.F) {
	o := appendOrigin(nil, registry.Origin{Who: "ops", Why: registry.ReasonOperator, When: time.Unix(0, 1)})
	f.Add(binary.BigEndian.AppendUint64(append(binary.BigEndian.AppendUint32(nil, uint32(len(o))), o...), 1<<40))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		by, size, err := readRestoreHead(bytes.NewReader(b))
		if err != nil {
			return
		}
		if size < 0 {
			t.Fatal("less than nothing comes")
		}
		if again, err := decodeOrigin(appendOrigin(nil, by)); err != nil || again != by {
			t.Fatalf("%+v became %+v (%v)", by, again, err)
		}
	})
}
