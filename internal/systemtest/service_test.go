//go:build e2e

package systemtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"herald/internal/systemtest/process"
)

// ttl is the lease of the agents here: short, so that a crash is soon seen.
const ttl = 3 * time.Second

// writeDefinition puts a service in Consul's definition form into a directory.
func writeDefinition(t *testing.T, port int, check string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	web := fmt.Sprintf(`{"service": {"name": "web", "id": "web-1", "address": "127.0.0.1", "port": %d,
		"tags": ["primary"], "meta": {"version": "1"}, "weights": {"passing": 5, "warning": 1},
		"check": %s}}`, port, check)
	if err := os.WriteFile(filepath.Join(dir, "web.json"), []byte(web), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// webServer starts python's web server on a free port and returns it.
func webServer(t *testing.T) (port int, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	cmd := exec.Command("python3", "-m", "http.server", fmt.Sprint(port), "--bind", "127.0.0.1", "--directory", t.TempDir())
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var stopped atomic.Bool
	stop = func() {
		if !stopped.Swap(true) {
			cmd.Process.Kill()
			cmd.Wait()
		}
	}
	t.Cleanup(stop)
	process.Eventually(t, 10*time.Second, "web server", func() error {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			c.Close()
		}
		return err
	})
	return port, stop
}

func agent(t *testing.T, server *process.Process, args ...string) *process.Process {
	t.Helper()
	return process.Start(t, append([]string{"agent", "--join", server.HTTP, "--http-address", "127.0.0.1:0",
		"--node-name", "host-a", "--node-address", "127.0.0.1", "--ttl", ttl.String()}, args...)...)
}

// passing returns the ids of the passing instances of a service.
func passing(t *testing.T, p *process.Process, service string) []string {
	t.Helper()
	var entries []struct{ Service struct{ ID string } }
	body := curl(t, p.URL("/v1/health/service/"+service+"?passing"))
	if err := json.Unmarshal([]byte(body), &entries); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	var ids []string
	for _, e := range entries {
		ids = append(ids, e.Service.ID)
	}
	return ids
}

func serves(t *testing.T, p *process.Process, service string) error {
	if ids := passing(t, p, service); len(ids) != 1 {
		return fmt.Errorf("passing instances: %v", ids)
	}
	if srv := dig(t, p, service+".service.consul", "SRV"); len(srv) != 1 {
		return fmt.Errorf("SRV answers: %v", srv)
	}
	return nil
}

func servesNot(t *testing.T, p *process.Process, service string) error {
	if ids := passing(t, p, service); len(ids) != 0 {
		return fmt.Errorf("passing instances: %v", ids)
	}
	if srv := dig(t, p, service+".service.consul", "SRV"); len(srv) != 0 {
		return fmt.Errorf("SRV answers: %v", srv)
	}
	return nil
}

func TestAgentAdvertisesARealService(t *testing.T) {
	server := process.Dev(t)
	port, stopWeb := webServer(t)
	dir := writeDefinition(t, port, fmt.Sprintf(`{"http": "http://127.0.0.1:%d/", "interval": "300ms", "timeout": "250ms"}`, port))
	a := agent(t, server, "--config-dir", dir)
	process.Eventually(t, 10*time.Second, "found", func() error { return serves(t, server, "web") })

	srv := strings.Fields(dig(t, server, "web.service.consul", "SRV")[0])
	if len(srv) != 4 || srv[1] != "5" || srv[2] != fmt.Sprint(port) {
		t.Errorf("SRV: %v, want weight 5 and port %d", srv, port)
	}
	for _, q := range []struct {
		name, kind string
		want       []string
	}{
		{"web.service.consul", "A", []string{"127.0.0.1"}},
		{"web.service.consul", "AAAA", nil},
		{"primary.web.service.consul", "A", []string{"127.0.0.1"}},
		{"host-a.node.consul", "A", []string{"127.0.0.1"}},
	} {
		if got := dig(t, server, q.name, q.kind); !slices.Equal(got, q.want) {
			t.Errorf("dig %s %s: %v, want %v", q.name, q.kind, got, q.want)
		}
	}
	if got := dig(t, server, "_web._tcp.service.consul", "SRV"); len(got) != 1 {
		t.Errorf("dig _web._tcp.service.consul SRV: %v", got)
	}
	if got := passing(t, a, "web"); len(got) != 1 {
		t.Errorf("asked through the agent: %v", got)
	}

	stopWeb()
	took := process.Eventually(t, 10*time.Second, "gone after the web server stopped", func() error { return servesNot(t, server, "web") })
	t.Logf("gone %v after the web server stopped (interval 300ms, timeout 250ms)", took)
	if body := curl(t, server.URL("/v1/health/service/web")); !strings.Contains(body, `"critical"`) {
		t.Errorf("an instance that fails its check is still in the catalog, as critical; got %s", body)
	}
}

func TestFoundWithin100MillisecondsOfTheFirstPassingCheck(t *testing.T) {
	server := process.Dev(t)
	var healthy atomic.Bool
	passed := make(chan time.Time, 1)
	web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !healthy.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusOK)
		select {
		case passed <- time.Now():
		default:
		}
	})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go web.Serve(l)
	defer web.Close()
	port := l.Addr().(*net.TCPAddr).Port
	dir := writeDefinition(t, port, fmt.Sprintf(`{"http": "http://127.0.0.1:%d/", "interval": "1s", "timeout": "500ms"}`, port))
	agent(t, server, "--config-dir", dir)
	process.Eventually(t, 10*time.Second, "registered", func() error {
		if body := curl(t, server.URL("/v1/health/service/web")); !strings.Contains(body, "web-1") {
			return errors.New(body)
		}
		return nil
	})
	index := headerOf(t, server.URL("/v1/health/service/web?passing"), "X-Consul-Index")
	found := make(chan time.Time, 2)
	go func() { // a blocking query, as clients hold open
		resp, err := http.Get(server.URL("/v1/health/service/web?passing&wait=20s&index=" + index))
		if err == nil {
			defer resp.Body.Close()
			if body, _ := io.ReadAll(resp.Body); strings.Contains(string(body), "web-1") {
				found <- time.Now()
				return
			}
		}
		found <- time.Time{}
	}()
	go func() { // a resolver that asks again and again
		r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "udp", server.DNS)
		}}
		for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
			if _, srv, err := r.LookupSRV(t.Context(), "", "", "web.service.consul."); err == nil && len(srv) == 1 {
				found <- time.Now()
				return
			}
			<-time.After(time.Millisecond)
		}
		found <- time.Time{}
	}()
	healthy.Store(true)
	first := <-passed
	for range 2 {
		at := <-found
		if at.IsZero() {
			t.Fatal("not found")
		}
		t.Logf("found %v after the first passing check", at.Sub(first))
		if took := at.Sub(first); took > 100*time.Millisecond {
			t.Errorf("found after %v, want within 100 ms", took)
		}
	}
	if err := serves(t, server, "web"); err != nil { // and by the real curl and dig
		t.Error(err)
	}
}

