package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"herald/agent"
	"herald/raftstore"
	"herald/registry"
	"herald/registry/catalog"
	"herald/registry/plugin"
	"herald/registry/session"
)

// Node is one process, opened and ready to run.
type Node struct {
	cfg     Config
	store   *raftstore.Store // nil in an agent's process
	catalog *catalog.Catalog
	agent   *agent.Agent
	metrics *metrics
	logs    *logTap
	doors   []NamedDoor

	reloading  sync.Mutex  // held by Reload
	advertised atomic.Bool // the agent's records were in the catalog once
}

// Open takes everything the process needs: it opens the store, loads what the
// agent is to advertise, and binds every door's sockets. When it fails nothing
// stays taken. An error of a door is a *DoorError.
func Open(ctx context.Context, cfg Config) (_ *Node, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	logs := newLogTap(cfg.Log.Handler())
	shared := cfg.Store != nil && cfg.Store.Log == cfg.Log
	cfg.Log = slog.New(logs)
	n := &Node{cfg: cfg, logs: logs, metrics: newMetrics(cfg.Version, cfg.Agent.Node.Name)}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.abandon())
		}
	}()
	up, serverID := cfg.Upstream, ""
	options := []catalog.Option{catalog.WithLog(cfg.Log.With("part", "catalog"))}
	if cfg.Store != nil {
		store := *cfg.Store
		store.Hooks = n.metrics.storeHooks()
		if shared {
			store.Log = cfg.Log
		}
		if n.store, err = raftstore.Open(store); err != nil {
			return nil, err
		}
		options = append(options, catalog.WithCluster(n.store))
		serverID = n.store.Status().ID
		n.describeServer()
		n.gauges()
	}
	n.catalog = catalog.New(options...)
	if n.store != nil {
		up = agent.StoreUpstream(n.store, n.catalog)
	}
	if n.cfg.Agent.Node.ID, err = nodeID(serverID, cfg.Agent.DataDir); err != nil {
		return nil, err
	}
	n.cfg.Agent.Hooks = n.metrics.agentHooks()
	if n.agent, err = agent.New(n.cfg.Agent, up, cfg.checkers(), cfg.Log.With("part", "agent")); err != nil {
		return nil, err
	}
	for _, d := range cfg.Doors {
		if err := d.Door.Open(ctx, n.host(d.Name)); err != nil {
			return nil, &DoorError{Door: d.Name, Err: err}
		}
		n.doors = append(n.doors, d)
	}
	return n, nil
}

// abandon lets go of what a failed Open had taken. A door that was opened must be
// run to be closed; with a context that has ended it stops at once.
func (n *Node) abandon() error {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	var errs []error
	for _, d := range n.doors {
		errs = append(errs, d.Door.Run(ended))
	}
	if n.agent != nil {
		n.agent.Close()
	}
	if n.store != nil {
		errs = append(errs, n.store.Close())
	}
	return errors.Join(errs...)
}

// describeServer adds to what the local agent advertises what clients of the HTTP
// API look for on every server: the service "consul".
func (n *Node) describeServer() {
	n.cfg.Agent.Services = append(n.cfg.Agent.Services, registry.ServiceDefinition{
		ID: "consul", Name: "consul", Port: port(n.store.PeerAddress()),
	})
}

func (n *Node) host(door string) *plugin.Host {
	h := &plugin.Host{
		Node:           n.cfg.Agent.Node.Name,
		Datacenter:     n.cfg.Datacenter,
		Version:        n.cfg.Version,
		Server:         n.store != nil,
		Catalog:        n.catalog,
		Agent:          n.agent,
		Servers:        n.cfg.Servers,
		Log:            n.cfg.Log.With("part", door),
		Metrics:        n.metrics,
		MetricsHandler: n.metrics.handler(),
		Samples:        n.metrics.samples,
		Logs:           n.logs,
		Reload:         n.Reload,
		Ready:          n.Ready,
		DrainTimeout:   n.cfg.DrainTimeout,
	}
	if n.store != nil { // a nil *Store in an interface would not be nil
		h.Store, h.Cluster, h.Peer = n.store, n.store, n.store.PeerAddress()
		h.Operator, h.TempDir = n.store, n.store.TempDir()
		h.Tending = registry.Tending{StabilizationTime: n.cfg.Store.StabilizationTime, DeadServerAfter: n.cfg.Store.DeadServerAfter}
	}
	return h
}

// Ready says why the process should not be sent requests yet, or nil.
func (n *Node) Ready() error {
	if n.store != nil {
		st := n.store.Status()
		switch {
		case st.Leader == "":
			if why := n.store.Waiting(); why != "" {
				return fmt.Errorf("no place in a cluster yet: %s", why)
			}
			return registry.ErrNoLeader
		case !st.Ready:
			return errors.New("catching up with the leader")
		}
	}
	// Once advertised is enough: that a check has changed and is not in the catalog yet
	// makes a process no less able to serve.
	if s := n.agent.Sync(); !s.InSync && !n.advertised.Load() {
		if s.LastError != "" {
			return fmt.Errorf("this node is not in the catalog yet: %s", s.LastError)
		}
		return errors.New("this node is not in the catalog yet")
	}
	n.advertised.Store(true)
	if n.store != nil && n.catalog.Index().Node(n.cfg.Agent.Node.Name) == nil {
		return errors.New("reading the catalog")
	}
	for _, d := range n.doors {
		if door, ok := d.Door.(plugin.Readiness); ok {
			if err := door.Ready(); err != nil {
				return fmt.Errorf("the door %q: %w", d.Name, err)
			}
		}
	}
	return nil
}

