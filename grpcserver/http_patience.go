package grpcserver

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	// bodyTimeout is how long a client may take to send a request's body.
	bodyTimeout = time.Minute
	// chunkTimeout is how long a client may take to receive maxChunk bytes of an answer.
	chunkTimeout = time.Minute
	maxChunk     = 64 << 10
)

// talking are the calls whose request is a stream: such a body ends when the client likes, and is
// answered before.
var talking = map[string]bool{"/v3/watch": true, "/v3/lease/keepalive": true}

// inTime bounds how long a request's body takes to arrive and its answer to leave, so that
// clients that never end one do not pile up. How long the answer takes to be found is another
// matter: a lock may be waited for.
func inTime(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn := http.NewResponseController(w)
		err := conn.SetWriteDeadline(time.Time{}) // that of the connection's last request
		switch {
		case talking[strings.Replace(r.URL.Path, "/v3beta/", "/v3/", 1)]:
			err = errors.Join(err, conn.EnableFullDuplex())
		case r.Body != http.NoBody:
			err = errors.Join(err, conn.SetReadDeadline(time.Now().Add(bodyTimeout)))
			r.Body = &timedBody{r.Body, conn}
			fallthrough
		default:
			w = &timedWriter{w, conn}
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// timedBody lifts the deadline of its connection when it was read to the end.
type timedBody struct {
	io.ReadCloser
	conn *http.ResponseController
}

// Read implements io.Reader.
func (b *timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		if derr := b.conn.SetReadDeadline(time.Time{}); derr != nil {
			return n, derr
		}
	}
	return n, err
}

// timedWriter gives every chunk of an answer its time.
type timedWriter struct {
	http.ResponseWriter
	conn *http.ResponseController
}

// Unwrap is for http.ResponseController.
func (w *timedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Write implements io.Writer.
func (w *timedWriter) Write(b []byte) (written int, err error) {
	for {
		if err := w.conn.SetWriteDeadline(time.Now().Add(chunkTimeout)); err != nil {
			return written, err
		}
		n, err := w.ResponseWriter.Write(b[:min(len(b), maxChunk)])
		written, b = written+n, b[n:]
		if err != nil || len(b) == 0 {
			return written, err
		}
	}
}
