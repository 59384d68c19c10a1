package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// fillWork registers many instances through the HTTP API, and asks for some of them: what a large catalog costs. A cluster is
// filled once, so it has one round, whatever the settings say.
type fillWork struct {
	label     string
	services  int
	instances int // of each
}

func (w fillWork) name() string { return w.label }

func (w fillWork) door() door { return doorHTTP }

// sizes has the number of instances in the place of clients, of which there are preloaders.
func (w fillWork) sizes(*settings) []int { return []int{w.services * w.instances} }

func (w fillWork) prepare(context.Context, *cluster, *settings) error { return nil }

func (w fillWork) round(ctx context.Context, c *cluster, s *settings, size int) (result, error) {
	base := "http://" + c.servers[0].http
	before, err := takeSample(c.pids())
	if err != nil {
		return result{}, err
	}
	if err := fillInstances(ctx, base, w.services, w.instances); err != nil {
		return result{}, err
	}
	after, err := takeSample(c.pids())
	if err != nil {
		return result{}, err
	}
	r := result{figures: []figure{{"registered", "a second", float64(size) / after.at.Sub(before.at).Seconds()}}}
	r.figures = append(r.figures, before.figures(after, float64(size), "registration")...)
	if s.settle > 0 {
		if !pause(ctx, s.settle) {
			return result{}, ctx.Err()
		}
		settled, err := takeSample(c.pids())
		if err != nil {
			return result{}, err
		}
		r.figures = append(r.figures, figure{"server memory, " + s.settle.String() + " later", "MB", megabytes(settled.resident)})
	}
	asked, err := w.ask(ctx, base)
	if err != nil {
		return result{}, err
	}
	r.figures = append(r.figures, asked...)
	kept, err := saveAndRestore(ctx, base)
	r.figures = append(r.figures, kept...)
	return r, err
}

// ask asks for the health of services that were not asked for before, and of one of them again.
func (w fillWork) ask(ctx context.Context, base string) ([]figure, error) {
	const most = 100
	var first, again histogram
	for i := range min(w.services, most) {
		for _, h := range []*histogram{&first, &again} {
			begin := time.Now()
			body, err := fetch(ctx, http.MethodGet, fmt.Sprintf("%s/v1/health/service/svc-%d?passing", base, i), nil)
			if err != nil {
				return nil, err
			}
			h.add(time.Since(begin))
			var entries []struct{}
			if err := json.Unmarshal(body, &entries); err != nil || len(entries) != w.instances {
				return nil, fmt.Errorf("svc-%d has %d healthy instances, %d were registered (%v)", i, len(entries), w.instances, err)
			}
		}
	}
	return []figure{
		{"health query, first", "ms", millis(first.quantile(0.5))},
		{"health query, again", "ms", millis(again.quantile(0.5))},
	}, nil
}

// saveAndRestore saves a snapshot and restores it into the same server.
func saveAndRestore(ctx context.Context, base string) ([]figure, error) {
	begin := time.Now()
	saved, err := fetch(ctx, http.MethodGet, base+"/v1/snapshot", nil)
	if err != nil {
		return nil, err
	}
	took := time.Since(begin)
	begin = time.Now()
	_, err = fetch(ctx, http.MethodPut, base+"/v1/snapshot", saved)
	return []figure{
		{"snapshot saved", "s", took.Seconds()},
		{"snapshot", "MB", megabytes(int64(len(saved)))},
		{"snapshot restored", "s", time.Since(begin).Seconds()},
	}, err
}

// fetch sends a request and returns the body of the 200 that answers.
func fetch(ctx context.Context, method, url string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s: %.200s", method, url, resp.Status, said)
	}
	return said, err
}
