package recursor

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

var (
	// ErrQuery is returned for a packet that is no query with one question, or is
	// one for a zone transfer.
	ErrQuery = errors.New("not a query that can be forwarded")
	// ErrBusy is returned while as many questions wait for answers as may.
	ErrBusy = errors.New("too many questions are waiting for recursors")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("no questions are forwarded any more: the server is stopping")
)

// Unanswered is the error where every recursor failed.
type Unanswered struct {
	// Tries has an error for each recursor, in the order they were asked.
	Tries []error
}

// Error says what each recursor did.
func (e *Unanswered) Error() string {
	var tries []string
	for _, t := range e.Tries {
		tries = append(tries, t.Error())
	}
	return "no recursor answered: " + strings.Join(tries, "; ")
}

// Unwrap returns the tries.
func (e *Unanswered) Unwrap() []error { return e.Tries }

// networkError is the error of a try that no packet came of.
type networkError struct{ error }

func (e networkError) Unwrap() error { return e.error }

// timeoutError is the error of a try that no answer came of in time.
type timeoutError struct{ after time.Duration }

func (e timeoutError) Error() string { return fmt.Sprintf("no answer within %v", e.after) }

// The codes of extended errors (RFC 8914) there are here.
const (
	codeOther        = 0
	codeNotReady     = 14
	codeNoReachable  = 22
	codeNetworkError = 23
)

// ExtendedError returns what a client may be told of an error of Forward or
// Resolve: a code of RFC 8914 and a text, which names no addresses.
func ExtendedError(err error) (code uint16, text string) {
	var unanswered *Unanswered
	switch {
	case errors.Is(err, ErrQuery):
		return codeOther, "not forwarded"
	case errors.Is(err, ErrBusy):
		return codeOther, "too many queries forwarded"
	case errors.Is(err, ErrClosed):
		return codeNotReady, "stopping"
	case errors.As(err, &unanswered) && unanswered.network():
		return codeNetworkError, "no recursor reachable"
	}
	return codeNoReachable, "no recursor answered"
}

// network reports whether no recursor could even be asked.
func (e *Unanswered) network() bool {
	for _, t := range e.Tries {
		var n networkError
		if !errors.As(t, &n) {
			return false
		}
	}
	return len(e.Tries) > 0
}