func TestKilledAgentIsGoneWithinTTLAnd2Seconds(t *testing.T) {
	server := process.Dev(t)
	port, _ := webServer(t)
	dir := writeDefinition(t, port, fmt.Sprintf(`{"tcp": "127.0.0.1:%d", "interval": "200ms", "timeout": "100ms"}`, port))
	a := agent(t, server, "--config-dir", dir)
	process.Eventually(t, 10*time.Second, "found", func() error { return serves(t, server, "web") })
	a.Kill()
	took := process.Eventually(t, ttl+2*time.Second, "gone from every door", func() error {
		if err := servesNot(t, server, "web"); err != nil {
			return err
		}
		for _, path := range []string{"/v1/catalog/service/web", "/v1/health/service/web", "/v1/health/checks/web"} {
			if body := curl(t, server.URL(path)); body != "[]" {
				return fmt.Errorf("%s: %s", path, body)
			}
		}
		if body := curl(t, server.URL("/v1/catalog/nodes")); strings.Contains(body, "host-a") {
			return fmt.Errorf("the node is still there: %s", body)
		}
		if got := dig(t, server, "host-a.node.consul", "A"); len(got) != 0 {
			return fmt.Errorf("the node still resolves: %v", got)
		}
		return nil
	})
	t.Logf("gone from every door %v after kill -9 (TTL %v)", took, ttl)
}

