package grpcserver

import (
	"unsafe"

	"go.etcd.io/etcd/api/v3/mvccpb"

	"herald/registry"
)

// keyRange is a range of keys in etcd's notation, which is the registry's.
func keyRange(key, end []byte) registry.KeyRange {
	return registry.KeyRange{Start: text(key), End: text(end)}
}

// text is bytes of a request as a string, in the same memory: a request is changed by
// nobody once it was read.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// fillKV makes kv what a key is. It shares the value.
func fillKV(kv *mvccpb.KeyValue, from *registry.KeyValue) *mvccpb.KeyValue {
	kv.Key = []byte(from.Key)
	kv.Value = from.Value
	kv.CreateRevision = from.CreateRevision
	kv.ModRevision = from.ModRevision
	kv.Version = from.Version
	kv.Lease = int64(from.Lease)
	return kv
}

// prevKV is the key before a write, nil if there was none or nobody asked.
func prevKV(from *registry.KeyValue) *mvccpb.KeyValue {
	if from == nil {
		return nil
	}
	return fillKV(new(mvccpb.KeyValue), from)
}

// keyValues are keys as messages, in one piece of memory.
func keyValues(from []registry.KeyValue) []*mvccpb.KeyValue {
	if len(from) == 0 {
		return nil
	}
	made := make([]mvccpb.KeyValue, len(from))
	all := make([]*mvccpb.KeyValue, len(from))
	for i := range from {
		all[i] = fillKV(&made[i], &from[i])
	}
	return all
}
