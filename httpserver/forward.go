package httpserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"herald/httpserver/api"
	"herald/registry"
)

// dialTimeout bounds how long one server may take to accept a connection before
// the next is tried.
const dialTimeout = 2 * time.Second

// answerTimeout bounds how long a server may take until its answer begins, beyond
// what the request asks it to wait and the time that the client takes to send its
// body. For a read it is above catalogTimeout, the longest that a server waits for
// its catalog, so that a server that has something to say is heard. A write can
// wait for that, for the log, and for the catalog again; it has only one chance,
// so it is given longer.
const (
	answerTimeout      = catalogTimeout + 2*time.Second
	writeAnswerTimeout = 4 * answerTimeout
	// restoreAnswerTimeout is for a snapshot, which is looked through, handed on to the
	// leader and loaded by every server.
	restoreAnswerTimeout = 10 * time.Minute
)

// forwarder passes requests on to the servers: to the one that answered last, and
// when it cannot be reached to the next.
type forwarder struct {
	node      string
	patience  time.Duration // answerTimeout, and for writes four times that
	servers   []*url.URL
	preferred atomic.Uint32 // index of the server that was reached last
	transport *http.Transport
	proxy     *httputil.ReverseProxy
}

func newForwarder(node string, servers []string, log *slog.Logger) (*forwarder, error) {
	f := &forwarder{node: node, patience: answerTimeout}
	for _, s := range servers {
		u, err := url.Parse(s)
		if err != nil || u.Scheme == "" || u.Host == "" {
			return nil, fmt.Errorf("server %q: want a URL such as http://10.0.0.1:8500", s)
		}
		f.servers = append(f.servers, u)
	}
	dialer := net.Dialer{Timeout: dialTimeout}
	f.transport = &http.Transport{
		DialContext:         dialer.DialContext,
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true, // the client's business, and its encoding is passed on
	}
	f.proxy = &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetXForwarded()
			p.Out.Header.Set(api.HeaderForwarded, node)
		},
		Transport:     f,
		FlushInterval: -1, // streams pass through as they come
		ErrorLog:      slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ErrorHandler: func(_ http.ResponseWriter, r *http.Request, err error) {
			*r.Context().Value(outcomeKey{}).(*error) = err
		},
	}
	return f, nil
}

// outcomeKey finds, in a forwarded request's context, where its failure goes.
type outcomeKey struct{}

// serve passes a request on.
func (f *forwarder) serve(s *surface, q *request) error {
	if by := q.r.Header.Get(api.HeaderForwarded); by != "" {
		return refusef(http.StatusLoopDetected, "This is an agent, and the agent %q passes requests on to it: its list of servers must name servers only.", by)
	}
	ctx, cancel := context.WithCancel(q.r.Context())
	defer cancel()
	w := q.w
	if q.r.URL.Path == watchPath || strings.Contains(q.r.URL.RawQuery, "index=") {
		leave, err := s.block(q)
		if err != nil {
			return err
		}
		defer leave()
		// What may be blocked at the server must not hold up this process's end.
		defer context.AfterFunc(s.draining, cancel)()
	}
	if q.r.URL.Path == watchPath {
		// The server is patient with this process, and cannot be with the client.
		impatient := &impatientWriter{w, http.NewResponseController(w), s.pace.patience}
		defer impatient.done()
		w = impatient
	}
	var failed error
	ctx = context.WithValue(ctx, outcomeKey{}, &failed)
	f.proxy.ServeHTTP(w, q.r.WithContext(ctx))
	switch {
	case failed == nil:
		return nil
	case s.draining.Err() != nil:
		return refuse(http.StatusServiceUnavailable, "This agent is stopping; ask again.")
	default:
		return f.refusal(failed)
	}
}

