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
)

// dialTimeout bounds how long one server may take to accept a connection before
// the next is tried.
const dialTimeout = 2 * time.Second

// forwarder passes requests on to the servers: to the one that answered last, and
// when it cannot be reached to the next.
type forwarder struct {
	node      string
	servers   []*url.URL
	preferred atomic.Uint32 // index of the server that was reached last
	transport *http.Transport
	proxy     *httputil.ReverseProxy
}

func newForwarder(node string, servers []string, log *slog.Logger) (*forwarder, error) {
	f := &forwarder{node: node}
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
	if strings.Contains(q.r.URL.RawQuery, "index=") {
		// What may be blocked at the server must not hold up this process's end.
		defer context.AfterFunc(s.draining, cancel)()
		q.blocked = true
	}
	var failed error
	ctx = context.WithValue(ctx, outcomeKey{}, &failed)
	f.proxy.ServeHTTP(q.w, q.r.WithContext(ctx))
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
	if errors.As(err, &un) {
		return refuse(http.StatusBadGateway, un.Error())
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	return refusef(http.StatusBadGateway, "The server ended the connection before it answered; a write may have taken effect: %v", err)
}

// unreachable says that no server could be connected to, and why.
type unreachable struct{ tried []string }

func (e *unreachable) Error() string {
	return "No server can be reached; tried " + strings.Join(e.tried, "; ")
}

// RoundTrip sends a request to the first server that can be connected to. Once a
// connection is there, the request has only that one chance: it may have taken effect.
func (f *forwarder) RoundTrip(r *http.Request) (*http.Response, error) {
	un := &unreachable{}
	first := f.preferred.Load()
	for i := range f.servers {
		at := (int(first) + i) % len(f.servers)
		server := f.servers[at]
		out := r.Clone(r.Context())
		out.URL.Scheme, out.URL.Host, out.Host = server.Scheme, server.Host, ""
		if r.Body != nil {
			// The transport closes what it is given, also when it cannot connect. The
			// proxy closes the body itself.
			out.Body = io.NopCloser(r.Body)
		}
		res, err := f.transport.RoundTrip(out)
		if err == nil {
			f.preferred.Store(uint32(at))
			return res, nil
		}
		var op *net.OpError
		if !errors.As(err, &op) || op.Op != "dial" {
			return nil, err
		}
		un.tried = append(un.tried, fmt.Sprintf("%s (%v)", server, op.Err))
	}
	return nil, un
}

func (f *forwarder) close() { f.transport.CloseIdleConnections() }
