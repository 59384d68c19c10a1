package httpserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"herald/httpserver/api"
	"herald/registry"
)

// statuses says with which status each of the registry's errors is answered; its
// text is the body and api.Code its code. The first that matches counts, and an
// error that none matches is 500 with a text of its own. Clients of this API take
// 500 for "try again" in more places than HTTP means it; 503 is used where
// trying again is what helps.
var statuses = []struct {
	err    error
	status int
}{
	{registry.ErrNodeTaken, http.StatusConflict},
	{registry.ErrNotAdvertised, http.StatusConflict},
	{registry.ErrEmptyKey, http.StatusBadRequest},
	{registry.ErrTooLarge, http.StatusRequestEntityTooLarge},
	{registry.ErrInvalidTTL, http.StatusBadRequest},
	{registry.ErrExecDisabled, http.StatusInternalServerError},
	{registry.ErrInvalidDefinition, http.StatusBadRequest},
	{registry.ErrDuplicateService, http.StatusBadRequest},
	{registry.ErrInvalid, http.StatusBadRequest},
	{registry.ErrFutureRevision, http.StatusBadRequest},
	{registry.ErrCompacted, http.StatusGone},
	{registry.ErrKeyNotFound, http.StatusNotFound},
	{registry.ErrLeaseNotFound, http.StatusNotFound},
	{registry.ErrServiceNotFound, http.StatusNotFound},
	{registry.ErrCheckNotFound, http.StatusNotFound},
	{registry.ErrNodeNotFound, http.StatusNotFound},
	{registry.ErrLeaseExists, http.StatusConflict},
	{registry.ErrRequire, http.StatusConflict},
	{registry.ErrNotTTLCheck, http.StatusInternalServerError},
	{registry.ErrNoLeader, http.StatusInternalServerError},
	{registry.ErrUnavailable, http.StatusInternalServerError},
	{registry.ErrTimeout, http.StatusGatewayTimeout},
	{registry.ErrResourceExhausted, http.StatusInsufficientStorage},
	{registry.ErrDiskFull, http.StatusInsufficientStorage},
	{registry.ErrMemberNotFound, http.StatusNotFound},
	{registry.ErrMembership, http.StatusConflict},
	{registry.ErrForeignCluster, http.StatusConflict},
	{registry.ErrCorrupt, http.StatusBadRequest},
	{registry.ErrFormat, http.StatusBadRequest},
	{registry.ErrStopped, http.StatusServiceUnavailable},
	{registry.ErrWatchReset, http.StatusServiceUnavailable},
	{context.DeadlineExceeded, http.StatusGatewayTimeout},
	{context.Canceled, statusClientClosed},
}

// statusClientClosed is for the metrics: the client of such a request has gone and
// sees none of it.
const statusClientClosed = 499

// errPanicked is what a client is told of a fault of ours; the log has the rest.
var errPanicked = errors.New("internal error: the server's log says more")

// refusal is an answer that is decided by the door itself: a status and a text
// that clients may match on.
type refusal struct {
	status int
	text   string
	err    error // what it is about, for its code; may be nil
}

func (e *refusal) Error() string { return e.text }
func (e *refusal) Unwrap() error { return e.err }

func refuse(status int, text string) error { return &refusal{status: status, text: text} }

func refusef(status int, format string, args ...any) error {
	return &refusal{status: status, text: fmt.Sprintf(format, args...)}
}

// because refuses for one of the registry's errors, in words of the door's own.
func because(err error, status int, format string, args ...any) error {
	return &refusal{status: status, text: fmt.Sprintf(format, args...), err: err}
}

// statusOf returns the status and the text that an error is answered with. known
// is false for an error that has no place here, a fault of ours.
func statusOf(err error) (status int, text string, known bool) {
	var r *refusal
	if errors.As(err, &r) {
		return r.status, r.text, true
	}
	for i := range statuses {
		if errors.Is(err, statuses[i].err) {
			return statuses[i].status, textOf(err), true
		}
	}
	return http.StatusInternalServerError, err.Error(), errors.Is(err, errPanicked)
}

// textOf is an error's text. Where there is no leader it has the words that clients
// match on.
func textOf(err error) string {
	text := err.Error()
	if errors.Is(err, registry.ErrNoLeader) {
		return strings.Replace(text, "no leader", "No cluster leader", 1)
	}
	return text
}

// fail answers with err, unless the answer has begun.
func (s *surface) fail(q *request, err error) {
	status, text, known := statusOf(err)
	if !known {
		s.log.Error("a request failed", "method", q.r.Method, "path", q.r.URL.Path, "error", err)
	}
	if committed(q.w) {
		return
	}
	h := q.header()
	if code := api.Code(err); code != "" {
		h[api.HeaderError] = []string{code}
	}
	writeText(q.w, status, text)
}
