package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"herald/httpserver/api"
	"herald/registry"
)

// DefaultTimeout is how long one attempt of a call may take unless configured.
const DefaultTimeout = 10 * time.Second

// Config is where the servers are and how to talk to them.
type Config struct {
	// Addresses are the servers, as "host:port" or URLs; at least one.
	Addresses []string
	// HTTP sends the requests. nil makes a client of its own. Its Timeout must be
	// 0 or long enough for blocking reads.
	HTTP *http.Client
	// Token is sent with every request; "" sends none.
	Token string
	// Timeout bounds each attempt, beyond what a blocking read waits; 0 takes
	// DefaultTimeout.
	Timeout time.Duration
	// Datacenter is the one that the program is in. It goes with what it advertises,
	// so that servers of another refuse that; "" is not checked.
	Datacenter string
	// OnRetry, if it is not nil, is told why Watch and WatchKey read again after a
	// pause, each time, and nil once a read has succeeded again. It is called by the
	// goroutine that ranges over them.
	OnRetry func(err error)
}

// Client calls the HTTP API. It is safe for concurrent use.
type Client struct {
	servers []*url.URL
	http    *http.Client
	token   string
	timeout time.Duration
	// datacenter and onRetry are as configured.
	datacenter string
	onRetry    func(error)
	// preferred is the index of the server that answered last.
	preferred atomic.Uint32
}

// New returns a client. It opens nothing.
func New(cfg Config) (*Client, error) {
	if len(cfg.Addresses) == 0 {
		return nil, errors.New("client: no addresses: give at least one, such as 127.0.0.1:8500")
	}
	c := &Client{http: cfg.HTTP, token: cfg.Token, timeout: cfg.Timeout, datacenter: cfg.Datacenter, onRetry: cfg.OnRetry}
	for _, a := range cfg.Addresses {
		u, err := parseAddress(a)
		if err != nil {
			return nil, err
		}
		c.servers = append(c.servers, u)
	}
	if c.timeout <= 0 {
		c.timeout = DefaultTimeout
	}
	if c.http == nil {
		dialer := net.Dialer{Timeout: 2 * time.Second}
		c.http = &http.Client{Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         dialer.DialContext,
			TLSHandshakeTimeout: 5 * time.Second,
			MaxIdleConnsPerHost: 16,
			IdleConnTimeout:     90 * time.Second,
		}}
	}
	return c, nil
}

func parseAddress(a string) (*url.URL, error) {
	text := a
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("client: address %q: want host:port or a URL such as http://10.0.0.1:8500", a)
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	return u, nil
}

// Addresses returns the servers' base URLs, in the order given.
func (c *Client) Addresses() []string {
	all := make([]string, len(c.servers))
	for i, u := range c.servers {
		all[i] = u.String()
	}
	return all
}

// Close closes connections that are not in use. The client can be used after it.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// call is one request of the API.
type call struct {
	method string
	path   string // unescaped, below the server's address
	query  url.Values
	body   []byte
	// wait is how long a blocking read may take by itself.
	wait time.Duration
	// limit bounds an attempt in place of the client's timeout; 0 does not.
	limit time.Duration
	// repeatable says that carrying it out twice comes to the same.
	repeatable bool
	// local goes to the first address alone.
	local bool
}

func get(path string, query url.Values) call {
	return call{method: http.MethodGet, path: path, query: query, repeatable: true}
}

func put(path string, query url.Values, body []byte) call {
	return call{method: http.MethodPut, path: path, query: query, body: body}
}

// again marks a call as one that may be repeated.
func (r call) again() call {
	r.repeatable = true
	return r
}

// reply is an answer whose status is 2xx, or another that the caller asked to see.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// do sends a call. It returns an *Error for an answer that is none, except those of
// the statuses in accept.
func (c *Client) do(ctx context.Context, r call, accept ...int) (*reply, error) {
	servers := len(c.servers)
	first := int(c.preferred.Load())
	if r.local {
		servers, first = 1, 0
	}
	var tried []error
	for i := range servers {
		at := (first + i) % len(c.servers)
		rep, err := c.attempt(ctx, c.servers[at], r, accept)
		if err == nil {
			if !r.local {
				c.preferred.Store(uint32(at))
			}
			return rep, nil
		}
		var answered *Error
		if !r.local && !errors.As(err, &answered) && !errors.Is(err, context.Canceled) {
			// It may have frozen. Whatever comes next is to try another first, also if
			// this call has no time left to.
			c.preferred.CompareAndSwap(uint32(at), uint32((at+1)%len(c.servers)))
		}
		if !r.mayRepeat(err) || ctx.Err() != nil {
			return nil, err
		}
		tried = append(tried, err)
	}
	if len(tried) == 1 {
		return nil, tried[0]
	}
	return nil, errors.Join(tried...)
}

