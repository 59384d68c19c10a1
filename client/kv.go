package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"herald/httpserver/api"
	"herald/registry"
)

// KV is the part of the API that concerns keys. An error of a call for a key names
// that key, once: who reports it has nothing to add.
type KV struct{ c *Client }

// KV returns the part of the API that concerns keys.
func (c *Client) KV() KV { return KV{c} }

func keyPath(key string) string { return "/v1/kv/" + key }

// Get reads a key. One that does not exist is registry.ErrKeyNotFound; Meta then
// has its index all the same.
func (k KV) Get(ctx context.Context, key string, o ReadOptions) (registry.KeyValue, Meta, error) {
	if key == "" {
		return registry.KeyValue{}, Meta{}, registry.ErrEmptyKey
	}
	kvs, meta, err := k.read(ctx, o.call(keyPath(key), nil))
	if err == nil && len(kvs) == 0 {
		err = fmt.Errorf("%w: %q", registry.ErrKeyNotFound, key)
	}
	if err != nil {
		return registry.KeyValue{}, meta, err
	}
	return kvs[0], meta, nil
}

// List reads every key that begins with prefix, in order. None is no error.
func (k KV) List(ctx context.Context, prefix string, o ReadOptions) ([]registry.KeyValue, Meta, error) {
	return k.read(ctx, o.call(keyPath(prefix), url.Values{"recurse": {""}}))
}

// Keys returns the names of the keys that begin with prefix, in order. With a
// separator, names that go on behind it are folded into one that ends with it.
func (k KV) Keys(ctx context.Context, prefix, separator string, o ReadOptions) ([]string, Meta, error) {
	query := url.Values{"keys": {""}}
	if separator != "" {
		query.Set("separator", separator)
	}
	rep, err := k.c.do(ctx, o.call(keyPath(prefix), query), http.StatusNotFound)
	if err != nil {
		return nil, Meta{}, err
	}
	var names []string
	if rep.status != http.StatusNotFound {
		err = decode(rep, &names)
	}
	return names, metaOf(rep.header), err
}

func (k KV) read(ctx context.Context, r call) ([]registry.KeyValue, Meta, error) {
	pairs, meta, err := k.pairs(ctx, r)
	if err != nil {
		return nil, meta, err
	}
	if pairs == nil {
		return nil, meta, nil
	}
	kvs := make([]registry.KeyValue, len(pairs))
	for i, p := range pairs {
		kvs[i] = registry.KeyValue{
			Key: p.Key, Value: p.Value, Flags: p.Flags,
			CreateRevision: int64(p.CreateIndex), ModRevision: int64(p.ModifyIndex),
			Lock: registry.Lock{Count: p.LockIndex},
		}
	}
	return kvs, meta, nil
}

// pairs reads keys as the API has them, with the sessions that hold them.
func (k KV) pairs(ctx context.Context, r call) ([]api.KVPair, Meta, error) {
	rep, meta, err := k.c.document(ctx, r)
	if err != nil || rep == nil {
		return nil, meta, err
	}
	var pairs []api.KVPair
	return pairs, meta, decode(rep, &pairs)
}

// PutOptions are what a put can say beside the value.
type PutOptions struct {
	Flags uint64
	// Lease attaches the key to a lease; TTL to a new one, which PutResult names.
	// At most one of them.
	Lease registry.LeaseID
	TTL   time.Duration
}

// PutResult is what a put came to.
type PutResult struct {
	// Written is false for a CompareAndSwap that found another index. A put of what
	// is there already counts as written, though it moves nothing.
	Written bool
	// Lease is the lease that PutOptions.TTL was given.
	Lease registry.LeaseID
}

// Put writes a key.
func (k KV) Put(ctx context.Context, key string, value []byte, o PutOptions) (PutResult, error) {
	r := o.call(key, value)
	r.repeatable = o.TTL == 0 // each would make a lease
	return k.write(ctx, r)
}

// CompareAndSwap writes a key if its index is still the one given: its
// ModRevision, or 0 for a key that must not exist. It is not repeated once it may
// have been carried out: registry.ErrTimeout then says that it may.
func (k KV) CompareAndSwap(ctx context.Context, key string, value []byte, index uint64, o PutOptions) (PutResult, error) {
	r := o.call(key, value)
	r.query.Set("cas", strconv.FormatUint(index, 10))
	return k.write(ctx, r)
}

func (o *PutOptions) call(key string, value []byte) call {
	query := url.Values{}
	if o.Flags != 0 {
		query.Set("flags", strconv.FormatUint(o.Flags, 10))
	}
	if o.Lease != 0 {
		query.Set("lease", api.LeaseID(o.Lease).String())
	}
	if o.TTL != 0 {
		query.Set("ttl", o.TTL.String())
	}
	return put(keyPath(key), query, value)
}

// Delete deletes a key. One that does not exist is no error.
func (k KV) Delete(ctx context.Context, key string) error {
	_, err := k.write(ctx, call{method: http.MethodDelete, path: keyPath(key), repeatable: true})
	return err
}

// DeletePrefix deletes every key that begins with prefix; with "" all of them.
func (k KV) DeletePrefix(ctx context.Context, prefix string) error {
	_, err := k.write(ctx, call{method: http.MethodDelete, path: keyPath(prefix), query: url.Values{"recurse": {""}}, repeatable: true})
	return err
}

// CompareAndDelete deletes a key if its index is still the one given. A key that
// does not exist counts as deleted.
func (k KV) CompareAndDelete(ctx context.Context, key string, index uint64) (deleted bool, err error) {
	res, err := k.write(ctx, call{method: http.MethodDelete, path: keyPath(key), query: url.Values{"cas": {strconv.FormatUint(index, 10)}}})
	return res.Written, err
}

func (k KV) write(ctx context.Context, r call) (PutResult, error) {
	var res PutResult
	rep, err := k.c.fetch(ctx, r, &res.Written)
	if err != nil {
		return PutResult{}, err
	}
	if v := rep.header.Get(api.HeaderLease); v != "" {
		id, err := api.ParseLeaseID(v)
		if err != nil {
			return res, err
		}
		res.Lease = registry.LeaseID(id)
	}
	return res, nil
}
