package mvcc

import (
	"fmt"
	"math"
	"time"
	"unsafe"

	"herald/registry"
	"herald/registry/wire"
)

// The fields of an operation.
const (
	opRange   = 1
	opPut     = 2
	opDelete  = 3
	opTxn     = 4
	opRequire = 5
	opGrant   = 6
)

func appendTxn(b []byte, t *registry.Txn) []byte {
	for i := range t.Compare {
		b = wire.AppendMessage(b, 1, func(b []byte) []byte { return appendCompare(b, &t.Compare[i]) })
	}
	for i := range t.Then {
		b = wire.AppendMessage(b, 2, func(b []byte) []byte { return appendOp(b, &t.Then[i]) })
	}
	for i := range t.Else {
		b = wire.AppendMessage(b, 3, func(b []byte) []byte { return appendOp(b, &t.Else[i]) })
	}
	return b
}

func appendCompare(b []byte, c *registry.Compare) []byte {
	b = appendKeys(b, c.Space, c.KeyRange)
	b = wire.AppendUint(b, 4, uint64(c.Target))
	b = wire.AppendUint(b, 5, uint64(c.Result))
	b = wire.AppendInt(b, 6, c.Int)
	b = wire.AppendUint(b, 7, c.Uint)
	return wire.AppendBytes(b, 8, c.Bytes)
}

// appendKeys appends fields 1 to 3 of every message that names a range.
func appendKeys(b []byte, s registry.Space, r registry.KeyRange) []byte {
	b = wire.AppendUint(b, 1, uint64(s))
	b = wire.AppendString(b, 2, r.Start)
	return wire.AppendString(b, 3, r.End)
}

func appendOp(b []byte, op *registry.Op) []byte {
	if op.Range != nil {
		b = wire.AppendMessage(b, opRange, func(b []byte) []byte { return appendRange(b, op.Range) })
	}
	if op.Put != nil {
		b = wire.AppendMessage(b, opPut, func(b []byte) []byte { return appendPut(b, op.Put) })
	}
	if op.Delete != nil {
		b = wire.AppendMessage(b, opDelete, func(b []byte) []byte {
			b = appendKeys(b, op.Delete.Space, op.Delete.KeyRange)
			return wire.AppendBool(b, 4, op.Delete.PrevKV)
		})
	}
	if op.Txn != nil {
		b = wire.AppendMessage(b, opTxn, func(b []byte) []byte { return appendTxn(b, op.Txn) })
	}
	if op.Require != nil {
		b = wire.AppendMessage(b, opRequire, func(b []byte) []byte { return appendCompare(b, op.Require) })
	}
	if op.Grant != nil {
		b = wire.AppendMessage(b, opGrant, func(b []byte) []byte { return appendGrantOp(b, op.Grant) })
	}
	return b
}

func appendGrantOp(b []byte, g *registry.GrantRequest) []byte {
	b = wire.AppendInt(b, 1, int64(g.ID))
	b = wire.AppendInt(b, 2, int64(g.TTL))
	b = wire.AppendBool(b, 3, g.IfAbsent)
	b = wire.AppendInt(b, 4, int64(g.After))
	return wire.AppendBool(b, 5, g.DeleteLocked)
}

// appendRange leaves Consistency out: inside a transaction it has no meaning.
func appendRange(b []byte, r *registry.RangeRequest) []byte {
	b = appendKeys(b, r.Space, r.KeyRange)
	b = wire.AppendInt(b, 4, r.Revision)
	b = wire.AppendInt(b, 5, r.Limit)
	b = wire.AppendBool(b, 6, r.CountOnly)
	b = wire.AppendBool(b, 7, r.KeysOnly)
	b = wire.AppendBool(b, 8, r.SkipCount)
	b = wire.AppendUint(b, 9, uint64(r.SortTarget))
	b = wire.AppendUint(b, 10, uint64(r.SortOrder))
	b = wire.AppendInt(b, 11, r.MinModRevision)
	b = wire.AppendInt(b, 12, r.MaxModRevision)
	b = wire.AppendInt(b, 13, r.MinCreateRevision)
	b = wire.AppendInt(b, 14, r.MaxCreateRevision)
	return wire.AppendBool(b, 15, r.WithLastChange)
}

