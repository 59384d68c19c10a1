package workload

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"

	"herald/httpserver/api"
)

// answer is what an HTTP door said with 200, 404 or 409.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// index is the index of the answer.
func (a *answer) index() uint64 { return a.uint(api.HeaderIndex) }

func (a *answer) uint(header string) uint64 {
	n, _ := strconv.ParseUint(a.header.Get(header), 10, 64)
	return n
}

// yes reads the answer of a write that says whether it took place.
func (a *answer) yes() (bool, error) {
	switch strings.TrimSpace(string(a.body)) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("answer %.100q, want true or false", a.body)
}

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 64 << 20

// send makes a request of the HTTP door. An error of the registry that the door names is
// returned as such. 404 and 409 are errors if that is what they say, and answers otherwise.
func (s *server) send(ctx context.Context, method, path string, body any) (*answer, error) {
	var in io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errNotSent, err)
		}
		in = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.HTTP+path, in)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNotSent, err)
	}
	res, err := s.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("%s %s: answer cut short: %w", method, path, err)
	}
	if code := res.Header.Get(api.HeaderError); code != "" {
		known := api.FromCode(code)
		if known == nil {
			return nil, fmt.Errorf("%s %s: %d: %s (%s)", method, path, res.StatusCode, text, code)
		}
		return nil, fmt.Errorf("%s %s: %d: %w: %s", method, path, res.StatusCode, known, text)
	}
	switch res.StatusCode {
	case http.StatusOK, http.StatusNotFound, http.StatusConflict:
	default:
		return nil, fmt.Errorf("%s %s: %d: %s", method, path, res.StatusCode, text)
	}
	return &answer{res.StatusCode, res.Header, text}, nil
}

// notSent marks the errors of a dialler: nothing was sent over a connection that was never
// made.
func notSent(dial func(ctx context.Context, network, address string) (net.Conn, error)) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errNotSent, err)
		}
		return c, nil
	}
}
