package httpserver

import (
	"bufio"
	"context"
	"log/slog"
	"math"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"herald/httpserver/api"
	"herald/registry/plugin"
)

// agentHost is GET /v1/agent/host: what this process runs on.
func (s *surface) agentHost(q *request) error {
	name, err := os.Hostname()
	out := api.AgentHost{
		Memory: memory(),
		CPU:    []api.HostCPU{{Cores: runtime.NumCPU()}},
		Host:   api.HostInfo{Hostname: name, OS: runtime.GOOS, KernelArch: runtime.GOARCH},

		CollectionTime: time.Now().UnixNano(),
	}
	if err != nil {
		out.Errors = append(out.Errors, err.Error())
	}
	return q.json(http.StatusOK, out)
}

// memory is the host's, where the kernel says it as Linux does; nil elsewhere.
func memory() *api.HostMemory {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return nil
	}
	defer f.Close()
	var m api.HostMemory
	fields := map[string]*uint64{"MemTotal": &m.Total, "MemAvailable": &m.Available, "MemFree": &m.Free}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		name, rest, _ := strings.Cut(lines.Text(), ":")
		if to := fields[name]; to != nil {
			kib, _ := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 54)
			*to = kib << 10
		}
	}
	return &m
}

// agentMetrics is GET /v1/agent/metrics: every metric of the process, as JSON or with
// ?format=prometheus as /metrics.
func (s *surface) agentMetrics(q *request) error {
	switch format := q.query.get("format"); {
	case format == "prometheus":
		return s.metricsText(q)
	case format != "":
		return refusef(http.StatusBadRequest, "Unknown format %q: want prometheus, or none for JSON", format)
	case s.samples == nil:
		return refuse(http.StatusNotFound, "This process keeps no metrics.")
	}
	samples, err := s.samples()
	if err != nil {
		return err
	}
	out := api.AgentMetrics{
		Timestamp: time.Now().UTC().Format("2006-01-02 15:04:05 -0700 MST"),
		Gauges:    []api.MetricGauge{}, Points: []struct{}{}, Counters: []api.MetricSample{}, Samples: []api.MetricSample{},
	}
	for _, m := range samples {
		if math.IsNaN(m.Value) || math.IsInf(m.Value, 0) {
			continue // JSON has no such number
		}
		switch m.Kind {
		case plugin.SampleGauge:
			out.Gauges = append(out.Gauges, api.MetricGauge{Name: m.Name, Value: m.Value, Labels: m.Labels})
		case plugin.SampleCounter:
			out.Counters = append(out.Counters, api.MetricSample{Name: m.Name, Count: uint64(max(m.Value, 0)), Sum: m.Value, Labels: m.Labels})
		case plugin.SampleHistogram:
			v := api.MetricSample{Name: m.Name, Count: m.Count, Sum: m.Value, Labels: m.Labels}
			if m.Count > 0 {
				v.Mean = m.Value / float64(m.Count)
			}
			out.Samples = append(out.Samples, v)
		}
	}
	return q.json(http.StatusOK, out)
}

// agentReload is PUT /v1/agent/reload: the process's settings and the agent's configuration
// directories are read again, all or nothing.
func (s *surface) agentReload(q *request) error {
	if s.reload == nil {
		return refuse(http.StatusBadRequest, "This process has nothing to read again.")
	}
	if err := s.reload(q.r.Context()); err != nil {
		return err
	}
	return q.empty()
}

// logLevels are the names of ?loglevel=.
var logLevels = map[string]slog.Level{
	"": slog.LevelInfo, "trace": slog.LevelDebug, "debug": slog.LevelDebug, "info": slog.LevelInfo,
	"warn": slog.LevelWarn, "warning": slog.LevelWarn, "err": slog.LevelError, "error": slog.LevelError,
}

// agentMonitor is GET /v1/agent/monitor: what this process logs as it comes, from
// ?loglevel= up, with ?logjson as JSON. It ends when the client goes away.
func (s *surface) agentMonitor(q *request) error {
	name := q.query.get("loglevel")
	level, known := logLevels[strings.ToLower(name)]
	if !known {
		return refusef(http.StatusBadRequest, "Unknown log level: %s: want debug, info, warn or error", name)
	}
	if s.logs == nil {
		return refuse(http.StatusNotFound, "This process keeps no log that could be followed.")
	}
	leave, err := s.block(q)
	if err != nil {
		return err
	}
	defer leave()
	json, ok := q.query.lookup("logjson")
	lines, stop := s.logs.Follow(level, ok && json != "false")
	defer stop()
	ctx, cancel := context.WithCancel(q.r.Context())
	defer cancel()
	defer context.AfterFunc(s.draining, cancel)()
	q.header()["Content-Type"] = isText
	q.w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(q.w).Flush
	for {
		if flush() != nil {
			return nil // the client has gone
		}
		select {
		case line := <-lines:
			if _, err := q.w.Write(line); err != nil {
				return nil
			}
		case <-ctx.Done():
			return nil
		}
	}
}