// Addresses returns what each door listens on, by door, and the peer port.
func (n *Node) Addresses() map[string][]plugin.Address {
	all := make(map[string][]plugin.Address, len(n.doors)+1)
	for _, d := range n.doors {
		all[d.Name] = d.Door.Addresses()
	}
	if n.store != nil {
		all["peer"] = []plugin.Address{{Network: "tcp", Address: n.store.PeerAddress(), Use: "raft between servers"}}
	}
	return all
}

// Reload reads the process's settings and the agent's configuration directories again and
// makes them hold, as far as that can be while it runs. What is wrong in either is an error
// that names it, and then everything stays as it was. It may be called by any number of
// goroutines; one call works at a time.
func (n *Node) Reload(ctx context.Context) error {
	n.reloading.Lock()
	defer n.reloading.Unlock()
	adopt := func() error { return nil }
	if n.cfg.Settings != nil {
		var err error
		if adopt, err = n.cfg.Settings(); err != nil {
			return fmt.Errorf("nothing was reloaded: %w", err)
		}
	}
	if err := n.agent.Reload(ctx); err != nil {
		return err
	}
	if err := adopt(); err != nil {
		return err
	}
	n.cfg.Log.Info("settings and configuration directories read again")
	return nil
}

// Store is the server's store, nil in an agent's process.
func (n *Node) Store() registry.Store {
	if n.store == nil {
		return nil
	}
	return n.store
}

// Run works until ctx ends, then stops everything in order and returns. If a
// part fails meanwhile the rest is stopped too and the failure is returned. It
// must be called once for every Node that Open returned.
func (n *Node) Run(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if n.store != nil {
		unwatch := n.watchStore(stop)
		defer unwatch()
	}
	// Each stage outlives the one before it: its context ends once the stage before
	// has returned.
	catalogCtx, stopCatalog := context.WithCancel(context.WithoutCancel(ctx))
	agentCtx, stopAgent := context.WithCancel(context.WithoutCancel(ctx))
	defer stopCatalog()
	defer stopAgent()

	var followers, agents, doors sync.WaitGroup
	// over notes that a part has returned. Before its context has ended that is a
	// failure, whatever the part says of it.
	over := func(ctx context.Context, part string, err error) {
		if err == nil && ctx.Err() == nil {
			err = errors.New("ended by itself")
		}
		if err != nil && ctx.Err() == nil {
			n.cfg.Log.Error("stopping: a part of the node failed", "part", part, "error", err)
			stop(&partError{part, err})
		} else if err != nil {
			n.cfg.Log.Warn("a part of the node did not stop in order", "part", part, "error", err)
		}
	}
	if n.store != nil {
		followers.Go(func() { over(catalogCtx, "catalog", n.catalog.Follow(catalogCtx, n.store)) })
		keeper := session.NewKeeper(session.New(n.store, n.catalog), func() bool { return n.store.Status().IsLeader }, n.cfg.Log.With("part", "sessions"))
		followers.Go(func() { over(catalogCtx, "sessions", keeper.Run(catalogCtx)) })
	}
	agents.Go(func() { over(agentCtx, "agent", n.agent.Run(agentCtx)) })
	for _, d := range n.doors {
		doors.Go(func() { over(ctx, d.Name, d.Door.Run(ctx)) })
	}
	var sources sync.WaitGroup
	for _, s := range n.cfg.Sources {
		set := func(all []registry.ServiceDefinition) error { return n.agent.SetSource(ctx, s.Name, all) }
		sources.Go(func() { over(ctx, "source "+s.Name, s.Source.Run(ctx, set)) })
	}

	<-ctx.Done()
	n.cfg.Log.Info("stopping", "reason", context.Cause(ctx))
	doors.Wait()
	sources.Wait()
	stopAgent()
	agents.Wait()
	stopCatalog()
	followers.Wait()
	var err error
	if failed := (*partError)(nil); errors.As(context.Cause(ctx), &failed) {
		err = failed
	}
	if n.store != nil {
		// Others fail with the store, and may have been first to say so.
		if cause := n.store.Err(); cause != nil {
			err = &partError{"store", cause}
		}
		err = errors.Join(err, n.store.Close())
	}
	return err
}

// watchStore ends the node when the store cannot go on. The returned function
// stops watching and waits for the watcher to be gone.
func (n *Node) watchStore(stop context.CancelCauseFunc) func() {
	var wg sync.WaitGroup
	over := make(chan struct{})
	wg.Go(func() {
		select {
		case <-n.store.Done():
			if err := n.store.Err(); err != nil {
				stop(&partError{"store", err})
			}
		case <-over:
		}
	})
	return func() {
		close(over)
		wg.Wait()
	}
}
