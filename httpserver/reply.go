package httpserver

import (
	"encoding/json"
	"net/http"
)

var (
	bodyTrue  = []byte("true")
	bodyFalse = []byte("false")
)

// json answers with v as JSON.
func (q *request) json(status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return q.document(status, b)
}

// jsonBytes answers 200 with bytes that are JSON already.
func (q *request) jsonBytes(b []byte) error {
	return q.document(http.StatusOK, b)
}

// bool answers a write that says whether it took place.
func (q *request) bool(v bool) error {
	if v {
		return q.jsonBytes(bodyTrue)
	}
	return q.jsonBytes(bodyFalse)
}

// empty answers a write that says nothing.
func (q *request) empty() error {
	q.w.WriteHeader(http.StatusOK)
	return nil
}

// body sends the answer. That the client went away meanwhile is not an error of
// ours, and there is nobody left to tell.
func (q *request) body(status int, b []byte) error {
	q.header()["Content-Length"] = headerUint(uint64(len(b)))
	q.w.WriteHeader(status)
	_, _ = q.w.Write(b)
	return nil
}

func writeText(w http.ResponseWriter, status int, text string) {
	h := w.Header()
	h["Content-Type"] = isText
	h["X-Content-Type-Options"] = nosniff
	h["Content-Length"] = headerUint(uint64(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}
