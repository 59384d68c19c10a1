package mvcc

import (
	"bytes"
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"

	"herald/registry"
)

// model is the state machine as naively as it can be written: every revision of
// every space is a whole map, and nothing is ever forgotten but by refusing to
// answer.
type model struct {
	spaces [registry.NumSpaces]modelSpace
	leases map[registry.LeaseID]LeaseState
}

type modelSpace struct {
	rev, compacted int64
	states         map[int64]map[string]registry.KeyValue
	commits        map[int64]registry.Commit
	touched        map[string]int64 // when each key was last put or deleted
	restored       int64
}

func newModel() *model {
	m := &model{leases: map[registry.LeaseID]LeaseState{}}
	for i := range m.spaces {
		m.spaces[i] = modelSpace{
			rev: 1, compacted: -1,
			states:  map[int64]map[string]registry.KeyValue{0: {}, 1: {}},
			commits: map[int64]registry.Commit{},
			touched: map[string]int64{},
		}
	}
	return m
}

func (m *model) now(s registry.Space) map[string]registry.KeyValue {
	return m.spaces[s].states[m.spaces[s].rev]
}

func (m *model) revisions() (revs registry.Revisions) {
	for i := range m.spaces {
		revs[i] = m.spaces[i].rev
	}
	return revs
}

// modelTxn is a transaction under way: work is the state it has made so far.
type modelTxn struct {
	m      *model
	work   [registry.NumSpaces]map[string]registry.KeyValue
	wrote  [registry.NumSpaces]bool
	order  [registry.NumSpaces][]string // the keys written, as they first were
	leases map[registry.LeaseID]LeaseState
}

func (m *model) begin() *modelTxn {
	t := &modelTxn{m: m, leases: maps.Clone(m.leases)}
	for i := range t.work {
		t.work[i] = maps.Clone(m.now(registry.Space(i)))
	}
	return t
}

func (t *modelTxn) rev(s registry.Space) int64 {
	if t.wrote[s] {
		return t.m.spaces[s].rev + 1
	}
	return t.m.spaces[s].rev
}

func (t *modelTxn) revisions() (revs registry.Revisions) {
	for i := range revs {
		revs[i] = t.rev(registry.Space(i))
	}
	return revs
}

func (t *modelTxn) touch(s registry.Space, key string) {
	t.wrote[s] = true
	if !slices.Contains(t.order[s], key) {
		t.order[s] = append(t.order[s], key)
	}
}

func (t *modelTxn) set(s registry.Space, kv registry.KeyValue) {
	rev := t.m.spaces[s].rev + 1
	t.touch(s, kv.Key)
	cur, ok := t.work[s][kv.Key]
	switch {
	case !ok:
		kv.CreateRevision, kv.Version = rev, 1
	case cur.ModRevision == rev:
		kv.CreateRevision, kv.Version = cur.CreateRevision, cur.Version
	default:
		kv.CreateRevision, kv.Version = cur.CreateRevision, cur.Version+1
	}
	kv.ModRevision = rev
	t.work[s][kv.Key] = kv
}

func (t *modelTxn) delete(s registry.Space, key string) {
	t.touch(s, key)
	delete(t.work[s], key)
}

func (t *modelTxn) commit(o registry.Origin) {
	t.m.leases = t.leases
	for i := range t.work {
		if !t.wrote[i] {
			continue
		}
		s := &t.m.spaces[i]
		before, after := s.states[s.rev], t.work[i]
		rev := s.rev + 1
		c := registry.Commit{Revision: rev, Origin: o}
		for _, key := range sortedKeys(before, after) {
			was, had := before[key]
			is, has := after[key]
			var ev registry.Event
			switch {
			case has && is.ModRevision == rev:
				ev = registry.Event{Type: registry.EventPut, KV: is}
			case had && !has:
				ev = registry.Event{Type: registry.EventDelete, KV: registry.KeyValue{Key: key, ModRevision: rev}}
			default:
				continue
			}
			if had {
				ev.Prev = &was
			}
			c.Events = append(c.Events, ev)
			s.touched[key] = rev
		}
		var order []string
		for _, key := range t.order[i] {
			if slices.ContainsFunc(c.Events, func(e registry.Event) bool { return e.KV.Key == key }) {
				order = append(order, key)
			}
		}
		for j := range c.Events {
			c.Events[j].Seq = uint32(slices.Index(order, c.Events[j].KV.Key))
		}
		s.rev = rev
		s.states[rev], s.commits[rev] = after, c
	}
}

