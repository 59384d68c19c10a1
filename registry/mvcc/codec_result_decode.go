package mvcc

import (
	"fmt"
	"math"
	"time"
	"unsafe"

	"herald/registry"
	"herald/registry/wire"
)

func decodeResult(b []byte) (res Result, err error) {
	switch {
	case len(b) == 0 || b[0] == 0:
		return res, fmt.Errorf("%w: result has no format", registry.ErrCorrupt)
	case b[0] != resultFormat:
		return res, fmt.Errorf("%w: result format %d, this version reads %d", registry.ErrFormat, b[0], resultFormat)
	}
	r := wire.NewReader(b[1:])
	for r.Next() {
		switch r.Number() {
		case resultTxn:
			if res.Txn = decodeOnePutResult(&r); res.Txn == nil {
				res.Txn = decodeTxnResult(&r, 0)
			}
		case resultLease:
			decodeLease(&r, &res.Lease)
		case resultMissing:
			res.Missing = append(res.Missing, decodeMissing(&r))
		case resultRevisions:
			decodeRevisions(&r, &res.Revisions)
		}
	}
	return res, r.Err()
}

// decodeOnePutResult decodes the result of the commonest transaction, one put that does
// not ask for what was there, into one allocation. It returns nil for any other.
func decodeOnePutResult(r *wire.Reader) *registry.TxnResult {
	var out struct {
		txn registry.TxnResult
		op  [1]registry.OpResult
		put registry.PutResult
	}
	puts := 0
	m := wire.NewReader(r.Bytes())
	for m.Next() {
		switch m.Number() {
		case txnSucceeded:
			out.txn.Succeeded = m.Bool()
		case txnRevisions:
			decodeRevisions(&m, &out.txn.Revisions)
		case txnResults:
			op := wire.NewReader(m.Bytes())
			if puts++; puts > 1 || !op.Next() || op.Number() != opPut {
				return nil
			}
			decodePutResult(&op, &out.put)
			if op.Next() || op.Err() != nil || out.put.Prev != nil {
				return nil
			}
		}
	}
	if m.Err() != nil || puts == 0 {
		return nil
	}
	own := out
	own.op[0].Put = &own.put
	own.txn.Results = own.op[:]
	return &own.txn
}

func decodeTxnResult(r *wire.Reader, depth int) *registry.TxnResult {
	if depth > maxTxnDepth {
		r.Fail(fmt.Errorf("%w: transactions nest deeper than %d", wire.ErrMalformed, maxTxnDepth))
		return nil
	}
	t := new(registry.TxnResult)
	m := wire.NewReader(r.Bytes())
	for m.Next() {
		switch m.Number() {
		case txnSucceeded:
			t.Succeeded = m.Bool()
		case txnResults:
			t.Results = append(t.Results, decodeOpResult(&m, depth))
		case txnRevisions:
			decodeRevisions(&m, &t.Revisions)
		}
	}
	r.Fail(m.Err())
	return t
}

func decodeOpResult(r *wire.Reader, depth int) (op registry.OpResult) {
	m := wire.NewReader(r.Bytes())
	kinds := 0
	for m.Next() {
		kinds++
		switch m.Number() {
		case opRange:
			op.Range = decodeRangeResult(&m)
		case opPut:
			op.Put = new(registry.PutResult)
			decodePutResult(&m, op.Put)
		case opDelete:
			op.Delete = decodeDeleteResult(&m)
		case opTxn:
			op.Txn = decodeTxnResult(&m, depth+1)
		default:
			kinds--
		}
	}
	r.Fail(m.Err())
	if kinds > 1 {
		r.Fail(fmt.Errorf("%w: the result of an operation has %d kinds, not one", wire.ErrMalformed, kinds))
	}
	return op
}

func decodePutResult(r *wire.Reader, p *registry.PutResult) {
	m := wire.NewReader(r.Bytes())
	for m.Next() {
		switch m.Number() {
		case putRevision:
			p.Revision = m.Int()
		case putWritten:
			p.Written = m.Bool()
		case putPrev:
			kv := decodeKeyValue(&m)
			p.Prev = &kv
		}
	}
	r.Fail(m.Err())
}

