package mvcc

import (
	"unsafe"

	"herald/registry"
)

// record is one version of one key, or its tombstone. It is immutable once it
// can be seen by a reader.
//
// A million of these is what the store is sized by, so the record is 48 bytes:
// key and value lie in one allocation, the key in front, and the rarer fields
// behind a pointer that many records share.
type record struct {
	data     *byte // key then value; nil only if both are empty
	keyLen   uint32
	valueLen uint32
	create   int64
	mod      int64
	version  int64 // 0: a tombstone
	attrs    *attrs
}

// attrs are the fields that most keys of the kv space leave at zero, and that
// the keys of one lease have in common. A nil *attrs is all zeros. Immutable.
type attrs struct {
	lease registry.LeaseID
	flags uint64
	lock  registry.Lock
}

var noAttrs attrs

// newRecord copies key and value into memory of the record's own: neither a raft
// entry nor a caller's buffer may stay alive, or change, because of a record.
func newRecord(key string, value []byte) *record {
	r := &record{keyLen: uint32(len(key)), valueLen: uint32(len(value))}
	if n := len(key) + len(value); n > 0 {
		data := make([]byte, n)
		copy(data, key)
		copy(data[len(key):], value)
		r.data = unsafe.SliceData(data)
	}
	return r
}

// adoptRecord is newRecord, but takes data over if key and value are just that:
// memory that nobody else will write. That they lie next to each other is not
// enough to tell, since two allocations may.
func adoptRecord(data []byte, key string, value []byte) *record {
	n := len(key)
	if len(data) == 0 || len(data) != n+len(value) || n == 0 || unsafe.StringData(key) != &data[0] ||
		len(value) > 0 && &value[0] != &data[n] {
		return newRecord(key, value)
	}
	return &record{data: &data[0], keyLen: uint32(n), valueLen: uint32(len(value))}
}

// newTombstone marks that key was deleted at revision mod. The key is copied:
// a tombstone must not keep the value it buried.
func newTombstone(key string, mod int64) *record {
	r := newRecord(key, nil)
	r.mod = mod
	return r
}

// with returns a copy of the record that shares its key and value.
func (r *record) with(create, mod, version int64, a *attrs) *record {
	return &record{data: r.data, keyLen: r.keyLen, valueLen: r.valueLen, create: create, mod: mod, version: version, attrs: a}
}

// key is the record's key. It shares the record's memory, which is never
// written after the record was made.
func (r *record) key() string { return unsafe.String(r.data, r.keyLen) }

// Key is key, as a cow.Set asks for it.
func (r *record) Key() string { return r.key() }

// value is a view of the record's memory, which readers must not write.
func (r *record) value() []byte {
	if r.valueLen == 0 {
		return nil
	}
	p := (*byte)(unsafe.Add(unsafe.Pointer(r.data), uintptr(r.keyLen)))
	return unsafe.Slice(p, r.valueLen)
}

func (r *record) deleted() bool { return r.version == 0 }

func (r *record) extra() *attrs {
	if r.attrs == nil {
		return &noAttrs
	}
	return r.attrs
}

// bytes is what the record's key and value take.
func (r *record) bytes() int64 { return int64(r.keyLen) + int64(r.valueLen) }

// kv is the record as readers see it.
func (r *record) kv() registry.KeyValue {
	if r.deleted() {
		return registry.KeyValue{Key: r.key(), ModRevision: r.mod}
	}
	a := r.extra()
	return registry.KeyValue{
		Key: r.key(), Value: r.value(),
		CreateRevision: r.create, ModRevision: r.mod, Version: r.version,
		Lease: a.lease, Flags: a.flags, Lock: a.lock,
	}
}

// kvPointer is kv on the heap, or nil for a nil record.
func (r *record) kvPointer() *registry.KeyValue {
	if r == nil {
		return nil
	}
	kv := r.kv()
	return &kv
}

// valueString is the value for comparing.
func (r *record) valueString() string {
	v := r.value()
	return unsafe.String(unsafe.SliceData(v), len(v))
}
