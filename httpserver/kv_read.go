package httpserver

import (
	"context"
	"net/http"
	"strings"
	"sync"

	"herald/registry"
)

// kvGet is GET /v1/kv/<key>: one key, or with ?recurse every key of a prefix, or
// with ?keys their names, folded at a ?separator=. With ?text values that are UTF-8 are text.
func (s *surface) kvGet(q *request) error {
	o, err := parseReadOptions(&q.query)
	if err != nil {
		return err
	}
	text := q.query.has("text")
	if text {
		if err := q.conflicts("keys", "raw", "text"); err != nil {
			return err
		}
	}
	if q.query.has("keys") || q.query.has("recurse") {
		return s.kvList(q, &o, text)
	}
	if q.arg == "" {
		return refuse(http.StatusBadRequest, "Missing key name")
	}
	res, idx, err := s.rangeBlock(q, &o, func(ctx context.Context) (registry.RangeResult, uint64, error) {
		return s.kvReadOne(ctx, o.mode, q.arg)
	}, registry.SpaceKV, registry.One(q.arg))
	if err != nil {
		return err
	}
	s.readHeaders(q.header(), o.mode, idx, res.Age)
	if len(res.KVs) == 0 {
		return q.body(http.StatusNotFound, nil)
	}
	kv := &res.KVs[0]
	if q.query.has("raw") {
		h := q.header()
		h["Content-Type"] = isPlain
		h["X-Content-Type-Options"] = nosniff
		h["Content-Security-Policy"] = sandbox
		return q.body(http.StatusOK, kv.Value)
	}
	return q.rendered(sizeKV(kv)+2, func(b []byte) []byte {
		return append(appendKV(append(b, '['), kv, text), ']')
	})
}

// kvReadOne reads a key. Its index is that of its last write, or of its deletion,
// so that writes of other keys never raise it; or that of a restore, which may have put
// the key back to an older write.
func (s *surface) kvReadOne(ctx context.Context, m mode, key string) (registry.RangeResult, uint64, error) {
	res, err := s.read(ctx, m, registry.RangeRequest{Space: registry.SpaceKV, KeyRange: registry.One(key), WithLastChange: true})
	return res, index(res.LastChange), err
}

// kvList answers for a prefix. Its index is that of the last put or deletion
// within it.
func (s *surface) kvList(q *request, o *readOptions, text bool) error {
	names := q.query.has("keys")
	r := registry.RangeRequest{Space: registry.SpaceKV, KeyRange: registry.Prefix(q.arg), KeysOnly: names, SkipCount: true, WithLastChange: true}
	res, idx, err := s.rangeBlock(q, o, func(ctx context.Context) (registry.RangeResult, uint64, error) {
		res, err := s.read(ctx, o.mode, r)
		return res, index(res.LastChange), err
	}, r.Space, r.KeyRange)
	if err != nil {
		return err
	}
	s.readHeaders(q.header(), o.mode, idx, res.Age)
	switch {
	case len(res.KVs) == 0 && q.arg != "":
		return q.body(http.StatusNotFound, nil)
	case names:
		separator := q.query.first("separator", "seperator") // the second is how old clients spell it
		return q.rendered(32*len(res.KVs), func(b []byte) []byte {
			return appendNames(b, res.KVs, q.arg, separator)
		})
	}
	size := 2
	for i := range res.KVs {
		size += 1 + sizeKV(&res.KVs[i])
	}
	return q.rendered(size, func(b []byte) []byte {
		b = append(b, '[')
		for i := range res.KVs {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendKV(b, &res.KVs[i], text)
		}
		return append(b, ']')
	})
}

// appendNames appends the keys' names as a JSON list. With a separator, a name
// that has it after the prefix is cut off behind it, and listed once.
func appendNames(b []byte, kvs []registry.KeyValue, prefix, separator string) []byte {
	b = append(b, '[')
	last := ""
	for i := range kvs {
		name := kvs[i].Key
		if separator != "" {
			if at := strings.Index(name[len(prefix):], separator); at >= 0 {
				name = name[:len(prefix)+at+len(separator)]
			}
		}
		if i > 0 {
			if name == last {
				continue
			}
			b = append(b, ',')
		}
		b = appendString(b, name)
		last = name
	}
	return append(b, ']')
}

// buffers are for answers that are rendered for one request.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// maxPooled bounds the buffers kept: one huge answer should not stay for ever.
const maxPooled = 64 << 10

// rendered answers 200 with JSON that render appends, which is about size bytes.
func (q *request) rendered(size int, render func([]byte) []byte) error {
	if size > maxPooled {
		return q.jsonBytes(render(make([]byte, 0, size)))
	}
	p := buffers.Get().(*[]byte)
	b := render((*p)[:0])
	err := q.jsonBytes(b)
	if cap(b) <= maxPooled {
		*p = b
	}
	buffers.Put(p)
	return err
}
