package skydns

import (
	"fmt"
	"strings"

	"herald/registry"
)

// Record is a key's name and what its value says. It is immutable.
type Record struct {
	Value
	// key orders the records: the path, a zero, and the store's key, if that is not spelled as the path is.
	key  string
	path int
}

// newRecord reads a key and its value.
func newRecord(p Prefix, kv *registry.KeyValue) (*Record, error) {
	key, path, err := p.recordKey(kv.Key)
	if err != nil {
		return nil, err
	}
	v, err := ParseValue(kv.Value)
	if err != nil {
		return nil, fmt.Errorf("the value of key %q: %w", kv.Key, err)
	}
	if kv.Lease != 0 {
		v.TTL = min(v.TTL, leasedTTL)
	}
	return &Record{v, key, path}, nil
}

// recordKey is what the record of a key in the store is ordered by, of which the first bytes are its path.
func (p Prefix) recordKey(key string) (string, int, error) {
	path, err := p.path(key)
	if err != nil {
		return "", 0, fmt.Errorf("key %q: %w", key, err)
	}
	if p.canonical(path) == key {
		return path + labelEnd, len(path), nil
	}
	return path + labelEnd + key, len(path), nil
}

// Key is what records are ordered by: those of a name stand together, right before those of the names beneath it.
func (r *Record) Key() string { return r.key }

// Path is the name, as AppendLabel makes it.
func (r *Record) Path() string { return r.key[:r.path] }

// labels is how many the name has.
func (r *Record) labels() int { return strings.Count(r.Path(), labelEnd) }
