package grpcserver

import (
	"io"
	"net/http"
	"strings"
	"time"
)

// bodyTimeout is how long a client may take to send a request's body.
const bodyTimeout = time.Minute

// talking are the calls whose request is a stream: such a body ends when the client likes, and is
// answered before.
var talking = map[string]bool{"/v3/watch": true, "/v3/lease/keepalive": true}

// readingInTime bounds how long a request's body takes to arrive, so that clients that
// never end one do not pile up. What the answer takes is another matter: a lock may be
// waited for.
func readingInTime(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn := http.NewResponseController(w)
		var err error
		if talking[strings.Replace(r.URL.Path, "/v3beta/", "/v3/", 1)] {
			err = conn.EnableFullDuplex()
		} else if r.Body != http.NoBody {
			err = conn.SetReadDeadline(time.Now().Add(bodyTimeout))
			r.Body = &timedBody{r.Body, conn}
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
