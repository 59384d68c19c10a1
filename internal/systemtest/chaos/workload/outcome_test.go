package workload

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"herald/httpserver/api"
	"herald/internal/systemtest/chaos/history"
	"herald/registry"
)

func TestOutcomes(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want history.Outcome
	}{
		{nil, history.OK},
		{fmt.Errorf("x: %w", registry.ErrNoLeader), history.Failed},
		{fmt.Errorf("x: %w", registry.ErrUnavailable), history.Failed},
		{&registry.CompactedError{}, history.Failed},
		{fmt.Errorf("x: %w", errNotSent), history.Failed},
		{fmt.Errorf("x: %w", registry.ErrTimeout), history.Unknown},
		{fmt.Errorf("%w, then %w", registry.ErrTimeout, registry.ErrNoLeader), history.Unknown},
		{registry.ErrStopped, history.Unknown},
		{context.DeadlineExceeded, history.Unknown},
		{errors.New("connection reset"), history.Unknown},
	} {
		if got := outcomeOf(tc.err); got != tc.want {
			t.Errorf("%v: %s, want %s", tc.err, got, tc.want)
		}
	}
}

// TestWhatHTTPLeavesUnknown answers in every way there is, and not at all.
func TestWhatHTTPLeavesUnknown(t *testing.T) {
	hang := make(chan struct{})
	handler := http.NewServeMux()
	for path, answer := range map[string]http.HandlerFunc{
		"/ok":     func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("true")) },
		"/absent": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) },
		"/no-leader": func(w http.ResponseWriter, _ *http.Request) {
			refuseWith(w, http.StatusInternalServerError, "no-leader")
		},
		"/timeout": func(w http.ResponseWriter, _ *http.Request) { refuseWith(w, http.StatusGatewayTimeout, "timeout") },
		"/strange": func(w http.ResponseWriter, _ *http.Request) { refuseWith(w, http.StatusInternalServerError, "strange") },
		"/plain":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"/broken":  func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"/hangs":   func(http.ResponseWriter, *http.Request) { <-hang },
	} {
		handler.HandleFunc(path, answer)
	}
	web := httptest.NewServer(handler)
	defer web.Close()
	defer close(hang)
	s := newServer(Endpoint{HTTP: web.URL})
	defer s.close()
	for path, want := range map[string]history.Outcome{
		"/ok": history.OK, "/absent": history.OK, "/no-leader": history.Failed, "/timeout": history.Unknown,
		"/strange": history.Unknown, "/plain": history.Unknown, "/broken": history.Unknown, "/hangs": history.Unknown,
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		_, err := s.send(ctx, http.MethodPut, path, "x")
		cancel()
		if got := outcomeOf(err); got != want {
			t.Errorf("%s: %s (%v), want %s", path, got, err, want)
		}
	}
	nobody := newServer(Endpoint{HTTP: "http://nobody.invalid", Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("connection refused")
	}})
	if _, err := nobody.send(t.Context(), http.MethodPut, "/ok", "x"); outcomeOf(err) != history.Failed {
		t.Errorf("a request that was never sent is %s: %v", outcomeOf(err), err)
	}
}

func refuseWith(w http.ResponseWriter, status int, code string) {
	w.Header().Set(api.HeaderError, code)
	w.WriteHeader(status)
}

func TestConfigIsValidated(t *testing.T) {
	ok := DefaultConfig()
	if err := ok.Validate(); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(*Config){
		"no workload":         func(c *Config) { c.Kinds = nil },
		"an unknown workload": func(c *Config) { c.Kinds = []Kind{"kv", "x"} },
		"no clients":          func(c *Config) { c.Clients = 0 },
		"no patience":         func(c *Config) { c.Patience = 0 },
		"leases too short":    func(c *Config) { c.TTL = 10 * time.Millisecond },
		"no domain":           func(c *Config) { c.Domain = "" },
		"impossible drift":    func(c *Config) { c.Drift = 1 },
		"nothing to watch":    func(c *Config) { c.Kinds = []Kind{Watches} },
	} {
		c := DefaultConfig()
		if spoil(&c); c.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
		if _, err := Start(t.Context(), c, []Endpoint{{Name: "n1"}}, nil); err == nil {
			t.Errorf("%s: started", name)
		}
	}
}
