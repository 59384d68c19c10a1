package client

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"unicode/utf8"

	"herald/registry"
)

// The bounds of a transaction of PutAll: operations, and bytes of the request.
const (
	putAllOps   = 128
	putAllBytes = 384 << 10
)

// txnSet is the part of a transaction that writes a key.
type txnSet struct {
	Verb, Key string
	Value     []byte
	Flags     uint64
}

// PutAll writes keys with their values and flags, in order, in transactions of up to 128, and
// returns how many it has written. What is there already is not written again, so that
// after an error it can be called anew with all of them.
func (k KV) PutAll(ctx context.Context, kvs []registry.KeyValue) (written int, err error) {
	for written < len(kvs) {
		batch := putAllBatch(kvs[written:])
		if err := k.putBatch(ctx, batch); err != nil {
			return written, err
		}
		written += len(batch)
	}
	return written, nil
}

// putAllBatch is what of kvs goes into the next transaction: at least one.
func putAllBatch(kvs []registry.KeyValue) []registry.KeyValue {
	size := 0
	for i := range kvs {
		if !utf8.ValidString(kvs[i].Key) { // JSON cannot carry it: it is put by itself
			return kvs[:max(i, 1)]
		}
		size += 128 + 6*len(kvs[i].Key) + base64.StdEncoding.EncodedLen(len(kvs[i].Value)) // a byte is at most \u0000
		if i > 0 && size > putAllBytes || i == putAllOps {
			return kvs[:i]
		}
	}
	return kvs
}

func (k KV) putBatch(ctx context.Context, batch []registry.KeyValue) error {
	if len(batch) > 1 {
		err := k.putTogether(ctx, batch)
		if !errors.Is(err, registry.ErrTooLarge) {
			return err
		}
		// The servers' limit may be below what they come with; each key may be within it.
	}
	for i := range batch {
		kv := &batch[i]
		if kv.Key == "" {
			return registry.ErrEmptyKey
		}
		if _, err := k.Put(ctx, kv.Key, kv.Value, PutOptions{Flags: kv.Flags}); err != nil {
			return err
		}
	}
	return nil
}

func (k KV) putTogether(ctx context.Context, batch []registry.KeyValue) error {
	ops := make([]struct{ KV txnSet }, len(batch))
	for i := range batch {
		ops[i].KV = txnSet{Verb: "set", Key: batch[i].Key, Value: batch[i].Value, Flags: batch[i].Flags}
	}
	body, err := json.Marshal(ops)
	if err != nil {
		return err
	}
	rep, err := k.c.do(ctx, put("/v1/txn", nil, body).again(), http.StatusConflict)
	if err != nil || rep.status != http.StatusConflict {
		return err
	}
	var refused struct {
		Errors []struct {
			OpIndex int
			What    string
		}
	}
	if err := decode(rep, &refused); err != nil {
		return err
	}
	var all []error
	for _, e := range refused.Errors {
		key := ""
		if e.OpIndex >= 0 && e.OpIndex < len(batch) {
			key = batch[e.OpIndex].Key
		}
		all = append(all, fmt.Errorf("%w: key %q: %s", registry.ErrInvalid, key, e.What))
	}
	if len(all) == 0 {
		return fmt.Errorf("%w: the transaction was refused without a reason", registry.ErrInvalid)
	}
	return errors.Join(all...)
}
