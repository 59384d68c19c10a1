package httpserver

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"herald/registry/catalog"
)

// gzipFrom is the size from which a document is compressed for a client that takes
// it: anything smaller travels in one packet either way.
const gzipFrom = 1400

var (
	isGzip     = []string{"gzip"}
	byEncoding = []string{"Accept-Encoding"}
)

// document answers with JSON, laid out for a person if ?pretty asks for it, and
// compressed if the client takes that.
func (q *request) document(status int, b []byte) error {
	return q.packed(status, b, nil)
}

// memo answers 200 with a document about a service that is kept with it under key,
// and kept compressed as well once somebody takes it so.
func (q *request) memo(svc *catalog.Service, key string, build func() []byte) error {
	b := svc.Memo(key, build)
	return q.packed(http.StatusOK, b, func() []byte {
		return svc.Memo(key+" gzip", func() []byte {
			var z bytes.Buffer
			compress(&z, b)
			return z.Bytes()
		})
	})
}

// packed is document with compressed in place of compressing b; nil has none.
func (q *request) packed(status int, b []byte, compressed func() []byte) error {
	h := q.header()
	h["Content-Type"] = isJSON
	if q.query.has("pretty") {
		var laidOut bytes.Buffer
		if err := json.Indent(&laidOut, b, "", "    "); err != nil {
			return err
		}
		b, compressed = append(laidOut.Bytes(), '\n'), nil
	}
	if len(b) < gzipFrom {
		return q.body(status, b)
	}
	h["Vary"] = byEncoding
	if !takesGzip(q.r.Header["Accept-Encoding"]) {
		return q.body(status, b)
	}
	h["Content-Encoding"] = isGzip
	if compressed != nil {
		return q.body(status, compressed())
	}
	var z bytes.Buffer
	compress(&z, b)
	return q.body(status, z.Bytes())
}

// compressors are kept, since each has a megabyte of tables.
var compressors = sync.Pool{New: func() any {
	w, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		panic(err) // the level is one that there is
	}
	return w
}}

// compress appends b, compressed, to z, which takes all it is given.
func compress(z *bytes.Buffer, b []byte) {
	w := compressors.Get().(*gzip.Writer)
	w.Reset(z)
	_, _ = w.Write(b)
	_ = w.Close()
	w.Reset(nil)
	compressors.Put(w)
}

// takesGzip reads Accept-Encoding: gzip has to be named, or anything be welcome, and
// not with a weight of nothing.
func takesGzip(header []string) bool {
	any := false
	for _, line := range header {
		for line != "" {
			var part string
			part, line, _ = strings.Cut(line, ",")
			name, rest, _ := strings.Cut(part, ";")
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "gzip", "x-gzip":
				return weighs(rest)
			case "*":
				any = weighs(rest)
			}
		}
	}
	return any
}

// weighs reports whether a coding's parameters leave it a weight; the usual ones are
// none at all.
func weighs(params string) bool {
	name, value, ok := strings.Cut(params, "=")
	if !ok || !strings.EqualFold(strings.TrimSpace(name), "q") {
		return true
	}
	weight, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	return err != nil || weight > 0
}
