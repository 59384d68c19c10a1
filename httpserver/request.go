package httpserver

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"strings"

	"herald/httpserver/api"
	"herald/registry"
)

// request is one request under way. It is used by its own goroutine alone and
// again once that is done.
type request struct {
	w http.ResponseWriter
	r *http.Request
	// arg is what follows the route's path, unescaped.
	arg   string
	query params
	// blocked says that the request waited for a change.
	blocked bool
}

func (q *request) reset(w http.ResponseWriter, r *http.Request, path string) {
	q.w, q.r, q.blocked = w, r, false
	q.arg = ""
	if strings.HasSuffix(path, "/") {
		// Of a path like /v1/kv, without the slash, nothing is left either.
		q.arg, _ = strings.CutPrefix(r.URL.Path, path)
		if len(r.URL.Path) < len(path) {
			q.arg = ""
		}
	}
}

func (q *request) release() {
	q.w, q.r, q.arg = nil, nil, ""
	q.query.clear()
}

func (q *request) header() http.Header { return q.w.Header() }

// caller returns the request's context, with who asks and why for the store. A
// request may say both itself: it is why, unless it does.
func (q *request) caller(why registry.Reason) context.Context {
	from, _, err := net.SplitHostPort(q.r.RemoteAddr)
	if err != nil {
		from = q.r.RemoteAddr
	}
	c := registry.Caller{Identity: "http:" + from, Reason: why}
	if r, ok := api.ParseReason(q.r.Header.Get(api.HeaderReason)); ok {
		c.Reason = r
	}
	if who := api.ParseIdentity(q.r.Header.Get(api.HeaderIdentity)); who != "" {
		c.Identity = who + "@" + from // what it says, and what is known
	}
	return registry.WithCaller(q.r.Context(), c)
}

// need returns the request's argument, or refuses with what is missing.
func (q *request) need(missing string) (string, error) {
	if q.arg == "" {
		return "", refuse(http.StatusBadRequest, missing)
	}
	return q.arg, nil
}

// Values of headers that are the same for every request; nothing may append to them.
var (
	isJSON  = []string{"application/json"}
	isPlain = []string{"text/plain"}
	isText  = []string{"text/plain; charset=utf-8"}
	yes     = []string{"true"}
	no      = []string{"false"}
	zero    = []string{"0"}
	closing = []string{"close"}
	nosniff = []string{"nosniff"}
	sandbox = []string{"sandbox"}
)

// headerUint returns n as the value of a header.
func headerUint(n uint64) []string {
	if n == 0 {
		return zero
	}
	return []string{strconv.FormatUint(n, 10)}
}
