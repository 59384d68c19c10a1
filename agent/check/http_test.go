package check

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"herald/registry"
)

func TestHTTPStatus(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var code int
		fmt.Sscanf(r.URL.Path, "/%d", &code)
		if code >= 300 && code < 400 && r.URL.Query().Get("to") != "" {
			http.Redirect(w, r, r.URL.Query().Get("to"), code)
			return
		}
		w.WriteHeader(code)
		if code != http.StatusNoContent {
			io.WriteString(w, "hello")
		}
	}))
	defer srv.Close()
	tests := []struct {
		path   string
		spec   map[string]any
		want   registry.HealthStatus
		output string
	}{
		{"/200", nil, registry.Passing, "200 OK Output: hello"},
		{"/204", nil, registry.Passing, "204 No Content Output: "},
		{"/299", nil, registry.Passing, "299"},
		{"/302?to=/200", nil, registry.Passing, "200 OK Output: hello"},
		{"/302?to=/500", nil, registry.Critical, "500 Internal Server Error"},
		{"/302?to=/200", map[string]any{"disable_redirects": true}, registry.Critical, "302 Found"},
		{"/307?to=/307?to=/307", nil, registry.Critical, "307 Temporary Redirect"}, // with nowhere to go in the end
		{"/404", nil, registry.Critical, "404 Not Found Output: hello"},
		{"/429", nil, registry.Warning, "429 Too Many Requests Output: hello"},
		{"/503", nil, registry.Critical, "503 Service Unavailable Output: hello"},
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			spec := map[string]any{"url": srv.URL + tt.path}
			for k, v := range tt.spec {
				spec[k] = v
			}
			status, output := run(t, define(HTTP, spec), 5*time.Second)
			if status != tt.want || !strings.Contains(output, tt.output) || !strings.HasPrefix(output, "HTTP GET "+srv.URL+tt.path+": ") {
				t.Errorf("%s %q, want %s and %q", status, output, tt.want, tt.output)
			}
		})
	}
}

func TestHTTPRequest(t *testing.T) {
	got := make(chan string, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- fmt.Sprintf("%s host=%s ua=%s x=%v body=%s close=%v", r.Method, r.Host, r.UserAgent(), r.Header["X-A"], body, r.Close)
	}))
	defer srv.Close()
	run(t, define(HTTP, map[string]any{"url": srv.URL, "method": "post", "body": "ping",
		"header": map[string]any{"x-a": []any{"1", "2"}, "host": "web.example"}}), 5*time.Second)
	if g, want := <-got, "POST host=web.example ua=Herald-Health-Check x=[1 2] body=ping close=true"; g != want {
		t.Errorf("request was %q, want %q", g, want)
	}
	run(t, define(HTTP, map[string]any{"url": srv.URL, "header": map[string]any{"User-Agent": "mine"}}), 5*time.Second)
	if g := <-got; !strings.Contains(g, "ua=mine") || !strings.HasPrefix(g, "GET ") {
		t.Errorf("request was %q, want a GET with the user agent it was given", g)
	}
}

func TestHTTPOutputIsCut(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, strings.Repeat("x", 100_000))
	}))
	defer srv.Close()
	d := define(HTTP, map[string]any{"url": srv.URL})
	if _, output := run(t, d, 5*time.Second); len(output) != DefaultOutputMaxSize {
		t.Errorf("output has %d bytes, want %d", len(output), DefaultOutputMaxSize)
	}
	d.OutputMaxSize = 60
	if _, output := run(t, d, 5*time.Second); len(output) != 60 {
		t.Errorf("output has %d bytes, want 60", len(output))
	}
}

// TestHTTPUnansweredIsCritical has a server that takes the request and says nothing.
func TestHTTPUnansweredIsCritical(t *testing.T) {
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer srv.Close()
	defer close(release)
	status, output := run(t, define(HTTP, map[string]any{"url": srv.URL}), 50*time.Millisecond)
	if status != registry.Critical || !strings.Contains(output, "deadline exceeded") {
		t.Errorf("%s %q, want critical and that time was up", status, output)
	}
}

// TestHTTPStreamIsPassing has an answer whose body never ends.
func TestHTTPStreamIsPassing(t *testing.T) {
	release := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "event")
		w.(http.Flusher).Flush()
		<-release
	}))
	defer srv.Close()
	defer close(release)
	status, output := run(t, define(HTTP, map[string]any{"url": srv.URL}), time.Second)
	if status != registry.Passing || !strings.Contains(output, "event (the body broke off") {
		t.Errorf("%s %q, want passing with what came", status, output)
	}
}

func TestHTTPOverTLS(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // it is to be refused, and says so
	srv.StartTLS()
	defer srv.Close()
	status, output := run(t, define(HTTP, map[string]any{"url": srv.URL}), 5*time.Second)
	if status != registry.Critical || !strings.Contains(output, "certificate") {
		t.Errorf("unknown authority: %s %q, want critical because of the certificate", status, output)
	}
	if status, output = run(t, define(HTTP, map[string]any{"url": srv.URL, "tls_skip_verify": true}), 5*time.Second); status != registry.Passing {
		t.Errorf("without verification: %s %q, want passing", status, output)
	}
}

// TestHTTPNoticesAClosedListener checks that a run does not live off the
// connection of an earlier one.
func TestHTTPNoticesAClosedListener(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer srv.Close()
	c := newChecker(t, define(HTTP, map[string]any{"url": srv.URL}))
	if status, output := c.Check(t.Context()); status != registry.Passing {
		t.Fatalf("%s %q, want passing", status, output)
	}
	srv.Listener.Close()
	if status, output := c.Check(t.Context()); status != registry.Critical {
		t.Errorf("%s %q after the listener closed, want critical", status, output)
	}
}