func decodeDeleteResult(r *wire.Reader) *registry.DeleteResult {
	d := new(registry.DeleteResult)
	m := wire.NewReader(r.Bytes())
	for m.Next() {
		switch m.Number() {
		case deleteRevision:
			d.Revision = m.Int()
		case deleteDeleted:
			d.Deleted = m.Int()
		case deletePrev:
			d.Prev = append(d.Prev, decodeKeyValue(&m))
		}
	}
	r.Fail(m.Err())
	return d
}

func decodeRangeResult(r *wire.Reader) *registry.RangeResult {
	q := new(registry.RangeResult)
	m := wire.NewReader(r.Bytes())
	for m.Next() {
		switch m.Number() {
		case rangeKVs:
			q.KVs = append(q.KVs, decodeKeyValue(&m))
		case rangeCount:
			q.Count = m.Int()
		case rangeMore:
			q.More = m.Bool()
		case rangeRevision:
			q.Revision = m.Int()
		case rangeLastChange:
			q.LastChange = m.Int()
		case rangeAge:
			q.Age = time.Duration(m.Int())
		}
	}
	r.Fail(m.Err())
	return q
}

// DecodeKeyValue decodes what AppendKeyValue appended. It fails with ErrCorrupt, and
// keeps no reference to b.
func DecodeKeyValue(b []byte) (registry.KeyValue, error) {
	kv, err := keyValue(b)
	if err != nil {
		return registry.KeyValue{}, malformed("key", err)
	}
	return kv, nil
}

func decodeKeyValue(r *wire.Reader) registry.KeyValue {
	kv, err := keyValue(r.Bytes())
	r.Fail(err)
	return kv
}

// keyValue copies key and value into one piece of memory.
func keyValue(b []byte) (kv registry.KeyValue, err error) {
	var key, value []byte
	m := wire.NewReader(b)
	for m.Next() {
		switch m.Number() {
		case recordKey:
			key = m.Bytes()
		case recordValue:
			value = m.Bytes()
		case recordLease:
			kv.Lease = registry.LeaseID(m.Int())
		case recordFlags:
			kv.Flags = m.Uint()
		case recordHolder:
			kv.Lock.Holder = registry.LeaseID(m.Int())
		case recordCount:
			kv.Lock.Count = m.Uint()
		case recordCreate:
			kv.CreateRevision = m.Int()
		case recordMod:
			kv.ModRevision = m.Int()
		case recordVersion:
			kv.Version = m.Int()
		}
	}
	if len(key)+len(value) > 0 {
		data := make([]byte, len(key)+len(value))
		n := copy(data, key)
		copy(data[n:], value)
		kv.Key = unsafe.String(unsafe.SliceData(data), n)
		if len(value) > 0 {
			kv.Value = data[n:]
		}
	}
	return kv, m.Err()
}

func decodeLease(r *wire.Reader, l *registry.Lease) {
	m := wire.NewReader(r.Bytes())
	for m.Next() {
		switch m.Number() {
		case leaseID:
			l.ID = registry.LeaseID(m.Int())
		case leaseTTL:
			l.TTL = time.Duration(m.Int())
		case leaseRemaining:
			l.Remaining = time.Duration(m.Int())
		case leaseKeys:
			l.Keys = append(l.Keys, decodeLeasedKey(&m))
		}
	}
	r.Fail(m.Err())
}

func decodeLeasedKey(r *wire.Reader) (k registry.LeasedKey) {
	m := wire.NewReader(r.Bytes())
	for m.Next() {
		switch m.Number() {
		case 1:
			k.Space = registry.Space(m.Small(math.MaxUint8))
		case 2:
			k.Key = m.String()
		}
	}
	r.Fail(m.Err())
	return k
}

func decodeMissing(r *wire.Reader) (id registry.LeaseID) {
	m := wire.NewReader(r.Bytes())
	for m.Next() {
		if m.Number() == 1 {
			id = registry.LeaseID(m.Int())
		}
	}
	r.Fail(m.Err())
	return id
}

// decodeRevisions leaves out spaces that only a newer version has.
func decodeRevisions(r *wire.Reader, revs *registry.Revisions) {
	m := wire.NewReader(r.Bytes())
	for m.Next() {
		if s := m.Number() - 1; s < registry.NumSpaces {
			revs[s] = m.Int()
		}
	}
	r.Fail(m.Err())
}
