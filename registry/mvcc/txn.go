package mvcc

import (
	"bytes"
	"fmt"
	"math"

	"herald/registry"
)

// maxTxnDepth is how deep transactions may nest: what etcd's limit on operations
// comes to, and a bound on the stack.
const maxTxnDepth = 128

func validateTxn(t *registry.Txn, depth int) error {
	if depth > maxTxnDepth {
		return fmt.Errorf("%w: transactions nest deeper than %d", registry.ErrInvalid, maxTxnDepth)
	}
	for i := range t.Compare {
		if err := validateCompare(&t.Compare[i]); err != nil {
			return fmt.Errorf("compare %d: %w", i, err)
		}
	}
	if err := validateOps(t.Then, depth); err != nil {
		return err
	}
	return validateOps(t.Else, depth)
}

func validateOps(ops []registry.Op, depth int) error {
	for i := range ops {
		if err := validateOp(&ops[i], depth); err != nil {
			return fmt.Errorf("operation %d: %w", i, err)
		}
	}
	return nil
}

func validateOp(op *registry.Op, depth int) error {
	set := 0
	var err error
	if op.Range != nil {
		set, err = set+1, validateRange(op.Range)
	}
	if op.Put != nil {
		set, err = set+1, validatePut(op.Put)
	}
	if op.Delete != nil {
		set, err = set+1, validateDelete(op.Delete)
	}
	if op.Txn != nil {
		set, err = set+1, validateTxn(op.Txn, depth+1)
	}
	if op.Require != nil {
		set, err = set+1, validateCompare(op.Require)
	}
	if op.Grant != nil {
		set, err = set+1, validateGrant(op.Grant)
	}
	if set != 1 {
		return fmt.Errorf("%w: it has %d kinds set, not one", registry.ErrInvalid, set)
	}
	return err
}

func validatePut(p *registry.PutRequest) error {
	switch {
	case !p.Space.Valid():
		return invalidSpace(p.Space)
	case p.Key == "":
		return registry.ErrEmptyKey
	case uint64(len(p.Key)) > math.MaxUint32 || uint64(len(p.Value)) > math.MaxUint32:
		return fmt.Errorf("%w: a key of %d and a value of %d bytes", registry.ErrTooLarge, len(p.Key), len(p.Value))
	case p.Lock > registry.LockForget:
		return fmt.Errorf("%w: unknown lock action %d", registry.ErrInvalid, p.Lock)
	case p.Lock == registry.LockAcquire && p.Holder == 0:
		return fmt.Errorf("%w: a lock is taken by a lease, and none is named", registry.ErrInvalid)
	}
	return nil
}

func validateDelete(d *registry.DeleteRequest) error {
	if !d.Space.Valid() {
		return invalidSpace(d.Space)
	}
	return validateKeys(d.KeyRange)
}

// choose evaluates the compares of t, and of the transactions nested in the
// branch they select, on the state as it is now. The choices are appended in the
// order in which a run of t asks for them.
func (m *image) choose(t *registry.Txn, choices []bool) []bool {
	ok := true
	for i := range t.Compare {
		c := &t.Compare[i]
		if !m.spaces[c.Space].holds(c) {
			ok = false
			break
		}
	}
	choices = append(choices, ok)
	for _, op := range branch(t, ok) {
		if op.Txn != nil {
			choices = m.choose(op.Txn, choices)
		}
	}
	return choices
}

func branch(t *registry.Txn, succeeded bool) []registry.Op {
	if succeeded {
		return t.Then
	}
	return t.Else
}

// run is one transaction being executed.
type run struct {
	image   *image
	state   *State // nil when it only reads
	choices []bool
	data    []byte // Command.data
	late    []lateRange
}

// present is a space's revision with the transaction's writes so far.
func (r *run) present(id registry.Space) int64 {
	if r.state == nil {
		return r.image.spaces[id].rev
	}
	return r.state.present(id)
}

func (r *run) revisions() (revs registry.Revisions) {
	for id := range revs {
		revs[id] = r.present(registry.Space(id))
	}
	return revs
}

// txn runs the branch of t that was chosen.
func (r *run) txn(t *registry.Txn) (*registry.TxnResult, error) {
	succeeded := r.choices[0]
	r.choices = r.choices[1:]
	ops := branch(t, succeeded)
	if len(ops) == 1 && ops[0].Put != nil {
		return r.onePut(ops[0].Put, succeeded)
	}
	res := &registry.TxnResult{Succeeded: succeeded, Results: make([]registry.OpResult, len(ops))}
	for i := range ops {
		if err := r.op(i, &ops[i], &res.Results[i]); err != nil {
			return nil, err
		}
	}
	res.Revisions = r.revisions()
	return res, nil
}

// onePut is txn for the commonest branch of all. Its result is one allocation.
func (r *run) onePut(p *registry.PutRequest, succeeded bool) (*registry.TxnResult, error) {
	var res struct {
		txn registry.TxnResult
		op  [1]registry.OpResult
		put registry.PutResult
	}
	out := &res
	if err := r.put(p, &out.put); err != nil {
		return nil, err
	}
	out.op[0].Put = &out.put
	out.txn = registry.TxnResult{Succeeded: succeeded, Results: out.op[:], Revisions: r.revisions()}
	return &out.txn, nil
}

