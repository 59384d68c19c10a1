package grpcserver

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"herald/registry/plugin"
	"herald/registry/storetest"
)

// harness is a door on a real listener, over a store in memory, and a client's connection.
type harness struct {
	t       testing.TB
	door    *Door
	store   *storetest.Memory
	address string
	conn    *grpc.ClientConn
	http    *http.Client
	// stop ends the door and returns what Run returned.
	stop func() error
}

// open starts a door. adjust may change its settings and its host first.
func open(t testing.TB, adjust ...func(*Config, *plugin.Host)) *harness {
	t.Helper()
	return openOver(t, storetest.NewMemory(t), adjust...)
}

// openOver starts a door over a store.
func openOver(t testing.TB, store *storetest.Memory, adjust ...func(*Config, *plugin.Host)) *harness {
	t.Helper()
	h := &harness{t: t, door: New(), store: store, http: &http.Client{Transport: &http.Transport{}}}
	host := &plugin.Host{
		Node: "n1", Datacenter: "dc1", Version: "1.2.3", Server: true,
		Store: store, Cluster: store, Log: slog.New(slog.DiscardHandler), DrainTimeout: 5 * time.Second,
	}
	cfg := h.door.Config().(*Config)
	cfg.Address = "127.0.0.1:0"
	for _, f := range adjust {
		f(cfg, host)
	}
	if err := h.door.Validate(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if err := h.door.Open(ctx, host); err != nil {
		cancel()
		t.Fatal(err)
	}
	h.address = h.door.Addresses()[0].Address
	ran := make(chan error, 1)
	go func() { ran <- h.door.Run(ctx) }()
	h.stop = sync.OnceValue(func() error {
		cancel()
		return <-ran
	})
	conn, err := grpc.NewClient(h.address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(256<<20)))
	if err != nil {
		t.Fatal(err)
	}
	h.conn = conn
	t.Cleanup(func() {
		h.conn.Close()
		h.http.CloseIdleConnections()
		if err := h.stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return h
}

// post asks the JSON gateway.
func (h *harness) post(path, body string) (code int, answer string) {
	h.t.Helper()
	res, err := h.http.Post("http://"+h.address+path, "application/json", strings.NewReader(body))
	if err != nil {
		h.t.Fatalf("POST %s: %v", path, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatalf("POST %s: %v", path, err)
	}
	return res.StatusCode, string(b)
}

// wantStatus fails the test unless err is that status; text "" is any text.
func wantStatus(t testing.TB, what string, err error, code codes.Code, text string) {
	t.Helper()
	s, _ := status.FromError(err)
	if s.Code() != code || text != "" && s.Message() != text {
		t.Errorf("%s: %v %q, want %v %q", what, s.Code(), s.Message(), code, text)
	}
}
