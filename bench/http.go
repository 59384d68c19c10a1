package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The HTTP API is loaded by wrk, with a script for each load: a generator of its own process, which takes less of
// the processors than one in Go would.

//go:embed wrk/*.lua
var scripts embed.FS

const (
	httpServices  = 1000
	httpInstances = 10 // of each service
)

// wrkWork is a load of requests to the HTTP API, made by wrk with a script of its name.
type wrkWork struct {
	label string
	fill  func(ctx context.Context, s *settings, base string) error // may be nil
}

func (w wrkWork) name() string { return w.label }

func (w wrkWork) door() door { return doorHTTP }

func (w wrkWork) sizes(s *settings) []int { return s.clients }

func (w wrkWork) prepare(ctx context.Context, c *cluster, s *settings) error {
	if w.fill == nil {
		return nil
	}
	return w.fill(ctx, s, "http://"+c.servers[0].http)
}

func (w wrkWork) round(ctx context.Context, c *cluster, s *settings, clients int) (result, error) {
	script := filepath.Join(c.dir, w.label+".lua")
	text, err := scripts.ReadFile("wrk/" + w.label + ".lua")
	if err != nil {
		return result{}, err
	}
	if err := os.WriteFile(script, text, 0o600); err != nil {
		return result{}, err
	}
	base := "http://" + c.servers[0].http
	if s.warm > 0 {
		if _, err := wrk(ctx, s, script, base, clients, s.warm); err != nil {
			return result{}, err
		}
	}
	before, err := takeSample(c.pids())
	if err != nil {
		return result{}, err
	}
	got, err := wrk(ctx, s, script, base, clients, s.window)
	if err != nil {
		return result{}, err
	}
	after, err := takeSample(c.pids())
	if err != nil {
		return result{}, err
	}
	after.generator += got.cpu
	r := result{figures: []figure{
		{"throughput", "ops/s", got.requests / got.took.Seconds()},
		{"latency p50", "ms", millis(got.p50)},
		{"latency p99", "ms", millis(got.p99)},
	}}
	r.figures = append(r.figures, before.figures(after, got.requests, "request")...)
	r.figures = append(r.figures, figure{"failed", "requests", got.failed})
	if got.failed > 0 {
		r.notes = append(r.notes, fmt.Sprintf("%v requests failed or were refused while measured", got.failed))
	}
	return r, nil
}

// wrkSaid is what a run of wrk found.
type wrkSaid struct {
	requests, failed float64
	took             time.Duration
	p50, p99         time.Duration
	cpu              time.Duration // its own
}

// wrk runs it for so long, in whole seconds and one at least.
func wrk(ctx context.Context, s *settings, script, base string, clients int, d time.Duration) (wrkSaid, error) {
	seconds := max(1, int(d.Round(time.Second).Seconds()))
	ctx, cancel := context.WithTimeout(ctx, time.Duration(seconds)*time.Second+afterwards)
	defer cancel()
	// Every run writes what no run before it wrote.
	cmd := exec.CommandContext(ctx, s.wrk, "-t", "1", "-c", strconv.Itoa(clients), "-d", strconv.Itoa(seconds)+"s", "--latency",
		"-s", script, base, "--", strconv.Itoa(s.keys), strconv.Itoa(s.value), strconv.Itoa(httpServices), strconv.FormatInt(time.Now().UnixNano(), 36))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return wrkSaid{}, fmt.Errorf("%s, which -wrk names: %w\n%s", s.wrk, err, out.Bytes())
	}
	said, err := parseWrk(out.String())
	said.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return said, err
}

var (
	wrkTotal   = regexp.MustCompile(`(\d+) requests in ([\d.]+\w+),`)
	wrkLatency = regexp.MustCompile(`(?m)^\s+(50|99)%\s+([\d.]+\w+)$`)
	wrkRefused = regexp.MustCompile(`Non-2xx or 3xx responses: (\d+)`)
	wrkErrors  = regexp.MustCompile(`Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)`)
)

// parseWrk reads what wrk 4 prints with --latency.
func parseWrk(out string) (said wrkSaid, err error) {
	total := wrkTotal.FindStringSubmatch(out)
	if total == nil {
		return said, fmt.Errorf("wrk says nothing of its requests:\n%s", out)
	}
	said.requests, _ = strconv.ParseFloat(total[1], 64)
	if said.took, err = time.ParseDuration(total[2]); err != nil {
		return said, fmt.Errorf("wrk's time: %w", err)
	}
	for _, l := range wrkLatency.FindAllStringSubmatch(out, -1) {
		d, err := time.ParseDuration(l[2])
		if err != nil {
			return said, fmt.Errorf("wrk's latency: %w", err)
		}
		if l[1] == "50" {
			said.p50 = d
		} else {
			said.p99 = d
		}
	}
	for _, m := range append(wrkRefused.FindAllStringSubmatch(out, -1), wrkErrors.FindAllStringSubmatch(out, -1)...) {
		for _, n := range m[1:] {
			v, _ := strconv.ParseFloat(n, 64)
			said.failed += v
		}
	}
	if said.requests == 0 {
		return said, fmt.Errorf("no request was answered:\n%s", out)
	}
	return said, nil
}

// fillKeys puts every key.
func fillKeys(ctx context.Context, s *settings, base string) error {
	value := newValue(s.value)
	return putAll(ctx, base, s.keys, func(i int) (string, string) { return "/v1/kv/" + keyAt(i), value })
}

// fillServices registers every instance of every service.
func fillServices(ctx context.Context, _ *settings, base string) error {
	return fillInstances(ctx, base, httpServices, httpInstances)
}

// fillInstances registers so many instances of each of so many services, each with a check that passes, on as many nodes as a service
// has instances.
func fillInstances(ctx context.Context, base string, services, instances int) error {
	return putAll(ctx, base, services*instances, func(i int) (string, string) {
		service, node := i/instances, i%instances
		return "/v1/catalog/register", fmt.Sprintf(`{"Node":"node-%d","Address":"10.0.%d.%d",`+
			`"Service":{"ID":"svc-%d","Service":"svc-%d","Port":8080,"Tags":["v1","primary"],"Meta":{"version":"1.2.3"}},`+
			`"Check":{"CheckID":"check-%d","Name":"alive","ServiceID":"svc-%d","Status":"passing"}}`,
			node, node/250, node%250+1, service, service, service, service)
	})
}

// putAll sends n requests, preloaders at once, of which none may fail.
func putAll(ctx context.Context, base string, n int, request func(i int) (path, body string)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: preloaders}}
	defer client.CloseIdleConnections()
	var wg sync.WaitGroup
	for w := range preloaders {
		wg.Go(func() {
			for i := w; i < n; i += preloaders {
				path, body := request(i)
				if err := httpPut(ctx, client, base+path, body); err != nil {
					cancel(fmt.Errorf("fill %s: %w", base, err))
					return
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// httpPut sends a request and wants a 200.
func httpPut(ctx context.Context, client *http.Client, url, body string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status + ": " + string(said))
	}
	return err
}