func TestRegisterWithCurl(t *testing.T) {
	server := process.Dev(t)
	body := `{"Name": "api", "ID": "api-1", "Address": "127.0.0.1", "Port": 9000, "Check": {"TTL": "30s"}}`
	if out := curl(t, "-X", "PUT", "-d", body, server.URL("/v1/agent/service/register")); out != "" {
		t.Errorf("register answered %q", out)
	}
	curl(t, "-X", "PUT", server.URL("/v1/agent/check/pass/service:api-1"))
	process.Eventually(t, 2*time.Second, "found", func() error { return serves(t, server, "api") })
	curl(t, "-X", "PUT", server.URL("/v1/agent/check/fail/service:api-1"))
	process.Eventually(t, 2*time.Second, "not passing", func() error { return servesNot(t, server, "api") })
	curl(t, "-X", "PUT", server.URL("/v1/agent/service/deregister/api-1"))
	process.Eventually(t, 2*time.Second, "deregistered", func() error {
		if body := curl(t, server.URL("/v1/catalog/service/api")); body != "[]" {
			return errors.New(body)
		}
		return nil
	})
}

func TestServiceCommands(t *testing.T) {
	server := process.Dev(t)
	file := filepath.Join(writeDefinition(t, 9000, `{"ttl": "30s", "status": "passing"}`), "web.json")
	server.Herald("service", "register", file)
	process.Eventually(t, 2*time.Second, "found", func() error { return serves(t, server, "web") })
	if out := server.Herald("service", "list", "--output", "json"); !strings.Contains(out, `"web"`) {
		t.Errorf("service list: %s", out)
	}
	server.Herald("service", "deregister", "web-1")
	process.Eventually(t, 2*time.Second, "gone", func() error { return servesNot(t, server, "web") })
	server.Herald("service", "register", "--ttl", "2s", file)
	process.Eventually(t, 2*time.Second, "found again", func() error { return serves(t, server, "web") })
	process.Eventually(t, 20*time.Second, "gone with its lease", func() error { return servesNot(t, server, "web") })
}

// TestTwoNodesOfOneName starts an agent under the name of a node that lives: it
// must not take over what that node advertises, and must say why.
func TestTwoNodesOfOneName(t *testing.T) {
	server := process.Dev(t)
	curl(t, "-X", "PUT", "-d", `{"Name":"api","Port":9000}`, server.URL("/v1/agent/service/register"))
	process.Eventually(t, 5*time.Second, "found", func() error { return serves(t, server, "api") })

	cmd := process.Command("agent", "--join", server.HTTP, "--http-address", "127.0.0.1:0", "--node-name", "dev", "--ttl", ttl.String())
	log := &process.Buffer{}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	process.Eventually(t, 10*time.Second, "the agent says that the name is taken", func() error {
		if s := log.String(); !strings.Contains(s, `\"dev\"`) || !strings.Contains(s, "--node-name") {
			return errors.New(s)
		}
		return nil
	})
	if err := serves(t, server, "api"); err != nil {
		t.Errorf("what the first node advertised: %v", err)
	}
	if err := serves(t, server, "consul"); err != nil {
		t.Errorf("the server's own service: %v", err)
	}
}