// mayRepeat reports whether another server may be asked after err.
func (r *call) mayRepeat(err error) bool {
	if errors.Is(err, registry.ErrNoLeader) {
		return true // of those, both errors say that nothing was done
	}
	var answered *Error
	if errors.As(err, &answered) {
		return errors.Is(err, registry.ErrUnavailable) || errors.Is(err, registry.ErrStopped) || r.repeatable && answered.passes()
	}
	return r.repeatable || notSent(err)
}

// notSent reports whether a request failed before any of it left.
func notSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// attempt sends a call to one server.
func (c *Client) attempt(ctx context.Context, server *url.URL, r call, accept []int) (*reply, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.patience(r), errSlow)
	defer cancel()
	req, err := c.request(ctx, server, r, bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.unanswered(ctx, server, r, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, c.unanswered(ctx, server, r, err)
	}
	rep := &reply{status: res.StatusCode, header: res.Header, body: body}
	if res.StatusCode/100 == 2 {
		return rep, nil
	}
	for _, s := range accept {
		if s == res.StatusCode {
			return rep, nil
		}
	}
	return nil, newError(r, rep)
}

// patience is how long an attempt may take.
func (c *Client) patience(r call) time.Duration {
	if r.limit > 0 {
		return min(r.limit, c.timeout) + r.wait
	}
	return c.timeout + r.wait
}

// request makes the request that sends a call to a server.
func (c *Client) request(ctx context.Context, server *url.URL, r call, body io.Reader) (*http.Request, error) {
	u := *server
	u.Path += r.path
	u.RawPath = escapePath(u.Path)
	u.RawQuery = r.query.Encode()
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), body)
	if err != nil {
		return nil, err
	}
	if c.token != "" {
		req.Header.Set(api.HeaderToken, c.token)
	}
	setCaller(req)
	return req, nil
}

// errSlow is the cause of an attempt's own end.
var errSlow = errors.New("no answer in time")

// setCaller says who makes a call and why, if its context does (registry.WithCaller).
func setCaller(req *http.Request) {
	caller := registry.CallerFrom(req.Context())
	if caller == (registry.Caller{}) {
		return
	}
	if caller.Identity != "" {
		req.Header.Set(api.HeaderIdentity, api.FormatIdentity(caller.Identity))
	}
	if reason, ok := api.FormatReason(caller.Reason); ok {
		req.Header.Set(api.HeaderReason, reason)
	}
}

// unanswered describes a request without an answer. A write that was sent may have
// taken effect, which is what ErrTimeout says.
func (c *Client) unanswered(ctx context.Context, server *url.URL, r call, err error) error {
	var of *url.Error
	if errors.As(err, &of) {
		err = of.Err // it names the request, which is named below
	}
	late := context.Cause(ctx) == errSlow
	switch {
	case !late && ctx.Err() != nil:
		return ctx.Err()
	case notSent(err):
	case late:
		err = fmt.Errorf("%w (no answer in %v)", registry.ErrTimeout, c.patience(r))
	case r.method != http.MethodGet:
		err = fmt.Errorf("%w (%w)", registry.ErrTimeout, err)
	}
	return fmt.Errorf("%s %s at %s: %w", r.method, r.path, server, err)
}

// escapePath escapes a path so that it arrives as it is: a key may hold doubled
// slashes and dots, which servers and proxies would otherwise fold.
func escapePath(p string) string {
	parts := strings.Split(p, "/")
	for i, part := range parts {
		switch {
		case part == "." || part == "..":
			parts[i] = strings.ReplaceAll(part, ".", "%2E")
		default:
			parts[i] = url.PathEscape(part)
		}
	}
	var b strings.Builder
	for i, part := range parts {
		if i > 0 {
			if parts[i-1] == "" && i > 1 {
				b.WriteString("%2F") // the second of two slashes
			} else {
				b.WriteByte('/')
			}
		}
		b.WriteString(part)
	}
	return b.String()
}

// decode reads a reply's JSON.
func decode(rep *reply, v any) error {
	if err := json.Unmarshal(rep.body, v); err != nil {
		return fmt.Errorf("client: the server's answer cannot be read: %w", err)
	}
	return nil
}

// fetch sends a call and decodes its answer.
func (c *Client) fetch(ctx context.Context, r call, v any) (*reply, error) {
	rep, err := c.do(ctx, r)
	if err != nil {
		return nil, err
	}
	return rep, decode(rep, v)
}