func appendPut(b []byte, p *registry.PutRequest) []byte {
	b = wire.AppendUint(b, 1, uint64(p.Space))
	b = wire.AppendString(b, 2, p.Key)
	b = wire.AppendBytes(b, 3, p.Value)
	b = wire.AppendInt(b, 4, int64(p.Lease))
	b = wire.AppendUint(b, 5, p.Flags)
	b = wire.AppendBool(b, 6, p.KeepValue)
	b = wire.AppendBool(b, 7, p.KeepLease)
	b = wire.AppendBool(b, 8, p.KeepFlags)
	b = wire.AppendUint(b, 9, uint64(p.Lock))
	b = wire.AppendInt(b, 10, int64(p.Holder))
	b = wire.AppendBool(b, 11, p.IfChanged)
	return wire.AppendBool(b, 12, p.PrevKV)
}

func decodeTxn(r *wire.Reader, depth int) *registry.Txn {
	if depth > maxTxnDepth {
		r.Fail(fmt.Errorf("%w: transactions nest deeper than %d", wire.ErrMalformed, maxTxnDepth))
		return nil
	}
	t := new(registry.Txn)
	m := wire.NewReader(r.Bytes())
	for m.Next() {
		switch m.Number() {
		case 1:
			t.Compare = append(t.Compare, decodeCompare(&m))
		case 2:
			t.Then = append(t.Then, decodeOp(&m, depth))
		case 3:
			t.Else = append(t.Else, decodeOp(&m, depth))
		default:
			unknownField(&m, "transaction")
		}
	}
	r.Fail(m.Err())
	return t
}

// decodeOnePut decodes the commonest transaction, one put and nothing else, into
// one allocation and one for data, which holds its key and value. It returns nil
// for any other.
func decodeOnePut(r *wire.Reader) (t *registry.Txn, data []byte) {
	m := wire.NewReader(r.Bytes())
	if !m.Next() || m.Number() != 2 {
		return nil, nil
	}
	op := wire.NewReader(m.Bytes())
	if m.Next() || !op.Next() || op.Number() != opPut {
		return nil, nil
	}
	one := new(struct {
		txn registry.Txn
		op  [1]registry.Op
		put registry.PutRequest
	})
	data = decodePut(&op, &one.put)
	if op.Next() || op.Err() != nil || m.Err() != nil {
		return nil, nil
	}
	one.op[0].Put = &one.put
	one.txn.Then = one.op[:]
	return &one.txn, data
}

func decodeOp(r *wire.Reader, depth int) (op registry.Op) {
	m := wire.NewReader(r.Bytes())
	kinds := 0
	for m.Next() {
		kinds++
		switch m.Number() {
		case opRange:
			op.Range = decodeRange(&m)
		case opPut:
			op.Put = new(registry.PutRequest)
			decodePut(&m, op.Put)
		case opDelete:
			op.Delete = decodeDelete(&m)
		case opTxn:
			op.Txn = decodeTxn(&m, depth+1)
		case opRequire:
			c := decodeCompare(&m)
			op.Require = &c
		case opGrant:
			op.Grant = decodeGrantOp(&m)
		default:
			unknownField(&m, "operation")
		}
	}
	r.Fail(m.Err())
	if kinds != 1 {
		r.Fail(fmt.Errorf("%w: operation has %d kinds, not one", wire.ErrMalformed, kinds))
	}
	return op
}

func decodeCompare(r *wire.Reader) (c registry.Compare) {
	m := wire.NewReader(r.Bytes())
	for m.Next() {
		switch m.Number() {
		case 1:
			c.Space = decodeSpace(&m)
		case 2:
			c.Start = m.String()
		case 3:
			c.End = m.String()
		case 4:
			c.Target = registry.CompareTarget(decodeEnum(&m, uint64(registry.CompareLockCount)))
		case 5:
			c.Result = registry.CompareResult(decodeEnum(&m, uint64(registry.Less)))
		case 6:
			c.Int = m.Int()
		case 7:
			c.Uint = m.Uint()
		case 8:
			c.Bytes = append([]byte(nil), m.Bytes()...)
		default:
			unknownField(&m, "compare")
		}
	}
	r.Fail(m.Err())
	return c
}

