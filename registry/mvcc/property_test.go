package mvcc

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"herald/registry"
)

// The generators keep to few keys, leases and numbers, so that commands meet.
var (
	anyKey   = rapid.SampledFrom([]string{"a", "a\x00", "aa", "ab", "b", "ba", "c", "\xff", "\xff\xff"})
	anyEnd   = rapid.SampledFrom([]string{"", "", "\x00", "aa", "b", "c", "d", "\xff", "\xff\x00"})
	anyValue = rapid.Map(rapid.SampledFrom([]string{"", "1", "2", "long value"}), func(s string) []byte { return []byte(s) })
	anySpace = rapid.SampledFrom([]registry.Space{0, 0, 0, 1, 2})
	anyLease = rapid.Map(rapid.SampledFrom([]int64{1, 1, 2, 3, -4}), func(n int64) registry.LeaseID { return registry.LeaseID(n) })
	anyWho   = rapid.SampledFrom([]string{"", "alice", "bob"})
)

func anyRange(t *rapid.T) registry.KeyRange {
	return registry.KeyRange{Start: anyKey.Draw(t, "start"), End: anyEnd.Draw(t, "end")}
}

// anyRevision is near what the space has, sometimes beyond it.
func anyRevision(t *rapid.T, m *model, s registry.Space, name string) int64 {
	return rapid.Int64Range(-1, m.spaces[s].rev+2).Draw(t, name)
}

func anyRangeRequest(t *rapid.T, m *model) *registry.RangeRequest {
	q := &registry.RangeRequest{Space: anySpace.Draw(t, "space"), KeyRange: anyRange(t)}
	if rapid.Bool().Draw(t, "plain") {
		return q
	}
	q.Revision = anyRevision(t, m, q.Space, "revision")
	q.Limit = rapid.Int64Range(-1, 4).Draw(t, "limit")
	q.CountOnly = rapid.IntRange(0, 5).Draw(t, "count only") == 0
	q.KeysOnly = rapid.IntRange(0, 3).Draw(t, "keys only") == 0
	q.SkipCount = rapid.IntRange(0, 3).Draw(t, "skip count") == 0
	q.SortTarget = registry.SortTarget(rapid.IntRange(0, 4).Draw(t, "sort target"))
	q.SortOrder = registry.SortOrder(rapid.IntRange(0, 2).Draw(t, "sort order"))
	if rapid.Bool().Draw(t, "filtered") {
		q.MinModRevision = anyRevision(t, m, q.Space, "min mod")
		q.MaxModRevision = anyRevision(t, m, q.Space, "max mod")
		q.MinCreateRevision = anyRevision(t, m, q.Space, "min create")
		q.MaxCreateRevision = anyRevision(t, m, q.Space, "max create")
	}
	q.WithLastChange = q.Revision <= 0 && rapid.Bool().Draw(t, "last change")
	return q
}

func anyCompare(t *rapid.T, m *model) registry.Compare {
	c := registry.Compare{
		Space:  anySpace.Draw(t, "space"),
		Target: registry.CompareTarget(rapid.IntRange(0, int(registry.CompareLockCount)).Draw(t, "target")),
		Result: registry.CompareResult(rapid.IntRange(0, int(registry.Less)).Draw(t, "operator")),
	}
	c.KeyRange = anyRange(t)
	switch c.Target {
	case registry.CompareValue:
		c.Bytes = anyValue.Draw(t, "bytes")
	case registry.CompareLease, registry.CompareLockHolder:
		c.Int = int64(anyLease.Draw(t, "lease"))
	case registry.CompareFlags, registry.CompareLockCount:
		c.Uint = uint64(rapid.IntRange(0, 2).Draw(t, "uint"))
	default:
		c.Int = anyRevision(t, m, c.Space, "int")
	}
	return c
}

func anyPut(t *rapid.T) *registry.PutRequest {
	p := &registry.PutRequest{Space: anySpace.Draw(t, "space"), Key: anyKey.Draw(t, "key"), Value: anyValue.Draw(t, "value")}
	if rapid.Bool().Draw(t, "plain") {
		return p
	}
	rare := func(name string) bool { return rapid.IntRange(0, 4).Draw(t, name) == 0 }
	if rapid.Bool().Draw(t, "leased") {
		p.Lease = anyLease.Draw(t, "lease")
	}
	p.Flags = uint64(rapid.IntRange(0, 2).Draw(t, "flags"))
	p.KeepValue, p.KeepLease, p.KeepFlags = rare("keep value"), rare("keep lease"), rare("keep flags")
	p.Lock = registry.LockAction(rapid.IntRange(0, 3).Draw(t, "lock"))
	p.Holder = anyLease.Draw(t, "holder")
	p.IfChanged = rapid.Bool().Draw(t, "if changed")
	p.PrevKV = rapid.Bool().Draw(t, "prev")
	return p
}

