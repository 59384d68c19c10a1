package mvcc

import (
	"herald/registry"
	"herald/registry/wire"
)

// resultFormat is the first byte of an encoded result. A new field does not need a new
// number: who does not know it may pass it over.
const resultFormat = 1

// The fields of a result. result.proto beside this file is the schema.
const (
	resultTxn       = 1
	resultLease     = 2
	resultMissing   = 3
	resultRevisions = 4
)

// AppendTo appends the result's encoding: everything but Err.
func (r *Result) AppendTo(b []byte) []byte {
	b = append(b, resultFormat)
	if r.Txn != nil {
		b = wire.AppendMessage(b, resultTxn, func(b []byte) []byte { return appendTxnResult(b, r.Txn) })
	}
	if l := &r.Lease; l.ID != 0 || l.TTL != 0 || l.Remaining != 0 || len(l.Keys) > 0 {
		b = wire.AppendMessage(b, resultLease, func(b []byte) []byte { return appendLease(b, l) })
	}
	for _, id := range r.Missing {
		b = wire.AppendMessage(b, resultMissing, func(b []byte) []byte { return wire.AppendInt(b, 1, int64(id)) })
	}
	return appendRevisions(b, resultRevisions, r.Revisions)
}

// The fields of the parts of a result.
const (
	txnSucceeded = 1
	txnResults   = 2
	txnRevisions = 3

	rangeKVs        = 1
	rangeCount      = 2
	rangeMore       = 3
	rangeRevision   = 4
	rangeLastChange = 5
	rangeAge        = 6

	putRevision = 1
	putWritten  = 2
	putPrev     = 3

	deleteRevision = 1
	deleteDeleted  = 2
	deletePrev     = 3

	leaseID        = 1
	leaseTTL       = 2
	leaseRemaining = 3
	leaseKeys      = 4
)

func appendRevisions(b []byte, field int, revs registry.Revisions) []byte {
	if revs == (registry.Revisions{}) {
		return b
	}
	return wire.AppendMessage(b, field, func(b []byte) []byte {
		for s, rev := range revs {
			b = wire.AppendInt(b, s+1, rev)
		}
		return b
	})
}

func appendTxnResult(b []byte, t *registry.TxnResult) []byte {
	b = wire.AppendBool(b, txnSucceeded, t.Succeeded)
	for i := range t.Results {
		b = wire.AppendMessage(b, txnResults, func(b []byte) []byte { return appendOpResult(b, &t.Results[i]) })
	}
	return appendRevisions(b, txnRevisions, t.Revisions)
}

func appendOpResult(b []byte, r *registry.OpResult) []byte {
	if r.Range != nil {
		b = wire.AppendMessage(b, opRange, func(b []byte) []byte { return appendRangeResult(b, r.Range) })
	}
	if r.Put != nil {
		b = wire.AppendMessage(b, opPut, func(b []byte) []byte {
			b = wire.AppendInt(b, putRevision, r.Put.Revision)
			b = wire.AppendBool(b, putWritten, r.Put.Written)
			if r.Put.Prev != nil {
				b = appendKeyValue(b, putPrev, r.Put.Prev)
			}
			return b
		})
	}
	if r.Delete != nil {
		b = wire.AppendMessage(b, opDelete, func(b []byte) []byte {
			b = wire.AppendInt(b, deleteRevision, r.Delete.Revision)
			b = wire.AppendInt(b, deleteDeleted, r.Delete.Deleted)
			for i := range r.Delete.Prev {
				b = appendKeyValue(b, deletePrev, &r.Delete.Prev[i])
			}
			return b
		})
	}
	if r.Txn != nil {
		b = wire.AppendMessage(b, opTxn, func(b []byte) []byte { return appendTxnResult(b, r.Txn) })
	}
	return b
}

func appendRangeResult(b []byte, r *registry.RangeResult) []byte {
	for i := range r.KVs {
		b = appendKeyValue(b, rangeKVs, &r.KVs[i])
	}
	b = wire.AppendInt(b, rangeCount, r.Count)
	b = wire.AppendBool(b, rangeMore, r.More)
	b = wire.AppendInt(b, rangeRevision, r.Revision)
	b = wire.AppendInt(b, rangeLastChange, r.LastChange)
	return wire.AppendInt(b, rangeAge, int64(r.Age))
}

func appendKeyValue(b []byte, field int, kv *registry.KeyValue) []byte {
	return wire.AppendMessage(b, field, func(b []byte) []byte { return AppendKeyValue(b, kv) })
}

// AppendKeyValue appends the fields of a key as results have them (KeyValue in
// result.proto).
func AppendKeyValue(b []byte, kv *registry.KeyValue) []byte {
	b = wire.AppendString(b, recordKey, kv.Key)
	b = wire.AppendBytes(b, recordValue, kv.Value)
	b = wire.AppendInt(b, recordLease, int64(kv.Lease))
	b = wire.AppendUint(b, recordFlags, kv.Flags)
	b = wire.AppendInt(b, recordHolder, int64(kv.Lock.Holder))
	b = wire.AppendUint(b, recordCount, kv.Lock.Count)
	b = wire.AppendInt(b, recordCreate, kv.CreateRevision)
	b = wire.AppendInt(b, recordMod, kv.ModRevision)
	return wire.AppendInt(b, recordVersion, kv.Version)
}

func appendLease(b []byte, l *registry.Lease) []byte {
	b = wire.AppendInt(b, leaseID, int64(l.ID))
	b = wire.AppendInt(b, leaseTTL, int64(l.TTL))
	b = wire.AppendInt(b, leaseRemaining, int64(l.Remaining))
	for i := range l.Keys {
		b = wire.AppendMessage(b, leaseKeys, func(b []byte) []byte {
			b = wire.AppendUint(b, 1, uint64(l.Keys[i].Space))
			return wire.AppendString(b, 2, l.Keys[i].Key)
		})
	}
	return b
}

// DecodeResult decodes a result, whose Err is nil: it fails with ErrFormat if a
// newer version wrote it, in a format that cannot be read without knowing it, and
// with ErrCorrupt if it is malformed. It keeps no reference to b. What was empty is nil.
func DecodeResult(b []byte) (Result, error) {
	r, err := decodeResult(b)
	if err != nil {
		return Result{}, malformed("result", err)
	}
	return r, nil
}
