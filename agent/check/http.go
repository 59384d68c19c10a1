package check

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"herald/registry"
)

// HTTP is the kind that asks a URL.
const HTTP = "http"

// userAgent is what checked servers see in their logs, unless the definition
// sets another.
const userAgent = "Herald-Health-Check"

// NewHTTP makes a check that sends a request: a 2xx answer is passing, 429 warning,
// anything else, and no answer, critical. The start of the body is its output.
//
// Spec: url (http or https), method (GET), header, body, tls_skip_verify,
// tls_server_name, disable_redirects. Up to ten redirects are followed.
//
// Every run makes its own connection, so that a server that stopped listening is
// noticed, and asks no proxy: the check is of the path that the agent's
// neighbours have.
func NewHTTP(d registry.CheckDefinition) (registry.Checker, error) {
	s := specOf(d, HTTP)
	c := &httpCheck{
		url:    s.string("url"),
		method: strings.ToUpper(s.string("method")),
		header: s.header("header"),
		body:   s.string("body"),
	}
	config := s.tls()
	follow := !s.bool("disable_redirects")

	if c.method == "" {
		c.method = http.MethodGet
	}
	switch u, err := url.Parse(c.url); {
	case c.url == "":
		s.fail("url", "is missing")
	case err != nil:
		s.fail("url", "does not parse: "+err.Error())
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		s.fail("url", fmt.Sprintf("must be http://host… or https://host…, not %q", c.url))
	}
	if _, err := http.NewRequest(c.method, "http://host", nil); err != nil {
		s.fail("method", fmt.Sprintf("%q is not a method", c.method))
	}
	for name, values := range c.header {
		if !validHeaderName(name) {
			s.fail("header", fmt.Sprintf("%q is not a header name", name))
		}
		if slices.ContainsFunc(values, hasControl) {
			s.fail("header", fmt.Sprintf("%q has a value that a header cannot carry", name))
		}
	}
	limit, err := outputLimit(d)
	if err != nil {
		return nil, err
	}
	if err := s.done(); err != nil {
		return nil, err
	}

	c.limit = limit
	c.client.Transport = &http.Transport{DisableKeepAlives: true, TLSClientConfig: config, MaxResponseHeaderBytes: 64 << 10}
	if !follow {
		c.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	return c, nil
}

type httpCheck struct {
	url, method, body string
	header            map[string][]string
	limit             int
	client            http.Client
}

func (c *httpCheck) Check(ctx context.Context) (registry.HealthStatus, string) {
	req, err := http.NewRequestWithContext(ctx, c.method, c.url, strings.NewReader(c.body))
	if err != nil {
		return registry.Critical, err.Error()
	}
	req.Header.Set("User-Agent", userAgent)
	req.Header.Set("Accept", "text/plain, text/*, */*")
	for name, values := range c.header {
		if strings.EqualFold(name, "Host") && len(values) > 0 {
			req.Host = values[0]
			continue
		}
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return registry.Critical, Cut(err.Error(), c.limit)
	}
	defer resp.Body.Close()
	// The status line is the answer. A body that does not end, such as an event
	// stream's, is read until it fills the output or the check's time is up.
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(c.limit)))
	output := fmt.Sprintf("HTTP %s %s: %s Output: %s", c.method, c.url, resp.Status, body)
	if err != nil {
		output += fmt.Sprintf(" (the body broke off: %v)", err)
	}
	return statusOf(resp.StatusCode), Cut(output, c.limit)
}

func statusOf(code int) registry.HealthStatus {
	switch {
	case code >= 200 && code < 300:
		return registry.Passing
	case code == http.StatusTooManyRequests:
		return registry.Warning
	default:
		return registry.Critical
	}
}

// validHeaderName reports whether name is a token as RFC 9110 section 5.6.2 has it.
func validHeaderName(name string) bool {
	for _, r := range name {
		if !('0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || strings.ContainsRune("!#$%&'*+-.^_`|~", r)) {
			return false
		}
	}
	return name != ""
}

func hasControl(value string) bool {
	return strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}