func anyTxn(t *rapid.T, m *model, depth int) *registry.Txn {
	x := &registry.Txn{Then: anyOps(t, m, depth)}
	if rapid.Bool().Draw(t, "conditional") {
		x.Else = anyOps(t, m, depth)
		for range rapid.IntRange(1, 2).Draw(t, "compares") {
			x.Compare = append(x.Compare, anyCompare(t, m))
		}
	}
	return x
}

func anyOps(t *rapid.T, m *model, depth int) []registry.Op {
	var ops []registry.Op
	for range rapid.IntRange(0, 4).Draw(t, "ops") {
		var op registry.Op
		switch k := rapid.IntRange(0, 12).Draw(t, "op"); {
		case k < 5:
			op.Put = anyPut(t)
		case k < 7:
			op.Delete = &registry.DeleteRequest{Space: anySpace.Draw(t, "space"), KeyRange: anyRange(t), PrevKV: rapid.Bool().Draw(t, "prev")}
		case k < 9:
			op.Range = anyRangeRequest(t, m)
		case k < 10 && depth < 2:
			op.Txn = anyTxn(t, m, depth+1)
		case k < 12:
			op.Grant = &registry.GrantRequest{
				ID: anyLease.Draw(t, "id"), TTL: time.Duration(rapid.IntRange(0, 100).Draw(t, "ttl")),
				IfAbsent: rapid.Bool().Draw(t, "if absent"), DeleteLocked: rapid.Bool().Draw(t, "delete locked"),
			}
			if rapid.Bool().Draw(t, "after another") {
				op.Grant.After = anyLease.Draw(t, "after")
			}
		default:
			c := anyCompare(t, m)
			op.Require = &c
		}
		ops = append(ops, op)
	}
	return ops
}

func anyCommand(t *rapid.T, m *model) *Command {
	c := &Command{Origin: registry.Origin{Who: anyWho.Draw(t, "who"), Why: registry.Reason(rapid.IntRange(0, 6).Draw(t, "why"))}}
	if rapid.Bool().Draw(t, "timed") {
		c.Origin.When = time.Unix(0, rapid.Int64Range(1, 1<<60).Draw(t, "when")).UTC()
	}
	switch k := rapid.IntRange(0, 19).Draw(t, "command"); {
	case k < 13:
		c.Txn = anyTxn(t, m, 0)
	case k < 16:
		c.Grant = &LeaseGrant{ID: anyLease.Draw(t, "id"), TTL: time.Duration(rapid.IntRange(0, 100).Draw(t, "ttl"))}
	case k < 17:
		c.Revoke = &LeaseRevoke{IDs: rapid.SliceOfN(anyLease, 0, 3).Draw(t, "ids")}
	case k < 19:
		s := anySpace.Draw(t, "space")
		c.Compact = &Compact{Space: s, Revision: anyRevision(t, m, s, "revision")}
	default:
		c.Checkpoint = &LeaseCheckpoint{Remaining: []LeaseRemaining{{ID: anyLease.Draw(t, "id"), Remaining: time.Duration(rapid.IntRange(0, 200).Draw(t, "left"))}}}
	}
	return c
}