// op runs the operation at position i of its branch.
func (r *run) op(i int, op *registry.Op, res *registry.OpResult) error {
	switch {
	case op.Put != nil:
		res.Put = new(registry.PutResult)
		return r.put(op.Put, res.Put)
	case op.Delete != nil:
		res.Delete = new(registry.DeleteResult)
		r.delete(op.Delete, res.Delete)
	case op.Range != nil:
		res.Range = new(registry.RangeResult)
		return r.read(op.Range, res.Range)
	case op.Grant != nil:
		return r.state.grantWithin(op.Grant)
	case op.Txn != nil:
		got, err := r.txn(op.Txn)
		if err != nil {
			return err
		}
		res.Txn = got
	case op.Require != nil:
		if failed := r.image.spaces[op.Require.Space].firstFailure(op.Require); failed != nil {
			have := failed.kv()
			if failed == absent {
				have = registry.KeyValue{Key: op.Require.Start}
			}
			return &registry.RequireError{Op: i, Have: have}
		}
	}
	return nil
}

func (r *run) read(q *registry.RangeRequest, res *registry.RangeResult) error {
	s := &r.image.spaces[q.Space]
	res.Revision = r.present(s.id)
	if q.Revision > 0 {
		if err := s.readable(q.Revision, s.rev); err != nil {
			return err
		}
		// At the newest revision the live keys are the answer, unless this transaction
		// has changed them.
		if q.Revision < res.Revision {
			if r.state == nil {
				s.readAt(q, res)
			} else {
				r.late = append(r.late, lateRange{*q, res})
			}
			return nil
		}
	}
	s.readNow(q, res)
	if q.WithLastChange && r.state != nil && r.state.pending[s.id].deletedIn(q.KeyRange) {
		res.LastChange = res.Revision // dead keys are not noted before the commit
	}
	return nil
}

func (r *run) put(p *registry.PutRequest, res *registry.PutResult) error {
	s := r.state
	if err := s.checkLeases(p); err != nil {
		return err
	}
	var prev *record
	if p.KeepValue || p.KeepLease || p.KeepFlags || p.IfChanged || p.Lock != registry.LockKeep {
		prev = s.spaces[p.Space].get(p.Key)
		rec, err := r.compose(p, prev)
		if err != nil {
			return err
		}
		if rec != nil {
			s.replace(p.Space, prev, rec)
		}
		res.Written = rec != nil
	} else {
		a := attrs{lease: p.Lease, flags: p.Flags}
		rec := r.record(p)
		rec.attrs = s.share(a)
		prev = s.insert(p.Space, rec)
		if prev != nil && prev.extra().lock != (registry.Lock{}) {
			a.lock = prev.extra().lock
			rec.attrs = s.share(a)
		}
		res.Written = true
	}
	if p.PrevKV {
		res.Prev = prev.kvPointer()
	}
	res.Revision = s.present(p.Space)
	return nil
}

// record makes the record of a put's key and value.
func (r *run) record(p *registry.PutRequest) *record {
	return adoptRecord(r.data, p.Key, p.Value)
}

// checkLeases says whether the leases that a put names exist.
func (s *State) checkLeases(p *registry.PutRequest) error {
	if p.Lease != 0 && !p.KeepLease {
		if _, ok := s.leases.Get(int64(p.Lease)); !ok {
			return registry.ErrLeaseNotFound
		}
	}
	if p.Lock == registry.LockAcquire {
		if _, ok := s.leases.Get(int64(p.Holder)); !ok {
			return registry.ErrLeaseNotFound
		}
	}
	return nil
}

// compose makes the record that p turns prev into; nil if nothing is to be
// written.
func (r *run) compose(p *registry.PutRequest, prev *record) (*record, error) {
	was, is := noAttrs, attrs{lease: p.Lease, flags: p.Flags}
	if prev != nil {
		was = *prev.extra()
	} else if p.KeepValue || p.KeepLease {
		return nil, registry.ErrKeyNotFound
	}
	if p.KeepLease {
		is.lease = was.lease
	}
	if p.KeepFlags && prev != nil {
		is.flags = was.flags
	}
	is.lock = lockAfter(was.lock, p)
	sameValue := prev != nil && (p.KeepValue || bytes.Equal(prev.value(), p.Value))
	if p.IfChanged && sameValue && is == was {
		return nil, nil
	}
	var rec *record
	if sameValue {
		rec = prev.with(0, 0, 0, nil) // an unchanged value is not kept twice
	} else {
		rec = r.record(p)
	}
	rec.attrs = r.state.share(is)
	return rec, nil
}

// lockAfter is what a put makes of a key's lock.
func lockAfter(l registry.Lock, p *registry.PutRequest) registry.Lock {
	switch p.Lock {
	case registry.LockAcquire:
		if l.Holder != p.Holder {
			l.Holder = p.Holder
			l.Count++
		}
	case registry.LockRelease:
		l.Holder = 0
	case registry.LockForget:
		l.Count = 0
	}
	return l
}

func (r *run) delete(d *registry.DeleteRequest, res *registry.DeleteResult) {
	s := r.state
	// Gathered first: the keys must not change under a scan.
	found := s.scratch[:0]
	s.spaces[d.Space].scan(d.KeyRange, func(rec *record) bool {
		found = append(found, rec)
		return true
	})
	for _, rec := range found {
		if d.PrevKV {
			res.Prev = append(res.Prev, rec.kv())
		}
		s.remove(d.Space, rec)
	}
	res.Deleted = int64(len(found))
	res.Revision = s.present(d.Space)
	const keep = 1024
	clear(found)
	if cap(found) <= keep {
		s.scratch = found[:0]
	}
}
