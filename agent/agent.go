package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"herald/registry"
)

var _ registry.Agent = (*Agent)(nil)

// Agent is the local agent. Its methods may be called by any number of
// goroutines, before, during and after Run; after it, changes fail with
// registry.ErrStopped.
type Agent struct {
	cfg   Config
	up    Upstream
	kinds map[string]registry.NewChecker
	log   *slog.Logger

	// edit has an element while it is held: through changes of definitions, their disk
	// write included. See the package comment for the order of locks.
	edit    chan struct{}
	changes changes // that wait for it
	closed  bool
	disk    *disk // nil without a DataDir

	state state
	link  link
	saver saver
	// running is the context of Run while that is under way, and what checks'
	// goroutines descend from; state.mu guards it.
	running  context.Context
	checkers sync.WaitGroup

	dirty  chan struct{}         // the records or the lease may have changed
	held   chan struct{}         // there is another lease to follow
	lost   chan registry.LeaseID // a lease that advertising found to be gone
	resume registry.LeaseID      // the lease of the run before, 0 if there is none to try
	ran    atomic.Bool
}

// New makes an agent that advertises through up and checks with kinds, by their
// names (ttl needs none). It reads the configuration files and what an earlier
// run kept, and fails on files that are wrong, with their names and nothing
// changed. It starts nothing. It holds the data directory until Run or Close ends.
//
// Errors: registry.ErrInvalidDefinition, ErrDuplicateService, ErrInvalidTTL,
// ErrDataDirLocked, ErrFormat.
func New(cfg Config, up Upstream, kinds map[string]registry.NewChecker, log *slog.Logger) (*Agent, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	a := &Agent{
		cfg: cfg, up: up, kinds: kinds, log: log,
		state: newState(cfg.Node),
		edit:  make(chan struct{}, 1),
		dirty: make(chan struct{}, 1), held: make(chan struct{}, 1), lost: make(chan registry.LeaseID, 1),
	}
	a.state.tell = a.tellChange
	a.link.log = log
	a.saver.wake = make(chan struct{}, 1)
	if cfg.DataDir != "" {
		d, err := openDisk(cfg.DataDir, log)
		if err != nil {
			return nil, err
		}
		a.disk = d
	}
	if err := a.load(); err != nil {
		a.disk.close()
		return nil, err
	}
	return a, nil
}

// Node implements registry.Agent.
func (a *Agent) Node() registry.Node { return a.cfg.Node }

// Run keeps the catalog true until ctx ends. Then it stops the checks, revokes the
// lease, so that all that was advertised goes at once, and returns nil. It fails
// only if it was called before, or after Close.
func (a *Agent) Run(ctx context.Context) error {
	if a.ran.Swap(true) {
		return errors.New("agent: Run is called a second time, or after Close")
	}
	defer a.release()
	if a.disk == nil {
		a.log.Info("the agent has no data directory: what is registered over its API is forgotten at exit")
	}

	a.state.mu.Lock()
	a.running = ctx
	for _, c := range a.state.checks {
		a.startLocked(c)
	}
	a.state.mu.Unlock()

	var loops sync.WaitGroup
	for _, loop := range []func(context.Context){a.keepLease, a.advertise, a.followLeases, a.reap, a.save} {
		loops.Go(func() { loop(ctx) })
	}
	loops.Wait()
	a.state.mu.Lock()
	a.running = nil // no check starts from here on
	a.state.mu.Unlock()
	a.checkers.Wait()

	a.revoke(ctx)
	a.saveNow()
	return nil
}

// Close gives the data directory back for an agent that is not going to be run.
// After Run it does nothing.
func (a *Agent) Close() {
	if !a.ran.Swap(true) {
		a.release()
	}
}

func (a *Agent) release() {
	a.edit <- struct{}{}
	a.closed = true
	a.disk.close()
	<-a.edit
}

// load fills the state at start: the process's own services, then files, then what
// the API had registered before.
func (a *Agent) load() error {
	files, err := a.readConfigDirs()
	if err != nil {
		return err
	}
	d := a.state.draft()
	for _, def := range a.cfg.Services {
		o := owner{origin: fromConfig}
		p, err := a.prepareService(def, o)
		if err != nil {
			return fmt.Errorf("agent: %w", err)
		}
		if err := d.putService(p, o, dropChecks); err != nil {
			return fmt.Errorf("agent: %w", err)
		}
	}
	if err := d.replaceAll(owner{origin: fromFile}, files.services, files.checks); err != nil {
		return err
	}
	if a.disk != nil {
		if err := a.loadKept(d); err != nil {
			return err
		}
	}
	a.state.mu.Lock()
	defer a.state.mu.Unlock()
	now := time.Now()
	a.state.commitLocked(d, now)
	if a.disk == nil {
		return nil
	}
	if err := a.restoreTTL(now); err != nil {
		return err
	}
	a.state.followLocked(now, slices.Collect(maps.Keys(a.state.aliases))...)
	a.resume, err = a.disk.keptLease(a.cfg.Node.Name, a.cfg.LeaseTTL)
	return err
}
