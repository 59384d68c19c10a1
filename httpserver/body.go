package httpserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"herald/registry"
)

// drainBytes bounds how much of a body that is refused is read all the same: a
// client that is still sending when the connection closes does not see the answer.
const drainBytes = 4 << 20

// readBody reads the request's body, which may have limit bytes.
func (s *surface) readBody(q *request, limit int, setting string) ([]byte, error) {
	r := q.r
	if r.ContentLength > int64(limit) {
		s.drainBody(q)
		s.metrics.refuse(setting)
		return nil, tooLarge(r.ContentLength, limit, setting)
	}
	if r.ContentLength == 0 || r.Body == nil {
		return nil, nil
	}
	lift := s.bodyDeadline(q)
	var b []byte
	var err error
	if n := r.ContentLength; n > 0 {
		b = make([]byte, n)
		_, err = io.ReadFull(r.Body, b)
	} else {
		b, err = io.ReadAll(io.LimitReader(r.Body, int64(limit)+1))
	}
	switch {
	case err != nil:
		return nil, bodyError(err)
	case len(b) > limit:
		s.drainBody(q)
		s.metrics.refuse(setting)
		return nil, tooLarge(-1, limit, setting)
	}
	lift()
	return b, nil
}

// bodyDeadline bounds how long the body may take. Once it is there the bound has to
// be lifted, or it would end the request. It stays for a body that is refused:
// net/http reads on before it closes the connection, and must not be held there.
func (s *surface) bodyDeadline(q *request) (lift func()) {
	rc := http.NewResponseController(q.w)
	if rc.SetReadDeadline(time.Now().Add(s.cfg.ReadBodyTimeout)) != nil {
		return func() {} // not a connection
	}
	return func() { _ = rc.SetReadDeadline(time.Time{}) }
}

// drainBody reads on in a body that is refused, so that its sender sees why. One who asked first
// whether to send it is told so at once (RFC 9110 section 10.1.1): reading would tell it to.
func (s *surface) drainBody(q *request) {
	if strings.EqualFold(q.r.Header.Get("Expect"), "100-continue") {
		return
	}
	s.bodyDeadline(q)
	_, _ = io.CopyN(io.Discard, q.r.Body, drainBytes)
}

// progressReader reads a body that may take any time as a whole, while each read may
// take so long. err is why it ended early.
type progressReader struct {
	r       io.Reader
	rc      *http.ResponseController
	allowed time.Duration
	err     error
}

func (p *progressReader) Read(b []byte) (int, error) {
	// What is no connection has no deadlines, and needs none.
	_ = p.rc.SetReadDeadline(time.Now().Add(p.allowed))
	n, err := p.r.Read(b)
	switch err {
	case nil:
	case io.EOF:
		_ = p.rc.SetReadDeadline(time.Time{}) // or it would end the request, while it is carried out
	default:
		p.err = err
	}
	return n, err
}

func bodyError(err error) error {
	var ne net.Error
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &ne) && ne.Timeout() {
		return refuse(http.StatusRequestTimeout, "The request's body did not arrive in time; the HTTP door's setting read_body_timeout bounds it.")
	}
	return refusef(http.StatusBadRequest, "The request's body could not be read: %v", err)
}

// readJSON decodes the request's body. Fields that v does not have are refused
// if strict.
func (s *surface) readJSON(q *request, v any, strict bool) error {
	b, err := s.readBody(q, s.live().MaxBodyBytes, "max_body_bytes")
	if err != nil {
		return err
	}
	return decodeJSON(b, v, strict)
}

func decodeJSON(b []byte, v any, strict bool) error {
	d := json.NewDecoder(bytes.NewReader(b))
	if strict {
		d.DisallowUnknownFields()
	}
	if err := d.Decode(v); err != nil {
		return undecodable(b, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return undecodable(b, fmt.Errorf("there is more after the document, %s", position(b, d.InputOffset())))
	}
	return nil
}

// undecodable refuses a body, saying where it is wrong.
func undecodable(b []byte, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	text := err.Error()
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		text = "the document ends too early, " + position(b, int64(len(b)))
	case errors.As(err, &syntax):
		text += ", " + position(b, syntax.Offset)
	case errors.As(err, &kind):
		text += ", " + position(b, kind.Offset)
	}
	return because(registry.ErrInvalid, http.StatusBadRequest, "Request decode failed: %s", text)
}

// position spells an offset into b for a person.
func position(b []byte, offset int64) string {
	before := b[:max(0, min(offset, int64(len(b))))]
	line := 1 + bytes.Count(before, []byte("\n"))
	column := len(before) - (bytes.LastIndexByte(before, '\n') + 1)
	return fmt.Sprintf("at line %d, column %d (byte %d)", line, max(column, 1), offset)
}
