package client

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"herald/httpserver/api"
	"herald/registry"
)

// Error is an answer that refuses a call. It is the registry's error of its Code to
// errors.Is, so that registry.ErrLeaseNotFound is found whoever said it.
type Error struct {
	Method, Path string
	Status       int
	// Code is the machine's name of the error, "" if the server gave none.
	Code string
	// Text is the server's explanation.
	Text string

	is error
}

func newError(r call, rep *reply) *Error {
	e := &Error{
		Method: r.method, Path: r.path, Status: rep.status,
		Code: rep.header.Get(api.HeaderError), Text: strings.TrimSpace(string(rep.body)),
	}
	if e.Text == "" {
		e.Text = http.StatusText(rep.status)
	}
	e.is = api.FromCode(e.Code)
	return e
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s %s: %s (status %d)", e.Method, e.Path, e.Text, e.Status)
}

// Unwrap returns the registry's error that this is, if it is one.
func (e *Error) Unwrap() error { return e.is }

// passes reports whether the answer is of a kind that goes away, or is another's at
// another server.
func (e *Error) passes() bool {
	switch e.Status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	for _, is := range []error{registry.ErrNoLeader, registry.ErrUnavailable, registry.ErrTimeout, registry.ErrStopped} {
		if errors.Is(e, is) {
			return true
		}
	}
	return false
}
