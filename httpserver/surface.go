package httpserver

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"

	"herald/registry"
	"herald/registry/catalog"
	"herald/registry/plugin"
	"herald/registry/session"
)

// surface answers requests. It is safe for concurrent use and holds nothing that
// changes but counters, and the limits that hold.
type surface struct {
	cfg        Config
	node       string
	datacenter string
	version    string

	store   registry.Store   // nil in an agent's process
	cluster registry.Cluster // nil in an agent's process
	// operator is nil in an agent's process, and where the store cannot.
	operator registry.Operator
	peer     string // this server's peer address
	catalog  *catalog.Catalog
	sessions *session.Sessions // nil in an agent's process
	agent    registry.Agent
	forward  *forwarder // nil in a server's process

	filters filters
	clients clients
	current atomic.Pointer[Config] // see live
	pace    pace

	description func() (description, error) // see describe

	log            *slog.Logger
	metrics        *metrics
	metricsHandler http.Handler
	samples        func() ([]plugin.Sample, error) // nil if there are no metrics
	ready          func() error
	logs           plugin.Logs                 // nil if they cannot be followed
	reload         func(context.Context) error // nil if there is nothing to read again
	tending        registry.Tending

	// draining ends when the door stops: blocked queries then answer with what
	// they have.
	draining context.Context
	drain    context.CancelFunc
	requests sync.Pool // of *request
}

func newSurface(cfg Config, h *plugin.Host) (*surface, error) {
	if h.Store == nil && len(h.Servers) == 0 {
		return nil, errors.New("the process has no store, and no servers to pass requests on to")
	}
	s := &surface{
		cfg: cfg, node: h.Node, datacenter: h.Datacenter, version: h.Version,
		store: h.Store, cluster: h.Cluster, operator: h.Operator, peer: h.Peer, catalog: h.Catalog, agent: h.Agent,
		log: h.Log, metricsHandler: h.MetricsHandler, samples: h.Samples, ready: h.Ready,
		logs: h.Logs, reload: h.Reload, tending: h.Tending,
		pace: pace{beat: streamBeat, patience: streamPatience},
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.store == nil {
		f, err := newForwarder(h.Node, h.Servers, s.log)
		if err != nil {
			return nil, err
		}
		s.forward = f
	}
	if s.store != nil {
		s.sessions = session.New(s.store, s.catalog)
	}
	s.metrics = newMetrics(h.Metrics)
	s.adopt(cfg)
	s.description = sync.OnceValues(s.newDescription)
	s.requests.New = func() any { return new(request) }
	s.draining, s.drain = context.WithCancel(context.Background())
	return s, nil
}

// close lets every blocked query go. More calls do nothing more.
func (s *surface) close() { s.drain() }

// settle gives back what outlives the requests.
func (s *surface) settle() {
	if s.forward != nil {
		s.forward.close()
	}
}