// TestModel applies the same random commands to the model and to two replicas:
// one that is restored from its own snapshot now and then and is given commands
// as they were encoded, one that lives through all of it. Whatever can be read of
// them must agree; views taken along the way must not change.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, lasting, restored := newModel(), New(), New()
		lasting.swept.step = rapid.IntRange(0, 3).Draw(t, "sweep step")
		held := map[*View]string{}
		var unanswered []func()
		runs := clocks{}
		for i := range rapid.IntRange(1, 40).Draw(t, "commands") {
			c := anyCommand(t, m)
			decoded, err := DecodeCommand(c.AppendTo(nil))
			if err != nil {
				t.Fatalf("decode what was encoded: %v", err)
			}
			before := lasting.View()
			want := m.apply(c)
			got, again := lasting.Apply(c), restored.Apply(&decoded)
			again.Complete()
			lasting.SetApplied(uint64(i))
			restored.SetApplied(uint64(i))
			if rapid.Bool().Draw(t, "answer at the end") {
				unanswered = append(unanswered, func() {
					got.Complete()
					checkResult(t, "lasting replica, in the end", got, want)
				})
			} else {
				got.Complete()
				checkResult(t, "lasting replica", got, want)
			}
			runs.follow(t, got.Leases, m)
			checkResult(t, "restored replica", again, want)
			sent, err := DecodeResult(again.AppendTo(nil))
			if err != nil {
				t.Fatalf("decode the result that was encoded: %v", err)
			}
			sent.Err = again.Err
			checkResult(t, "result that was sent on", sent, want)
			if rapid.IntRange(0, 9).Draw(t, "hold a view") == 0 {
				held[before] = dump(before)
			}
			checkView(t, m, lasting.Publish())
			v := restored.Publish()
			if rapid.IntRange(0, 4).Draw(t, "restore") == 0 {
				restored = roundTrip(t, v)
				v = restored.View()
				checkView(t, m, v)
			}
			if rapid.IntRange(0, 19).Draw(t, "supersede") == 0 {
				var floor registry.Revisions
				for s := range floor {
					floor[s] = rapid.Int64Range(0, m.spaces[s].rev+9).Draw(t, "floor")
				}
				m.supersede(floor, c.Origin)
				step := lasting.swept.step
				lasting, restored = superseded(t, lasting.View(), floor, c.Origin), superseded(t, v, floor, c.Origin)
				lasting.swept.step = step
				v = roundTrip(t, restored.View()).View()
				checkView(t, m, lasting.View())
				checkView(t, m, v)
			}
			if a, b := lasting.View().Hash(), v.Hash(); a != b {
				t.Fatalf("hashes differ: %x, %x", a, b)
			}
			q := anyRangeRequest(t, m)
			checkRange(t, m, lasting.View(), q)
			checkRange(t, m, v, q)
		}
		for _, check := range unanswered {
			check()
		}
		for v, was := range held {
			if is := dump(v); is != was {
				t.Fatalf("a view changed under its reader\nfrom %s\nto   %s", was, is)
			}
		}
	})
}

// superseded is the state after a restore of v over one with the revisions of floor.
func superseded(t *rapid.T, v *View, floor registry.Revisions, by registry.Origin) *State {
	s := roundTrip(t, v)
	if err := s.Supersede(floor, by); err != nil {
		t.Fatalf("supersede: %v", err)
	}
	return s
}

func roundTrip(t interface{ Fatalf(string, ...any) }, v *View) *State {
	var b bytes.Buffer
	if err := v.Encode(&b); err != nil {
		t.Fatalf("encode: %v", err)
	}
	first := bytes.Clone(b.Bytes())
	s, err := Decode(&b)
	if err != nil {
		t.Fatalf("decode: %v", err)
	}
	if s.View().Applied() != v.Applied() {
		t.Fatalf("applied index %d became %d", v.Applied(), s.View().Applied())
	}
	var again bytes.Buffer
	if err := s.View().Encode(&again); err != nil {
		t.Fatalf("encode again: %v", err)
	}
	if !bytes.Equal(first, again.Bytes()) {
		t.Fatalf("the snapshot of a restored state differs from the one it was restored from")
	}
	return s
}

// clocks are the times to live of the leases, by what the results of commands say of them.
type clocks map[registry.LeaseID]time.Duration

// follow takes in what a command did to leases, and holds the sum of it against the model.
func (c clocks) follow(t *rapid.T, changes []LeaseChange, m *model) {
	t.Helper()
	for _, ch := range changes {
		if ch.Ended {
			if _, ok := c[ch.ID]; !ok {
				t.Fatalf("lease %d ended and had not been granted", ch.ID)
			}
			delete(c, ch.ID)
		} else {
			c[ch.ID] = ch.TTL
		}
	}
	want := clocks{}
	for id, l := range m.leases {
		want[id] = l.TTL
		if l.After != 0 {
			want[id] = registry.NoTTL
		}
	}
	if !maps.Equal(c, want) {
		t.Fatalf("leases that run: %v, want %v", c, want)
	}
}

