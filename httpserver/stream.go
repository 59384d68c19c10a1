package httpserver

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

const (
	// streamBeat is the longest that a stream is silent: proxies end what is silent
	// longer, and a client that has gone is noticed by it.
	streamBeat = 15 * time.Second
	// streamPatience bounds how long a client may take to accept what it is sent.
	streamPatience = 30 * time.Second
	// streamPiece is from where on what has been rendered is sent before there is more.
	streamPiece = 32 << 10
)

// pace is how long streams wait.
type pace struct{ beat, patience time.Duration }

var (
	isEventStream = []string{"text/event-stream"}
	noStore       = []string{"no-store"}
)

// stream is an answer of server-sent events (the WHATWG's HTML standard, section 9.2).
// It is its request's goroutine's alone.
type stream struct {
	// ctx ends with the request and when the door stops.
	ctx  context.Context
	w    http.ResponseWriter
	rc   *http.ResponseController
	beat time.Duration
	buf  []byte
}

// stream makes a request's answer a stream, which counts as a blocked query until end
// is called. The headers go with the first flush.
func (s *surface) stream(q *request) (t *stream, end func(), err error) {
	leave, err := s.block(q)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(q.r.Context())
	unhook := context.AfterFunc(s.draining, cancel)
	h := q.header()
	h["Content-Type"], h["Cache-Control"] = isEventStream, noStore
	h["X-Accel-Buffering"] = []string{"no"} // for nginx, which holds answers back
	w := &impatientWriter{q.w, http.NewResponseController(q.w), s.pace.patience}
	t = &stream{ctx: ctx, w: w, rc: http.NewResponseController(w), beat: s.pace.beat}
	return t, func() {
		unhook()
		cancel()
		w.done()
		leave()
	}, nil
}

// event adds an event. id is where to resume once it was received, 0 for the one
// before: what must be received together has it on the last event. data is JSON, and so
// one line.
func (t *stream) event(name string, id int64, data func([]byte) []byte) error {
	t.id(id)
	t.buf = append(append(append(t.buf, "event: "...), name...), "\ndata: "...)
	t.buf = append(data(t.buf), "\n\n"...)
	if len(t.buf) < streamPiece {
		return nil
	}
	return t.send()
}

// document adds an event with v as its data.
func (t *stream) document(name string, id int64, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return t.event(name, id, func(to []byte) []byte { return append(to, b...) })
}

func (t *stream) id(id int64) {
	if id > 0 {
		t.buf = append(strconv.AppendInt(append(t.buf, "id: "...), id, 10), '\n')
	}
}

// heartbeat sends a comment, and with it where to resume, which a client keeps
// though no event comes of it.
func (t *stream) heartbeat(id int64) error {
	t.buf = append(t.buf, ":\n"...)
	t.id(id)
	t.buf = append(t.buf, '\n')
	return t.flush()
}

func (t *stream) send() error {
	_, err := t.w.Write(t.buf)
	if t.buf = t.buf[:0]; cap(t.buf) > maxPooled {
		t.buf = nil
	}
	return err
}

// flush sends all there is to the client.
func (t *stream) flush() error {
	if err := t.send(); err != nil {
		return err
	}
	return t.rc.Flush()
}

// quiet is a context that ends when it is time for a heartbeat.
func (t *stream) quiet() (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.ctx, t.beat)
}

// impatientWriter fails, and its connection with it, if the client takes longer than
// that to accept what is written.
type impatientWriter struct {
	http.ResponseWriter
	rc       *http.ResponseController
	patience time.Duration
}

func (w *impatientWriter) Write(b []byte) (int, error) {
	// What is no connection has no deadlines, and needs none.
	_ = w.rc.SetWriteDeadline(time.Now().Add(w.patience))
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *impatientWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// done lifts the bound, which else would end the connection's next request.
func (w *impatientWriter) done() { _ = w.rc.SetWriteDeadline(time.Time{}) }
