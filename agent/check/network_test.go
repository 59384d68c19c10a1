package check

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"herald/registry"
)

// secured is a server of HTTP over TLS whose certificate nobody trusts.
func secured(t *testing.T) (address string, certificate tls.Certificate) {
	t.Helper()
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), s.TLS.Certificates[0]
}

func TestTCPWithTLS(t *testing.T) {
	address, _ := secured(t)
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	for name, tc := range map[string]struct {
		spec map[string]any
		want registry.HealthStatus
		says string
	}{
		"not trusted":      {map[string]any{"address": address, "use_tls": true}, registry.Critical, "certificate"},
		"not looked at":    {map[string]any{"address": address, "use_tls": true, "tls_skip_verify": true}, registry.Passing, "Success"},
		"without":          {map[string]any{"address": address}, registry.Passing, "Success"},
		"it speaks no TLS": {map[string]any{"address": plain.Listener.Addr().String(), "use_tls": true}, registry.Critical, "TLS"},
	} {
		if status, output := run(t, define(TCP, tc.spec), 5*time.Second); status != tc.want || !strings.Contains(output, tc.says) {
			t.Errorf("%s: %s %q, want %s and %q", name, status, output, tc.want, tc.says)
		}
	}
}

func TestUDP(t *testing.T) {
	listen := func() *net.UDPConn {
		c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	silent, closed, answers := listen(), listen(), listen()
	closed.Close()
	go func() {
		b := make([]byte, 100)
		for {
			_, from, err := answers.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = answers.WriteTo([]byte("yes"), from)
		}
	}()
	for name, tc := range map[string]struct {
		at   *net.UDPConn
		want registry.HealthStatus
		says string
	}{
		"silent":  {silent, registry.Passing, "no answer"},
		"answers": {answers, registry.Passing, "answered"},
		"closed":  {closed, registry.Critical, "refused"},
	} {
		status, output := run(t, define(UDP, map[string]any{"address": tc.at.LocalAddr().String()}), 200*time.Millisecond)
		if status != tc.want || !strings.Contains(output, tc.says) {
			t.Errorf("%s: %s %q, want %s and %q", name, status, output, tc.want, tc.says)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if status, output := newChecker(t, define(UDP, map[string]any{"address": silent.LocalAddr().String()})).Check(ctx); status != registry.Critical || output == "" {
		t.Errorf("without time: %s %q", status, output)
	}
}

// grpcServer serves health, over TLS if there is a certificate.
func grpcServer(t *testing.T, options ...grpc.ServerOption) (string, *health.Server) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, h := grpc.NewServer(options...), health.NewServer()
	grpc_health_v1.RegisterHealthServer(s, h)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-done })
	return l.Addr().String(), h
}

func TestGRPC(t *testing.T) {
	_, certificate := secured(t)
	plain, h := grpcServer(t)
	secure, _ := grpcServer(t, grpc.Creds(credentials.NewServerTLSFromCert(&certificate)))
	bare := httptest.NewServer(http.NotFoundHandler())
	defer bare.Close()
	h.SetServingStatus("up", grpc_health_v1.HealthCheckResponse_SERVING)
	h.SetServingStatus("down", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	for name, tc := range map[string]struct {
		spec map[string]any
		want registry.HealthStatus
		says string
	}{
		"the server":          {map[string]any{"target": plain}, registry.Passing, plain + ": SERVING"},
		"a service":           {map[string]any{"target": plain + "/up"}, registry.Passing, "/up: SERVING"},
		"one that is down":    {map[string]any{"target": plain + "/down"}, registry.Critical, "NOT_SERVING"},
		"one that is unknown": {map[string]any{"target": plain + "/none"}, registry.Critical, "NotFound"},
		"TLS not trusted":     {map[string]any{"target": secure, "use_tls": true}, registry.Critical, "certificate"},
		"TLS":                 {map[string]any{"target": secure, "use_tls": true, "tls_skip_verify": true}, registry.Passing, "SERVING"},
		"no gRPC":             {map[string]any{"target": bare.Listener.Addr().String()}, registry.Critical, "Unavailable"},
		"nobody":              {map[string]any{"target": "127.0.0.1:1"}, registry.Critical, "refused"},
	} {
		if status, output := run(t, define(GRPC, tc.spec), 5*time.Second); status != tc.want || !strings.Contains(output, tc.says) {
			t.Errorf("%s: %s %q, want %s and %q", name, status, output, tc.want, tc.says)
		}
	}
	if status, output := run(t, define(GRPC, map[string]any{"target": plain}), -time.Second); status != registry.Critical || output == "" {
		t.Errorf("without time: %s %q", status, output)
	}
}

func TestH2Ping(t *testing.T) {
	address, _ := secured(t)
	plain, _ := grpcServer(t) // which is HTTP/2 without TLS
	old := httptest.NewTLSServer(http.NotFoundHandler())
	defer old.Close()
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	for name, tc := range map[string]struct {
		spec map[string]any
		want registry.HealthStatus
		says string
	}{
		"TLS not trusted": {map[string]any{"address": address}, registry.Critical, "certificate"},
		"TLS":             {map[string]any{"address": address, "tls_skip_verify": true}, registry.Passing, "answered"},
		"without TLS":     {map[string]any{"address": plain, "use_tls": false}, registry.Passing, "answered"},
		"HTTP/1":          {map[string]any{"address": old.Listener.Addr().String(), "tls_skip_verify": true}, registry.Critical, "HTTP/2"},
		"silence":         {map[string]any{"address": mute.Addr().String(), "use_tls": false}, registry.Critical, "deadline"},
		"nobody":          {map[string]any{"address": "127.0.0.1:1"}, registry.Critical, "refused"},
	} {
		if status, output := run(t, define(H2Ping, tc.spec), 500*time.Millisecond); status != tc.want || !strings.Contains(output, tc.says) {
			t.Errorf("%s: %s %q, want %s and %q", name, status, output, tc.want, tc.says)
		}
	}
}

func TestNetworkSpecs(t *testing.T) {
	for _, d := range []registry.CheckDefinition{
		define(UDP, map[string]any{"address": "noport"}),
		define(UDP, map[string]any{"address": "a:1", "use_tls": true}),
		define(GRPC, map[string]any{"target": "noport/svc"}),
		define(GRPC, map[string]any{}),
		define(H2Ping, map[string]any{"address": "a:1", "use_tls": "no"}),
		define(H2Ping, map[string]any{"address": ""}),
		define(TCP, map[string]any{"address": "a:1", "tls": true}),
	} {
		for _, k := range kinds {
			if k.Name != d.Kind {
				continue
			}
			if _, err := k.New(d); err == nil || !strings.Contains(err.Error(), d.Kind+" check") {
				t.Errorf("%+v: %v", d.Spec, err)
			}
		}
	}
}