func checkResult(t *rapid.T, who string, got, want Result) {
	t.Helper()
	if !sameError(got.Err, want.Err) {
		t.Fatalf("%s: error %v, want %v", who, got.Err, want.Err)
	}
	var g, w *registry.RequireError
	if errors.As(got.Err, &g) && errors.As(want.Err, &w) {
		equal(t, who+": requirement", *g, *w)
	}
	got.Err, want.Err = nil, nil
	got.Leases = nil // see clocks
	equal(t, who+": result", blurCounts(got), blurCounts(want))
}

// blurCounts is a result without the counts that a request may have skipped:
// whether they are left out is up to what counting would cost.
func blurCounts(r Result) Result {
	if r.Txn != nil {
		blurTxn(r.Txn)
	}
	return r
}

func blurTxn(x *registry.TxnResult) {
	for _, op := range x.Results {
		if op.Range != nil && op.Range.More {
			op.Range.Count = 0
		}
		if op.Txn != nil {
			blurTxn(op.Txn)
		}
	}
}

func equal(t *rapid.T, what string, got, want any) {
	t.Helper()
	if g, w := text(got), text(want); g != w {
		t.Fatalf("%s\n got %s\nwant %s", what, g, w)
	}
}

// text spells a value out, with nil and empty slices alike.
func text(v any) string {
	var b []byte
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			if v.IsNil() {
				b = append(b, "nil "...)
				return
			}
			walk(v.Elem())
		case reflect.Struct:
			if tm, ok := v.Interface().(time.Time); ok {
				b = fmt.Appendf(b, "%d ", toUnixNano(tm))
				return
			}
			b = append(b, v.Type().Name()+"{"...)
			for i := range v.NumField() {
				if f := v.Field(i); !f.IsZero() && (f.Kind() != reflect.Slice || f.Len() > 0) {
					b = append(b, v.Type().Field(i).Name+":"...)
					walk(f)
				}
			}
			b = append(b, "} "...)
		case reflect.Slice:
			if v.Type().Elem().Kind() == reflect.Uint8 {
				b = fmt.Appendf(b, "%q ", v.Bytes())
				return
			}
			b = append(b, "["...)
			for i := range v.Len() {
				walk(v.Index(i))
			}
			b = append(b, "] "...)
		default:
			b = fmt.Appendf(b, "%#v ", v.Interface())
		}
	}
	walk(reflect.ValueOf(v))
	return string(b)
}

// checkView compares everything that can be read of a view with the model.
func checkView(t *rapid.T, m *model, v *View) {
	t.Helper()
	equal(t, "revisions", v.Revisions(), m.revisions())
	for id := range registry.Space(registry.NumSpaces) {
		s := &m.spaces[id]
		low := max(s.compacted, 0)
		equal(t, "compacted", v.Compacted(id), low)
		for rev := range s.rev + 2 {
			q := &registry.RangeRequest{Space: id, KeyRange: registry.All(), Revision: rev, WithLastChange: rev == 0}
			checkRange(t, m, v, q)
			for _, key := range []string{"a", "b", "\xff"} {
				checkRange(t, m, v, &registry.RangeRequest{Space: id, KeyRange: registry.One(key), Revision: rev, WithLastChange: rev == 0})
			}
		}
		var got, want []registry.Commit
		if err := v.Commits(id, low, s.rev+5, func(c registry.Commit) bool {
			got = append(got, c)
			return true
		}); err != nil {
			t.Fatalf("commits: %v", err)
		}
		for rev := max(low, 2); rev <= s.rev; rev++ {
			want = append(want, s.commits[rev])
		}
		equal(t, "commits", got, want)
		if err := v.Commits(id, low-1, s.rev, nil); !errors.Is(err, registry.ErrCompacted) {
			t.Fatalf("commits from below what is kept: %v", err)
		}
		if n := v.spaces[id].liveBytes(); n != v.spaces[id].bytes {
			t.Fatalf("space %v counts %d bytes of keys, and has %d", id, v.spaces[id].bytes, n)
		}
	}
	checkLeases(t, m, v)
}

func (s *space) liveBytes() (n int64) {
	s.scan(registry.All(), func(r *record) bool {
		n += r.bytes()
		return true
	})
	return n
}

