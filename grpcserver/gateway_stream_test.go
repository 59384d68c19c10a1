package grpcserver

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"herald/registry"
	"herald/registry/plugin"
)

// keepingAlive is a keepalive over HTTP whose request stays open.
type keepingAlive struct {
	t     *testing.T
	send  *io.PipeWriter
	lines *bufio.Scanner
}

func (h *harness) keepAlive() *keepingAlive {
	h.t.Helper()
	t := h.t.(*testing.T)
	body, send := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+h.address+"/v3/lease/keepalive", body)
	if err != nil {
		t.Fatal(err)
	}
	go io.WriteString(send, `{"ID":7}`)
	res, err := h.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { send.Close(); res.Body.Close() })
	return &keepingAlive{t, send, bufio.NewScanner(res.Body)}
}

// line is the next line of the answer.
func (k *keepingAlive) line() string {
	k.t.Helper()
	if !k.lines.Scan() {
		k.t.Fatalf("no line: %v", k.lines.Err())
	}
	return k.lines.Text()
}

func TestStreamsOverHTTPTalk(t *testing.T) {
	h := open(t)
	if _, err := h.store.GrantLease(t.Context(), 7, time.Minute); err != nil {
		t.Fatal(err)
	}
	k := h.keepAlive()
	for i := range 3 {
		if got := compact(t, k.line()); !strings.Contains(got, `"ID":"7"`) || !strings.HasPrefix(got, `{"result":{`) {
			t.Errorf("answer %d: %s", i, got)
		}
		if _, err := fmt.Fprint(k.send, `{"ID":"7"} `); err != nil {
			t.Fatal(err)
		}
	}
	k.line()
	if _, err := fmt.Fprint(k.send, `{"ID":`+strings.Repeat(" ", 100)+`"x"}`); err != nil {
		t.Fatal(err)
	}
	k.send.Close()
	if k.lines.Scan() {
		t.Errorf("after what cannot be understood: %s", k.lines.Text())
	}
}

// A door that stops does not wait for streams, over HTTP or gRPC, and tells them.
func TestStopEndsStreams(t *testing.T) {
	h := open(t)
	if _, err := h.store.GrantLease(t.Context(), 7, time.Minute); err != nil {
		t.Fatal(err)
	}
	k := h.keepAlive()
	k.line()
	if err := h.stop(); err != nil {
		t.Error(err)
	}
	if got := k.line(); !strings.Contains(got, "etcdserver: server stopped") {
		t.Errorf("at the end: %s", got)
	}
}

// What is under way when the door stops is answered.
func TestStopLetsCallsFinish(t *testing.T) {
	h := open(t)
	c := h.dial()
	body := `{"key":"YQ==","value":"MQ=="}`
	answers := bufio.NewReader(c)
	fmt.Fprintf(c, "POST /v3/kv/put HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", len(body))
	if line, err := answers.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" { // the call has begun
		t.Fatalf("%q, %v", line, err)
	}
	_, _ = answers.ReadString('\n')
	stopped := make(chan error, 1)
	go func() { stopped <- h.stop() }()
	<-h.door.core.stopping.Done()
	io.WriteString(c, body)
	res, err := http.ReadResponse(answers, nil)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 200 {
		t.Errorf("status %d", res.StatusCode)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	got, err := h.store.Range(t.Context(), registry.RangeRequest{KeyRange: registry.One("a")})
	if err != nil || len(got.KVs) != 1 {
		t.Errorf("the store has %v, %v", got.KVs, err)
	}
}

// A stream that does not end by itself, of a client that looks after the server's health, does
// not hold the door open.
func TestStopEndsHealthWatches(t *testing.T) {
	h := open(t, func(_ *Config, host *plugin.Host) { host.DrainTimeout = time.Hour })
	stream, err := healthpb.NewHealthClient(h.conn).Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := stream.Recv(); err != nil || r.Status != healthpb.HealthCheckResponse_SERVING {
		t.Fatalf("%v, %v", r, err)
	}
	if err := h.stop(); err != nil {
		t.Error(err)
	}
	_, err = stream.Recv()
	wantStatus(t, "the stream", err, codes.Unavailable, "etcdserver: server stopped")
}