func decodeRange(r *wire.Reader) *registry.RangeRequest {
	q := new(registry.RangeRequest)
	m := wire.NewReader(r.Bytes())
	for m.Next() {
		switch m.Number() {
		case 1:
			q.Space = decodeSpace(&m)
		case 2:
			q.Start = m.String()
		case 3:
			q.End = m.String()
		case 4:
			q.Revision = m.Int()
		case 5:
			q.Limit = m.Int()
		case 6:
			q.CountOnly = m.Bool()
		case 7:
			q.KeysOnly = m.Bool()
		case 8:
			q.SkipCount = m.Bool()
		case 9:
			q.SortTarget = registry.SortTarget(decodeEnum(&m, uint64(registry.SortByValue)))
		case 10:
			q.SortOrder = registry.SortOrder(decodeEnum(&m, uint64(registry.SortDescend)))
		case 11:
			q.MinModRevision = m.Int()
		case 12:
			q.MaxModRevision = m.Int()
		case 13:
			q.MinCreateRevision = m.Int()
		case 14:
			q.MaxCreateRevision = m.Int()
		case 15:
			q.WithLastChange = m.Bool()
		default:
			unknownField(&m, "range")
		}
	}
	r.Fail(m.Err())
	return q
}

// decodePut copies key and value into one piece of memory, key first, as records
// keep them, and returns it.
func decodePut(r *wire.Reader, p *registry.PutRequest) (data []byte) {
	var key, value []byte
	m := wire.NewReader(r.Bytes())
	for m.Next() {
		switch m.Number() {
		case 1:
			p.Space = decodeSpace(&m)
		case 2:
			key = m.Bytes()
		case 3:
			value = m.Bytes()
		case 4:
			p.Lease = registry.LeaseID(m.Int())
		case 5:
			p.Flags = m.Uint()
		case 6:
			p.KeepValue = m.Bool()
		case 7:
			p.KeepLease = m.Bool()
		case 8:
			p.KeepFlags = m.Bool()
		case 9:
			p.Lock = registry.LockAction(decodeEnum(&m, uint64(registry.LockForget)))
		case 10:
			p.Holder = registry.LeaseID(m.Int())
		case 11:
			p.IfChanged = m.Bool()
		case 12:
			p.PrevKV = m.Bool()
		default:
			unknownField(&m, "put")
		}
	}
	r.Fail(m.Err())
	if len(key)+len(value) == 0 {
		return nil
	}
	data = make([]byte, len(key)+len(value))
	copy(data, key)
	copy(data[len(key):], value)
	p.Key = unsafe.String(unsafe.SliceData(data), len(key))
	if len(value) > 0 {
		p.Value = data[len(key):]
	}
	return data
}

func decodeGrantOp(r *wire.Reader) *registry.GrantRequest {
	g := new(registry.GrantRequest)
	m := wire.NewReader(r.Bytes())
	for m.Next() {
		switch m.Number() {
		case 1:
			g.ID = registry.LeaseID(m.Int())
		case 2:
			g.TTL = time.Duration(m.Int())
		case 3:
			g.IfAbsent = m.Bool()
		case 4:
			g.After = registry.LeaseID(m.Int())
		case 5:
			g.DeleteLocked = m.Bool()
		default:
			unknownField(&m, "grant")
		}
	}
	r.Fail(m.Err())
	return g
}

func decodeDelete(r *wire.Reader) *registry.DeleteRequest {
	d := new(registry.DeleteRequest)
	m := wire.NewReader(r.Bytes())
	for m.Next() {
		switch m.Number() {
		case 1:
			d.Space = decodeSpace(&m)
		case 2:
			d.Start = m.String()
		case 3:
			d.End = m.String()
		case 4:
			d.PrevKV = m.Bool()
		default:
			unknownField(&m, "delete")
		}
	}
	r.Fail(m.Err())
	return d
}

// decodeEnum reads a field of a closed set of values. One beyond it is a newer
// version's.
func decodeEnum(r *wire.Reader, top uint64) uint64 {
	v := r.Small(math.MaxUint8)
	if v > top {
		r.Fail(fmt.Errorf("%w: field %d has the unknown value %d", registry.ErrFormat, r.Number(), v))
	}
	return v
}
