package httpserver

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"herald/httpserver/document"
	"herald/registry"
	"herald/registry/session"
)

// configKeys bounds how many keys one document may write: they are one transaction.
const configKeys = 4096

// configFormat is the format that ?format= names, JSON if there is none.
func (q *request) configFormat() (document.Format, error) {
	name := q.query.get("format")
	if name == "" {
		name = "json"
	}
	f, ok := document.Named(name)
	if !ok {
		return f, refusef(http.StatusBadRequest, "Unknown format %q: want json, yaml, toml, env or properties", name)
	}
	return f, nil
}

// configPrefix is what the keys of a document begin with, "" for all keys.
func (q *request) configPrefix() string {
	if q.arg == "" || strings.HasSuffix(q.arg, "/") {
		return q.arg
	}
	return q.arg + "/"
}

// configGet is GET /v1/config/<prefix>: the keys below a prefix as one document.
func (s *surface) configGet(q *request) error {
	f, err := q.configFormat()
	if err != nil {
		return err
	}
	o, err := parseReadOptions(&q.query)
	if err != nil {
		return err
	}
	prefix, typed := q.configPrefix(), q.query.has("typed")
	r := registry.RangeRequest{Space: registry.SpaceKV, KeyRange: registry.Prefix(prefix), SkipCount: true, WithLastChange: true}
	res, idx, err := s.rangeBlock(q, &o, func(ctx context.Context) (registry.RangeResult, uint64, error) {
		res, err := s.read(ctx, o.mode, r)
		return res, index(res.LastChange), err
	}, r.Space, r.KeyRange)
	if err != nil {
		return err
	}
	h := q.header()
	s.readHeaders(h, o.mode, idx, res.Age)
	values := make(map[string]string, len(res.KVs))
	for i := range res.KVs {
		if key := strings.TrimPrefix(res.KVs[i].Key, prefix); key != "" {
			values[key] = string(res.KVs[i].Value)
		}
	}
	if len(values) == 0 {
		return because(registry.ErrKeyNotFound, http.StatusNotFound, "No keys below %q", prefix)
	}
	tag := fmt.Sprintf(`"%d-%s-%t"`, idx, f.Name, typed)
	h["Etag"] = []string{tag}
	if q.r.Header.Get("If-None-Match") == tag {
		q.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	b, err := f.Render(values, typed)
	if err != nil {
		return because(registry.ErrInvalid, http.StatusConflict, "The keys below %q cannot be one document: %v", prefix, err)
	}
	h["Content-Type"] = []string{f.ContentType}
	h["X-Content-Type-Options"] = nosniff
	return q.body(http.StatusOK, b)
}

// configPut is PUT /v1/config/<prefix>: a document's keys are written in one
// transaction, where they differ; with ?prune all others below the prefix go.
func (s *surface) configPut(q *request) error {
	f, err := q.configFormat()
	if err != nil {
		return err
	}
	lease, err := q.attachment()
	if err != nil {
		return err
	}
	b, err := s.readBody(q, s.live().MaxBodyBytes, "max_body_bytes")
	if err != nil {
		return err
	}
	values, err := f.Parse(b)
	if err != nil {
		return because(registry.ErrInvalid, http.StatusBadRequest, "Request decode failed: %v", err)
	}
	prefix, prune := q.configPrefix(), q.query.has("prune")
	names := slices.Sorted(maps.Keys(values))
	if err := s.configFits(prefix, names, values); err != nil {
		return err
	}
	if len(names) == 0 && !prune {
		return q.bool(true)
	}
	ops := lease.with()
	for i := range names {
		names[i] = prefix + names[i]
		ops = append(ops, registry.Op{Put: &registry.PutRequest{
			Space: registry.SpaceKV, Key: names[i], Value: []byte(values[strings.TrimPrefix(names[i], prefix)]), Lease: lease.id,
			KeepFlags: true, Lock: registry.LockForget, IfChanged: true,
		}})
	}
	if prune {
		for _, r := range between(registry.Prefix(prefix), names) {
			ops = append(ops,
				registry.Op{Delete: &registry.DeleteRequest{Space: registry.SpaceKV, KeyRange: r}},
				registry.Op{Delete: &registry.DeleteRequest{Space: registry.SpaceSession, KeyRange: session.Delays(r)}})
		}
	}
	if _, err := s.store.Txn(q.caller(registry.ReasonClient), registry.Txn{Then: ops}); err != nil {
		return lease.missing(err)
	}
	lease.tell(q)
	return q.bool(true)
}

// configFits refuses a document with more or larger keys than may be put.
func (s *surface) configFits(prefix string, names []string, values map[string]string) error {
	if len(names) > configKeys {
		return because(registry.ErrTooLarge, http.StatusRequestEntityTooLarge, "The document has %d keys, and at most %d can be written at once; put its parts one by one.", len(names), configKeys)
	}
	limits := s.live()
	for _, name := range names {
		if n := len(prefix) + len(name); n > limits.MaxKeyBytes {
			s.metrics.refuse("max_key_bytes")
			return because(registry.ErrTooLarge, http.StatusRequestEntityTooLarge, "Key(%d bytes) too large, max size: %d bytes. See the HTTP door's setting max_key_bytes.", n, limits.MaxKeyBytes)
		}
		if n := len(values[name]); n > limits.MaxValueBytes {
			s.metrics.refuse("max_value_bytes")
			return because(registry.ErrTooLarge, http.StatusRequestEntityTooLarge, "Value of key %q(%d bytes) too large, max size: %d bytes. See the HTTP door's setting max_value_bytes.", name, n, limits.MaxValueBytes)
		}
	}
	return nil
}

// between are the ranges that make up a range without some of its keys, which are in
// order. That they are ranges makes what is deleted a matter of when it is applied.
func between(r registry.KeyRange, keys []string) []registry.KeyRange {
	var gaps []registry.KeyRange
	start := r.Start
	for _, key := range keys {
		if start < key {
			gaps = append(gaps, registry.KeyRange{Start: start, End: key})
		}
		start = key + "\x00"
	}
	return append(gaps, registry.KeyRange{Start: start, End: r.End})
}