func sortedKeys(a, b map[string]registry.KeyValue) []string {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(keys)
	return slices.Compact(keys)
}

func (m *model) apply(c *Command) Result {
	res := m.applyKind(c)
	res.Revisions = m.revisions()
	return res
}

func (m *model) applyKind(c *Command) Result {
	switch {
	case c.Txn != nil:
		t := m.begin()
		res, err := t.run(c.Txn)
		if err != nil {
			return Result{Err: err}
		}
		t.commit(c.Origin)
		return Result{Txn: res}
	case c.Grant != nil:
		if _, ok := m.leases[c.Grant.ID]; ok {
			return Result{Err: registry.ErrLeaseExists}
		}
		m.leases[c.Grant.ID] = LeaseState{ID: c.Grant.ID, TTL: c.Grant.TTL}
		return Result{Lease: registry.Lease{ID: c.Grant.ID, TTL: c.Grant.TTL, Remaining: c.Grant.TTL}}
	case c.Revoke != nil:
		return m.revoke(c)
	case c.Compact != nil:
		s := &m.spaces[c.Compact.Space]
		switch {
		case c.Compact.Revision <= s.compacted:
			return Result{Err: registry.ErrCompacted}
		case c.Compact.Revision > s.rev:
			return Result{Err: registry.ErrFutureRevision}
		}
		s.compacted = c.Compact.Revision
		return Result{}
	}
	var res Result
	for _, r := range c.Checkpoint.Remaining {
		l, ok := m.leases[r.ID]
		if !ok {
			res.Missing = append(res.Missing, r.ID)
			continue
		}
		l.Remaining = min(r.Remaining, l.TTL)
		m.leases[r.ID] = l
	}
	return res
}

func (m *model) revoke(c *Command) (res Result) {
	for _, id := range c.Revoke.IDs {
		if _, ok := m.leases[id]; !ok {
			res.Missing = append(res.Missing, id)
			res.Err = registry.ErrLeaseNotFound
			continue
		}
		m.end(c, id)
	}
	return res
}

// end ends a lease, and begins the time of the one that waits for it, if that holds anything.
func (m *model) end(c *Command, id registry.LeaseID) {
	lease := m.leases[id]
	delete(m.leases, id)
	t := m.begin()
	for i := range t.work {
		s := registry.Space(i)
		for _, key := range sortedKeys(m.now(s), nil) {
			kv := m.now(s)[key]
			switch {
			case kv.Lease == id, kv.Lock.Holder == id && lease.DeleteLocked:
				t.delete(s, key)
			case kv.Lock.Holder == id:
				kv.Lock.Holder = 0
				t.set(s, kv)
			}
		}
	}
	t.commit(c.Origin)
	for _, heir := range m.leases {
		if heir.After != id {
			continue
		}
		heir.After = 0
		m.leases[heir.ID] = heir
		holds := false
		for s := range registry.Space(registry.NumSpaces) {
			for _, kv := range m.now(s) {
				holds = holds || kv.Lease == heir.ID || kv.Lock.Holder == heir.ID
			}
		}
		if !holds {
			m.end(c, heir.ID)
		}
		return // there is one at most
	}
}

// supersede is a restore of the model's state over one with the revisions of floor.
func (m *model) supersede(floor registry.Revisions, by registry.Origin) {
	for i := range m.spaces {
		s := &m.spaces[i]
		now := s.states[s.rev]
		rev := max(s.rev, floor[i]) + 2
		s.rev, s.compacted, s.restored = rev, rev, rev
		s.states[rev], s.commits[rev] = now, registry.Commit{Revision: rev, Origin: by}
	}
	for id, l := range m.leases {
		l.Remaining = 0
		m.leases[id] = l
	}
}

// run executes a transaction: the compares of nested ones look at the model,
// which does not change before commit.
func (t *modelTxn) run(x *registry.Txn) (*registry.TxnResult, error) {
	res := &registry.TxnResult{Succeeded: true}
	for i := range x.Compare {
		if _, ok := holdsIn(t.m.now(x.Compare[i].Space), &x.Compare[i]); !ok {
			res.Succeeded = false
		}
	}
	ops := x.Then
	if !res.Succeeded {
		ops = x.Else
	}
	for i := range ops {
		r, err := t.op(i, &ops[i])
		if err != nil {
			return nil, err
		}
		res.Results = append(res.Results, r)
	}
	res.Revisions = t.revisions()
	return res, nil
}

