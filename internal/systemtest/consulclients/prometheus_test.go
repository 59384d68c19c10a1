//go:build e2e

package consulclients

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"herald/internal/systemtest/process"
)

// TestPrometheus has Debian's Prometheus discover over http_sd_configs what agents advertise, scrape it, and drop what dies: by its check, with its
// agent, or by being withdrawn. (Debian builds it without consul_sd_configs; see promsd.)
func TestPrometheus(t *testing.T) {
	onServers(t, func(t *testing.T, servers []string) {
		p := startPrometheus(t, `
- job_name: blue
  http_sd_configs: [{url: "http://`+servers[0]+`/v1/sd/prometheus?service=app&tag=blue", refresh_interval: 500ms}]
- job_name: all
  http_sd_configs: [{url: "http://`+servers[len(servers)-1]+`/v1/sd/prometheus?service=app", refresh_interval: 500ms}]
`)
		first, second, third := scraped(t), scraped(t), scraped(t)
		one := scrapedAgent(t, servers, "host-1", first, `["blue"]`)
		two := scrapedAgent(t, servers, "host-2", second, `["green"]`)
		scrapedAgent(t, servers, "host-3", third, `["blue", "new"]`)
		p.await("all found", map[string][]string{"blue": {first.Listener.Addr().String(), third.Listener.Addr().String()},
			"all": {first.Listener.Addr().String(), second.Listener.Addr().String(), third.Listener.Addr().String()}})

		third.Close() // its check fails
		p.await("one whose check fails is gone", map[string][]string{"blue": {first.Listener.Addr().String()},
			"all": {first.Listener.Addr().String(), second.Listener.Addr().String()}})
		two.Kill() // and its lease runs out
		p.await("one whose host died is gone", map[string][]string{"blue": {first.Listener.Addr().String()}, "all": {first.Listener.Addr().String()}})
		one.Stop()
		p.await("the last, which was withdrawn, is gone", map[string][]string{})
	})
}

// scraped is a program with metrics.
func scraped(t *testing.T) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "app_up 1") }))
	t.Cleanup(s.Close)
	return s
}

// scrapedAgent starts an agent that advertises a program.
func scrapedAgent(t *testing.T, servers []string, host string, program *httptest.Server, tags string) *process.Process {
	t.Helper()
	address, port, _ := strings.Cut(program.Listener.Addr().String(), ":")
	dir := t.TempDir()
	definition := fmt.Sprintf(`{"service": {"name": "app", "address": %q, "port": %s, "tags": %s, "check": {"http": %q, "interval": "300ms", "timeout": "250ms"}}}`,
		address, port, tags, program.URL)
	if err := os.WriteFile(filepath.Join(dir, "app.json"), []byte(definition), 0o600); err != nil {
		t.Fatal(err)
	}
	return process.Start(t, "agent", "--join", strings.Join(servers, ","), "--http-address", "127.0.0.1:0", "--dns-address", "127.0.0.1:0",
		"--node-name", host, "--node-address", "127.0.0.1", "--ttl", "3s", "--config-dir", dir)
}

// prometheus is one that runs.
type prometheus struct {
	t      *testing.T
	listen string
}

func startPrometheus(t *testing.T, scrapeConfigs string) *prometheus {
	t.Helper()
	p := &prometheus{t, process.FreeAddresses(t, 1)[0]}
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(config, []byte("global: {scrape_interval: 200ms}\nscrape_configs:"+scrapeConfigs), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("prometheus", "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+p.listen, "--log.level=warn")
	var said process.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(said.String())
		}
	})
	return p
}

// await waits until Prometheus scrapes these targets of each job, and all are up.
func (p *prometheus) await(what string, want map[string][]string) {
	p.t.Helper()
	process.Eventually(p.t, 30*time.Second, what, func() error {
		got, err := p.targets()
		if err != nil {
			return err
		}
		for job, targets := range want {
			slices.Sort(targets)
			slices.Sort(got[job])
			if !slices.Equal(got[job], targets) {
				return fmt.Errorf("%s scrapes %v, want %v", job, got[job], targets)
			}
		}
		for job := range got {
			if want[job] == nil {
				return fmt.Errorf("%s scrapes %v, want none", job, got[job])
			}
		}
		return nil
	})
}

// targets are what Prometheus scrapes and is answered by, by job.
func (p *prometheus) targets() (map[string][]string, error) {
	res, err := http.Get("http://" + p.listen + "/api/v1/targets?state=active")
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var body struct {
		Data struct {
			ActiveTargets []struct {
				ScrapePool, Health, LastError string
				Labels                        struct{ Instance string }
			}
		}
	}
	if err := json.NewDecoder(res.Body).Decode(&body); err != nil {
		return nil, err
	}
	up := map[string][]string{}
	for _, target := range body.Data.ActiveTargets {
		if target.Health != "up" {
			return nil, fmt.Errorf("%s is %s: %s", target.Labels.Instance, target.Health, target.LastError)
		}
		up[target.ScrapePool] = append(up[target.ScrapePool], target.Labels.Instance)
	}
	return up, nil
}
