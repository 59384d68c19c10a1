package plugin

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"herald/registry"
	"herald/registry/catalog"
)

// Host is what a process offers its doors. All of it is safe for concurrent use
// and lives until after the last door has returned from Run.
type Host struct {
	// Node is this process's name in the catalog; Datacenter its datacenter.
	Node       string
	Datacenter string
	// Version is Herald's own version.
	Version string
	// Server says that this process holds the store itself.
	Server bool

	// Store is the key-value store. In an agent's process it is nil.
	Store registry.Store
	// Cluster is who the servers are. In an agent's process it is nil.
	Cluster registry.Cluster
	// Operator changes who the servers are. In an agent's process it is nil, and
	// where the store cannot.
	Operator registry.Operator
	// Tending is how the cluster looks after its servers. In an agent's process it says
	// nothing.
	Tending registry.Tending
	// Peer is where the other servers reach this one, host:port; "" in an agent's
	// process.
	Peer string
	// TempDir is a directory for files that nobody needs once this process has ended, on the
	// disk that holds the data, and empty when the process started. "" is the system's own.
	TempDir string
	// Catalog is the live catalog.
	Catalog *catalog.Catalog
	// Agent is the local agent.
	Agent registry.Agent
	// Servers are the base URLs of the servers' HTTP doors. In a server's process it
	// is empty.
	Servers []string

	Log     *slog.Logger
	Metrics Metrics
	// MetricsHandler serves every metric of the process, in Prometheus's text form.
	MetricsHandler http.Handler
	// Samples are the values of every metric of the process as they are now; nil if it
	// keeps none.
	Samples func() ([]Sample, error)
	// Logs is what the process logs; nil if it cannot be followed.
	Logs Logs
	// Reload reads the process's settings and the agent's configuration directories again, as
	// SIGHUP does; nil if there are none. On an error, which names what is wrong, everything stays
	// as it was.
	Reload func(context.Context) error
	// Ready says why the process is not ready to serve, its doors included, or nil.
	Ready func() error
	// DrainTimeout is how long a door may take to finish what is under way.
	DrainTimeout time.Duration
}

// Metrics makes the process's metrics. Names begin with "herald_" and follow
// Prometheus's naming; making the same one twice returns the first.
type Metrics interface {
	// Counter counts up. With takes as many values as there are labels.
	Counter(name, help string, labels ...string) Counter
	// Histogram observes durations, in seconds.
	Histogram(name, help string, labels ...string) Histogram
	// Gauge is read when the metrics are collected.
	Gauge(name, help string, read func() float64)
}

// Counter counts up.
type Counter interface {
	// With returns the counter of one set of label values; callers on a hot path
	// keep it.
	With(values ...string) interface{ Inc() }
}

// Histogram observes durations.
type Histogram interface {
	With(values ...string) interface{ Observe(seconds float64) }
}

// Sample is one metric's value.
type Sample struct {
	Name   string
	Labels map[string]string
	Kind   SampleKind
	// Value is a gauge's or a counter's, and of a histogram the sum of what was
	// observed; Count is how often that was.
	Value float64
	Count uint64
}

// SampleKind is what a metric is.
type SampleKind uint8

// The kinds of metrics.
const (
	SampleGauge SampleKind = iota
	SampleCounter
	SampleHistogram
)

// Logs is what a process logs, for those who want to see it as it comes.
type Logs interface {
	// Follow delivers what is logged from level up, each line with its end, as JSON or
	// as text, until stop is called. Lines that come while the receiver is behind are
	// left out. stop may be called more than once.
	Follow(level slog.Level, json bool) (lines <-chan []byte, stop func())
}