func (t *modelTxn) op(i int, op *registry.Op) (r registry.OpResult, err error) {
	switch {
	case op.Put != nil:
		r.Put, err = t.put(op.Put)
	case op.Delete != nil:
		d := op.Delete
		r.Delete = &registry.DeleteResult{}
		for _, kv := range inRange(t.work[d.Space], d.KeyRange) {
			r.Delete.Deleted++
			if d.PrevKV {
				r.Delete.Prev = append(r.Delete.Prev, kv)
			}
			t.delete(d.Space, kv.Key)
		}
		r.Delete.Revision = t.rev(d.Space)
	case op.Range != nil:
		q := op.Range
		r.Range, err = t.m.read(q, t.work[q.Space], t.rev(q.Space))
		if err == nil && q.WithLastChange {
			for _, kv := range inRange(t.m.now(q.Space), q.KeyRange) {
				if _, there := t.work[q.Space][kv.Key]; !there {
					r.Range.LastChange = t.rev(q.Space)
				}
			}
		}
	case op.Txn != nil:
		r.Txn, err = t.run(op.Txn)
	case op.Grant != nil:
		err = t.grant(op.Grant)
	case op.Require != nil:
		if have, ok := holdsIn(t.work[op.Require.Space], op.Require); !ok {
			err = &registry.RequireError{Op: i, Have: have}
		}
	}
	return r, err
}

func (t *modelTxn) grant(g *registry.GrantRequest) error {
	if _, ok := t.leases[g.ID]; ok {
		if g.IfAbsent {
			return nil
		}
		return registry.ErrLeaseExists
	}
	if g.After != 0 {
		before, ok := t.leases[g.After]
		if !ok {
			return registry.ErrLeaseNotFound
		}
		if before.After != 0 {
			return registry.ErrInvalid
		}
		for _, l := range t.leases {
			if l.After == g.After {
				return registry.ErrInvalid
			}
		}
	}
	t.leases[g.ID] = LeaseState{ID: g.ID, TTL: g.TTL, After: g.After, DeleteLocked: g.DeleteLocked}
	return nil
}

func (t *modelTxn) put(p *registry.PutRequest) (*registry.PutResult, error) {
	cur, exists := t.work[p.Space][p.Key]
	for _, l := range []struct {
		id    registry.LeaseID
		named bool
	}{{p.Lease, p.Lease != 0 && !p.KeepLease}, {p.Holder, p.Lock == registry.LockAcquire}} {
		if _, ok := t.leases[l.id]; l.named && !ok {
			return nil, registry.ErrLeaseNotFound
		}
	}
	if !exists && (p.KeepValue || p.KeepLease) {
		return nil, registry.ErrKeyNotFound
	}
	next := registry.KeyValue{Key: p.Key, Value: p.Value, Lease: p.Lease, Flags: p.Flags, Lock: cur.Lock}
	if p.KeepValue {
		next.Value = cur.Value
	}
	if p.KeepLease {
		next.Lease = cur.Lease
	}
	if p.KeepFlags && exists {
		next.Flags = cur.Flags
	}
	switch {
	case p.Lock == registry.LockAcquire && cur.Lock.Holder != p.Holder:
		next.Lock = registry.Lock{Holder: p.Holder, Count: cur.Lock.Count + 1}
	case p.Lock == registry.LockRelease:
		next.Lock.Holder = 0
	case p.Lock == registry.LockForget:
		next.Lock.Count = 0
	}
	res := &registry.PutResult{Written: true}
	if p.PrevKV && exists {
		res.Prev = &cur
	}
	if p.IfChanged && exists && bytes.Equal(next.Value, cur.Value) && next.Lease == cur.Lease && next.Flags == cur.Flags && next.Lock == cur.Lock {
		res.Written = false
	} else {
		t.set(p.Space, next)
	}
	res.Revision = t.rev(p.Space)
	return res, nil
}

func inRange(state map[string]registry.KeyValue, kr registry.KeyRange) []registry.KeyValue {
	var kvs []registry.KeyValue
	for _, key := range sortedKeys(state, nil) {
		if kr.Contains(key) {
			kvs = append(kvs, state[key])
		}
	}
	return kvs
}

