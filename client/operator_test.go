package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"herald/client"
	"herald/httpserver/api"
	"herald/registry"
)

// scripted is a server that answers everything alike, and says what it was asked.
func scripted(t *testing.T, answer http.HandlerFunc) (url string, asked *atomic.Pointer[string]) {
	asked = new(atomic.Pointer[string])
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		said := r.Method + " " + r.URL.RequestURI()
		asked.Store(&said)
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL, asked
}

// refusing answers with an error of the registry.
func refusing(err error, status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(api.HeaderError, api.Code(err))
		http.Error(w, err.Error(), status)
	}
}

func TestOperatorCalls(t *testing.T) {
	for want, call := range map[string]func(context.Context, client.Operator) error{
		"PUT /v1/agent/join/10.0.0.1:7400":               func(ctx context.Context, o client.Operator) error { return o.Join(ctx, "10.0.0.1:7400") },
		"PUT /v1/agent/leave":                            func(ctx context.Context, o client.Operator) error { return o.Leave(ctx) },
		"DELETE /v1/operator/raft/peer?id=a":             func(ctx context.Context, o client.Operator) error { return o.Remove(ctx, "a") },
		"POST /v1/operator/raft/transfer-leader":         func(ctx context.Context, o client.Operator) error { return o.Transfer(ctx, "") },
		"POST /v1/operator/raft/transfer-leader?id=b%26": func(ctx context.Context, o client.Operator) error { return o.Transfer(ctx, "b&") },
	} {
		url, asked := scripted(t, func(http.ResponseWriter, *http.Request) {})
		if err := call(t.Context(), connect(t, url).Operator()); err != nil || *asked.Load() != want {
			t.Errorf("%v: asked %s, want %s", err, *asked.Load(), want)
		}
		for _, sentinel := range []error{registry.ErrMembership, registry.ErrMemberNotFound, registry.ErrTimeout, registry.ErrForeignCluster} {
			url, _ := scripted(t, refusing(sentinel, http.StatusConflict))
			if err := call(t.Context(), connect(t, url).Operator()); !errors.Is(err, sentinel) {
				t.Errorf("%s: %v, want %v", want, err, sentinel)
			}
		}
	}
}

// Join and Leave are about the first server: another must not take them instead.
func TestJoinAndLeaveAreTheFirstServers(t *testing.T) {
	other, asked := scripted(t, func(http.ResponseWriter, *http.Request) {})
	o := connect(t, unused(t), other).Operator()
	if o.Join(t.Context(), "x:1") == nil || o.Leave(t.Context()) == nil || asked.Load() != nil {
		t.Error("another server was asked")
	}
}

func TestHealthOfAnIllCluster(t *testing.T) {
	url, _ := scripted(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, `{"Healthy":false,"FailureTolerance":1,"Servers":[{"ID":"a","LastContact":null}]}`)
	})
	h, err := connect(t, url).Operator().Health(t.Context())
	if err != nil || h.Healthy || h.FailureTolerance != 1 || len(h.Servers) != 1 {
		t.Errorf("%+v, %v", h, err)
	}
}

// What did not work at one server is tried at the next as far as that is safe.
func TestWhichAnswersAreTriedElsewhere(t *testing.T) {
	for _, tc := range []struct {
		name        string
		answer      http.HandlerFunc
		read, write bool // whether the second server is asked
	}{
		{"no leader", refusing(registry.ErrNoLeader, 500), true, true},
		{"unavailable", refusing(registry.ErrUnavailable, 500), true, true},
		{"stopped", refusing(registry.ErrStopped, 503), true, true},
		{"an agent without servers", refusing(registry.ErrUnavailable, 502), true, true},
		{"out of time", refusing(registry.ErrTimeout, 504), true, false},
		{"a proxy", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) }, true, false},
		{"too many wait there", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(429) }, true, false},
		{"the disk is full", refusing(registry.ErrDiskFull, 507), false, false},
		{"a fault", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			good := serve(t)
			bad, _ := scripted(t, tc.answer)
			if _, err := connect(t, bad, good.url).Leader(t.Context()); (err == nil) != tc.read {
				t.Errorf("a read: %v", err)
			}
			if _, err := connect(t, bad, good.url).GrantLease(t.Context(), time.Minute); (err == nil) != tc.write {
				t.Errorf("a write: %v", err)
			}
			if _, err := connect(t, bad, good.url).KV().Put(t.Context(), "k", nil, client.PutOptions{}); (err == nil) != tc.read {
				t.Errorf("a write that may be repeated: %v", err)
			}
		})
	}
}