func checkLeases(t *rapid.T, m *model, v *View) {
	t.Helper()
	var got, want []LeaseState
	v.Leases(func(l LeaseState) bool {
		got = append(got, l)
		return true
	})
	for _, id := range []registry.LeaseID{-4, 1, 2, 3} {
		l, ok := m.leases[id]
		var keys []registry.LeasedKey
		for s := range registry.Space(registry.NumSpaces) {
			for _, kv := range inRange(m.now(s), registry.All()) {
				if kv.Lease == id || kv.Lock.Holder == id {
					keys = append(keys, registry.LeasedKey{Space: s, Key: kv.Key})
				}
			}
		}
		if ok {
			want = append(want, l)
		} else if keys != nil {
			t.Fatalf("lease %d has ended and still holds %v", id, keys)
		}
		equal(t, "keys of a lease", v.LeaseKeys(id), keys)
		one, found := v.Lease(id)
		if found != ok || one != l {
			t.Fatalf("lease %d: %v %v, want %v %v", id, one, found, l, ok)
		}
	}
	equal(t, "leases", got, want)
}

func checkRange(t *rapid.T, m *model, v *View, q *registry.RangeRequest) {
	t.Helper()
	got, gotErr := v.Range(*q)
	want, wantErr := m.read(q, m.now(q.Space), m.spaces[q.Space].rev)
	if !sameError(gotErr, wantErr) {
		t.Fatalf("range %+v: error %v, want %v", *q, gotErr, wantErr)
	}
	if wantErr != nil {
		return
	}
	if q.SkipCount && got.More && got.Count == 0 {
		want.Count = 0
	}
	equal(t, fmt.Sprintf("range %+v", *q), got, *want)
}

// dump spells out everything that can be read of a view.
func dump(v *View) string {
	var out []any
	for id := range registry.Space(registry.NumSpaces) {
		for rev := max(v.Compacted(id), 1); rev <= v.Revision(id); rev++ {
			r, err := v.Range(registry.RangeRequest{Space: id, KeyRange: registry.All(), Revision: rev})
			out = append(out, text(r), err)
		}
		err := v.Commits(id, v.Compacted(id), v.Revision(id), func(c registry.Commit) bool {
			out = append(out, text(c))
			return true
		})
		out = append(out, err)
	}
	v.Leases(func(l LeaseState) bool {
		out = append(out, l, v.LeaseKeys(l.ID))
		return true
	})
	return fmt.Sprint(out...)
}

// TestLastChangeForgets has a state forget deleted keys early: what it says of a
// range may then be too high, must not be too low, and never goes down.
func TestLastChangeForgets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m, s := newModel(), New()
		s.maxDead = rapid.IntRange(1, 4).Draw(t, "remembered")
		ranges := []registry.KeyRange{registry.All(), registry.Prefix("a"), registry.One("a"), registry.One("b"), registry.One("\xff"), {Start: "aa", End: "b"}}
		last := make([]int64, len(ranges))
		for range rapid.IntRange(1, 60).Draw(t, "commands") {
			x := &registry.Txn{}
			if rapid.Bool().Draw(t, "put") {
				x.Then = []registry.Op{{Put: &registry.PutRequest{Key: anyKey.Draw(t, "key")}}}
			} else {
				x.Then = []registry.Op{{Delete: &registry.DeleteRequest{KeyRange: anyRange(t)}}}
			}
			c := &Command{Txn: x}
			m.apply(c)
			s.Apply(c)
			v := s.Publish()
			if n := v.Size().Spaces[0].Deleted; n > s.maxDead {
				t.Fatalf("%d deleted keys are remembered, at most %d should be", n, s.maxDead)
			}
			for j, kr := range ranges {
				q := registry.RangeRequest{KeyRange: kr, WithLastChange: true}
				exact, _ := m.read(&q, m.now(0), m.spaces[0].rev)
				got, err := v.Range(q)
				if err != nil || got.LastChange < exact.LastChange || got.LastChange < last[j] || got.LastChange > v.Revision(0) {
					t.Fatalf("last change of %v: %d (%v), exactly it is %d, before it was %d", kr, got.LastChange, err, exact.LastChange, last[j])
				}
				last[j] = got.LastChange
			}
			if rapid.IntRange(0, 9).Draw(t, "restore") == 0 {
				again := roundTrip(t, v)
				again.maxDead = s.maxDead
				if !slices.Equal(again.graves[0].byRev.Items(), s.graves[0].byRev.Items()) {
					t.Fatalf("a restored state forgets in another order")
				}
				s = again
			}
		}
	})
}