// read answers a range request; work and current are what it sees as present.
func (m *model) read(q *registry.RangeRequest, work map[string]registry.KeyValue, current int64) (*registry.RangeResult, error) {
	s := &m.spaces[q.Space]
	switch {
	case q.Revision > s.rev:
		return nil, registry.ErrFutureRevision
	case q.Revision > 0 && q.Revision < s.compacted:
		return nil, registry.ErrCompacted
	case q.Revision > 0:
		work = s.states[q.Revision]
	}
	res := &registry.RangeResult{Revision: current}
	kvs := inRange(work, q.KeyRange)
	res.Count = int64(len(kvs))
	if q.WithLastChange {
		if !q.Empty() {
			res.LastChange = s.restored
		}
		for key, rev := range s.touched {
			if q.Contains(key) && !q.Empty() {
				res.LastChange = max(res.LastChange, rev)
			}
		}
		for _, kv := range kvs {
			res.LastChange = max(res.LastChange, kv.ModRevision)
		}
	}
	if q.CountOnly {
		return res, nil
	}
	kvs = slices.DeleteFunc(kvs, func(kv registry.KeyValue) bool {
		return q.MinModRevision > 0 && kv.ModRevision < q.MinModRevision ||
			q.MaxModRevision != 0 && kv.ModRevision > q.MaxModRevision ||
			q.MinCreateRevision > 0 && kv.CreateRevision < q.MinCreateRevision ||
			q.MaxCreateRevision != 0 && kv.CreateRevision > q.MaxCreateRevision
	})
	slices.SortStableFunc(kvs, func(a, b registry.KeyValue) int {
		c := 0
		switch q.SortTarget {
		case registry.SortByKey:
			c = strings.Compare(a.Key, b.Key)
		case registry.SortByVersion:
			c = cmp.Compare(a.Version, b.Version)
		case registry.SortByCreate:
			c = cmp.Compare(a.CreateRevision, b.CreateRevision)
		case registry.SortByMod:
			c = cmp.Compare(a.ModRevision, b.ModRevision)
		case registry.SortByValue:
			c = bytes.Compare(a.Value, b.Value)
		}
		if q.SortOrder == registry.SortDescend {
			c = -c
		}
		return c
	})
	if q.Limit > 0 && int64(len(kvs)) > q.Limit {
		kvs, res.More = kvs[:q.Limit], true
	}
	if q.KeysOnly {
		for i := range kvs {
			kvs[i].Value = nil
		}
	}
	res.KVs = kvs
	return res, nil
}

// holdsIn evaluates a compare, and returns the first key that fails it.
func holdsIn(state map[string]registry.KeyValue, c *registry.Compare) (registry.KeyValue, bool) {
	kvs := inRange(state, c.KeyRange)
	if len(kvs) == 0 {
		missing := registry.KeyValue{Key: c.Start}
		return missing, c.Target != registry.CompareValue && compareKV(missing, c)
	}
	for _, kv := range kvs {
		if !compareKV(kv, c) {
			return kv, false
		}
	}
	return registry.KeyValue{}, true
}

func compareKV(kv registry.KeyValue, c *registry.Compare) bool {
	order := map[registry.CompareTarget]int{
		registry.CompareVersion:    cmp.Compare(kv.Version, c.Int),
		registry.CompareCreate:     cmp.Compare(kv.CreateRevision, c.Int),
		registry.CompareMod:        cmp.Compare(kv.ModRevision, c.Int),
		registry.CompareValue:      bytes.Compare(kv.Value, c.Bytes),
		registry.CompareLease:      cmp.Compare(int64(kv.Lease), c.Int),
		registry.CompareFlags:      cmp.Compare(kv.Flags, c.Uint),
		registry.CompareLockHolder: cmp.Compare(int64(kv.Lock.Holder), c.Int),
		registry.CompareLockCount:  cmp.Compare(kv.Lock.Count, c.Uint),
	}[c.Target]
	return slices.Contains(map[registry.CompareResult][]int{
		registry.Equal:    {0},
		registry.NotEqual: {-1, 1},
		registry.Greater:  {1},
		registry.Less:     {-1},
	}[c.Result], order)
}

// sameError says that two errors are the same to a caller.
func sameError(a, b error) bool {
	for _, sentinel := range []error{
		registry.ErrEmptyKey, registry.ErrKeyNotFound, registry.ErrFutureRevision, registry.ErrCompacted,
		registry.ErrRequire, registry.ErrInvalid, registry.ErrLeaseNotFound, registry.ErrLeaseExists, registry.ErrInvalidTTL,
	} {
		if errors.Is(a, sentinel) != errors.Is(b, sentinel) {
			return false
		}
	}
	return (a == nil) == (b == nil)
}