func TestSnapshotThereAndBack(t *testing.T) {
	archive := bytes.Repeat([]byte("archive "), 1<<17)
	got := make(chan []byte, 1)
	url, asked := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = w.Write(archive)
			return
		}
		b, _ := io.ReadAll(r.Body)
		got <- b
		_, _ = fmt.Fprintf(w, `{"index":7,"bytes":%d}`, len(b))
	})
	o := connect(t, unused(t), url).Operator()
	var out bytes.Buffer
	if n, err := o.SaveSnapshot(t.Context(), &out, true); err != nil || n != int64(len(archive)) || !bytes.Equal(out.Bytes(), archive) || *asked.Load() != "GET /v1/snapshot?stale=" {
		t.Errorf("%d bytes, %v, asked %s", n, err, *asked.Load())
	}
	info, err := connect(t, unused(t), url).Operator().RestoreSnapshot(t.Context(), &out)
	if err != nil || info.Index != 7 || !bytes.Equal(<-got, archive) {
		t.Errorf("%+v, %v", info, err)
	}
}

func TestSnapshotThatFails(t *testing.T) {
	part := bytes.Repeat([]byte("x"), 100<<10)
	torn, _ := scripted(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(part)
		panic(http.ErrAbortHandler)
	})
	leaderless, _ := scripted(t, refusing(registry.ErrNoLeader, 500))
	good, asked := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "{}")
	})
	var out bytes.Buffer
	if _, err := connect(t, torn, good).Operator().SaveSnapshot(t.Context(), &out, false); err == nil || !strings.Contains(err.Error(), "not the whole") || asked.Load() != nil {
		t.Errorf("one that breaks off: %v", err)
	}
	out.Reset()
	if _, err := connect(t, leaderless, good).Operator().SaveSnapshot(t.Context(), &out, false); err != nil || out.String() != "{}" {
		t.Errorf("another server: %v, %q", err, out.String())
	}
	full := errors.New("the disk is full")
	if _, err := connect(t, good).Operator().SaveSnapshot(t.Context(), failing{full}, false); !errors.Is(err, full) {
		t.Errorf("who takes it fails: %v", err)
	}
	asked.Store(nil)
	// The body is used up: what another server got would be a part of it.
	used, _ := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		refusing(registry.ErrNoLeader, 500)(w, r)
	})
	if _, err := connect(t, used, good).Operator().RestoreSnapshot(t.Context(), bytes.NewReader(part)); !errors.Is(err, registry.ErrNoLeader) || asked.Load() != nil {
		t.Errorf("a restore that was begun: %v", err)
	}
	corrupt, _ := scripted(t, refusing(registry.ErrCorrupt, 400))
	if _, err := connect(t, corrupt).Operator().RestoreSnapshot(t.Context(), bytes.NewReader(part)); !errors.Is(err, registry.ErrCorrupt) {
		t.Errorf("a corrupt archive: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// A transfer may take long, and may not stand still.
func TestSnapshotThatStandsStill(t *testing.T) {
	t.Parallel()
	const timeout = 500 * time.Millisecond
	operator := func(url string) client.Operator {
		c, err := client.New(client.Config{Addresses: []string{url}, Timeout: timeout})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c.Operator()
	}
	release := make(chan struct{})
	var chunks atomic.Int64
	slow, _ := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		tick := time.NewTicker(timeout / 10)
		defer tick.Stop()
		for range chunks.Load() {
			<-tick.C
			_, _ = w.Write([]byte("x"))
			w.(http.Flusher).Flush()
		}
		if chunks.Load() < 10 {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}
	})
	t.Cleanup(func() { close(release) })
	chunks.Store(20)
	if n, err := operator(slow).SaveSnapshot(t.Context(), io.Discard, false); n != 20 || err != nil {
		t.Errorf("slowly, to its end: %d, %v", n, err)
	}
	for _, n := range []int64{0, 2} {
		chunks.Store(n)
		if _, err := operator(slow).SaveSnapshot(t.Context(), io.Discard, false); !errors.Is(err, registry.ErrTimeout) {
			t.Errorf("standing still after %d: %v", n, err)
		}
	}
	// A server may take its time for what it was sent.
	thinks, _ := scripted(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		done := time.NewTimer(2 * timeout)
		<-done.C
		_, _ = io.WriteString(w, "{}")
	})
	if _, err := operator(thinks).RestoreSnapshot(t.Context(), strings.NewReader("archive")); err != nil {
		t.Errorf("a restore that takes long: %v", err)
	}
}