// refusal says what came of passing a request on.
func (f *forwarder) refusal(err error) error {
	var un *unreachable
	var silent *silent
	switch {
	case errors.As(err, &un) && un.silent:
		return because(registry.ErrTimeout, http.StatusGatewayTimeout, "%v", un)
	case errors.As(err, &un):
		return because(registry.ErrUnavailable, http.StatusBadGateway, "%v", un)
	case errors.As(err, &silent):
		return because(registry.ErrTimeout, http.StatusGatewayTimeout, "The server %v; a write may have taken effect.", silent)
	case errors.Is(err, context.Canceled):
		return err
	}
	return refusef(http.StatusBadGateway, "The server ended the connection before it answered; a write may have taken effect: %v", err)
}

// unreachable says that no server answers, and why.
type unreachable struct {
	tried  []string
	silent bool // some of them took the request
}

func (e *unreachable) Error() string {
	return "No server can be reached; tried " + strings.Join(e.tried, "; ")
}

// silent says that a server took a request and has not begun to answer.
type silent struct {
	server  *url.URL
	allowed time.Duration
}

func (e *silent) Error() string {
	return fmt.Sprintf("%s has not answered within %v", e.server, e.allowed)
}

// RoundTrip sends a request to the first server that can be connected to. Once a
// connection is there, the request has only that one chance, since it may have taken
// effect; a read takes none, and goes to the next if the server is silent.
func (f *forwarder) RoundTrip(r *http.Request) (*http.Response, error) {
	un := &unreachable{}
	allowed := f.patience + waitOf(r)
	switch {
	case r.Method == http.MethodPut && r.URL.Path == snapshotPath:
		allowed = f.patience * (restoreAnswerTimeout / answerTimeout)
	case r.Method != http.MethodGet:
		allowed = f.patience * (writeAnswerTimeout / answerTimeout)
	}
	first := f.preferred.Load()
	for i := range f.servers {
		at := (int(first) + i) % len(f.servers)
		server := f.servers[at]
		res, err := f.attempt(r, server, allowed)
		if err == nil {
			f.preferred.Store(uint32(at))
			return res, nil
		}
		var op *net.OpError
		var silent *silent
		switch {
		case errors.As(err, &silent):
			// Whatever comes next is to try another first.
			f.preferred.CompareAndSwap(uint32(at), uint32((at+1)%len(f.servers)))
			if r.Method != http.MethodGet || r.Body != nil {
				return nil, err
			}
			un.silent = true
			un.tried = append(un.tried, err.Error())
		case errors.As(err, &op) && op.Op == "dial":
			un.tried = append(un.tried, fmt.Sprintf("%s (%v)", server, op.Err))
		default:
			return nil, err
		}
	}
	return nil, un
}

// attempt sends a request to one server, which has to begin its answer in the time
// allowed. A server that has frozen is no different from one that thinks: its
// kernel accepts the connection and the request.
func (f *forwarder) attempt(r *http.Request, server *url.URL, allowed time.Duration) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	late := &silent{server, allowed}
	t := newTurn(allowed, func() { cancel(late) })
	out := r.Clone(ctx)
	out.URL.Scheme, out.URL.Host, out.Host = server.Scheme, server.Host, ""
	if r.Body != nil {
		// The transport closes what it is given, also when it cannot connect. The
		// proxy closes the body itself.
		out.Body = io.NopCloser(turnReader{r.Body, t})
	}
	res, err := f.transport.RoundTrip(out)
	t.end()
	if context.Cause(ctx) == late {
		if err == nil {
			_ = res.Body.Close() // it came too late to be read
		}
		return nil, late
	}
	if err != nil {
		cancel(nil)
	}
	// The answer's body is read under ctx, which ends with the request.
	return res, err
}

// waitOf is how long a request asks the server to wait for a change, at most.
func waitOf(r *http.Request) time.Duration {
	var p params
	if r.Method != http.MethodGet || p.parse(r.URL.RawQuery) != nil {
		return 0
	}
	o, err := parseReadOptions(&p)
	if err != nil || o.index == 0 {
		return 0
	}
	return o.wait + o.wait/waitJitter
}

func (f *forwarder) close() { f.transport.CloseIdleConnections() }
