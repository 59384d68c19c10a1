package workload

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"herald/internal/systemtest/chaos/history"
)

// Running is workloads under way. Stop may be called by any goroutine, Finish once.
type Running struct {
	cfg     Config
	rec     *history.Recorder
	servers []*server
	clients int // how many there are

	// Clients that write end with writing; those that follow go on until they have seen
	// all that was written (following), and are then told to say so.
	writing, following context.Context
	endWriting         context.CancelFunc
	endFollowing       context.CancelFunc
	writers, followers sync.WaitGroup

	registers *registers
	settled   settlement
	// caughtUp is closed when every server is known to have everything.
	caughtUp chan struct{}
}

// Start begins the workloads of cfg. It returns when they are set up: the services that
// are looked up are registered, and every server answers for them. They go on until
// Finish, Stop or the end of ctx, and write to rec, which stays the caller's to close,
// after Stop.
func Start(ctx context.Context, cfg Config, endpoints []Endpoint, rec *history.Recorder) (*Running, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if len(endpoints) == 0 {
		return nil, errors.New("workload: there is no server to talk to")
	}
	r := &Running{
		cfg: cfg, rec: rec, registers: newRegisters(),
		settled: settlement{done: make(chan struct{})}, caughtUp: make(chan struct{}),
	}
	plan := history.Plan{Started: time.Now().UTC(), Seed: cfg.Seed, Drift: cfg.Drift}
	for _, e := range endpoints {
		r.servers = append(r.servers, newServer(e))
		plan.Nodes = append(plan.Nodes, e.Name)
	}
	for _, k := range cfg.Kinds {
		plan.Workloads = append(plan.Workloads, string(k))
	}
	if cfg.polls() && slices.ContainsFunc(r.servers, overHTTP) {
		plan.Workloads = append(plan.Workloads, "polls")
	}
	if r.sessions() {
		plan.Workloads = append(plan.Workloads, "sessions")
	}
	rec.Append(plan)
	r.writing, r.endWriting = context.WithCancel(ctx)
	r.following, r.endFollowing = context.WithCancel(ctx)
	if r.sessions() {
		if err := r.newClient().registerHost(ctx); err != nil {
			r.Stop()
			return nil, err
		}
	}
	for _, k := range cfg.Kinds {
		if err := r.begin(k); err != nil {
			r.Stop()
			return nil, fmt.Errorf("workload %s: %w", k, err)
		}
	}
	r.followLeaders()
	r.beginPulses()
	return r, nil
}

// begin starts the clients of one workload.
func (r *Running) begin(k Kind) error {
	switch k {
	case KV:
		r.write(r.cfg.Clients, kvClient)
	case Acks:
		r.write(r.cfg.Clients, ackClient)
	case Watches:
		r.beginWatches()
	case Locks:
		r.beginLocks()
	case Leases:
		r.write(leasesPerClient*r.cfg.Clients, leaseClient)
	case Services:
		return r.beginServices()
	case Hashes:
		return r.beginHashes()
	}
	return nil
}

// write starts clients that run until writing ends.
func (r *Running) write(n int, run func(ctx context.Context, c *client)) {
	for range n {
		c := r.newClient()
		r.writers.Go(func() { run(r.writing, c) })
	}
}

// follow starts a client that goes on after writing has ended.
func (r *Running) follow(run func(ctx context.Context, c *client)) {
	c := r.newClient()
	r.followers.Go(func() { run(r.following, c) })
}

// Stop ends all clients and waits for them. What is under way is recorded as it stands. It
// may be called at any time, more than once.
func (r *Running) Stop() {
	r.endWriting()
	r.endFollowing()
	r.writers.Wait()
	r.followers.Wait()
	for _, s := range r.servers {
		s.close()
	}
}

// client is one who asks. It belongs to one goroutine.
type client struct {
	*Running
	id  int
	rng *rand.Rand
	n   int // values that it made
}

func (r *Running) newClient() *client {
	r.clients++
	return &client{Running: r, id: r.clients, rng: rand.New(rand.NewPCG(r.cfg.Seed, uint64(r.clients)))}
}

// value makes one that nobody else has written.
func (c *client) value() string {
	c.n++
	return fmt.Sprintf("%d.%d", c.id, c.n)
}

// anyone picks a server.
func (c *client) anyone() *server { return c.servers[c.rng.IntN(len(c.servers))] }

// astray is in how many of a hundred cases a client asks another server than its own.
const astray = 15

// near picks a server, mostly the client's own. If all asked anyone, then where one server
// hangs all would soon hang on it, and nobody would see what the others do meanwhile.
func (c *client) near() *server {
	if c.chance(astray) {
		return c.anyone()
	}
	return c.servers[c.id%len(c.servers)]
}

// nearWith picks a server as near does, but one that has what is asked for; nil if none has.
func (c *client) nearWith(has func(*server) bool) *server {
	at := c.id
	if c.chance(astray) {
		at = c.rng.IntN(len(c.servers))
	}
	for i := range c.servers {
		if s := c.servers[(at+i)%len(c.servers)]; has(s) {
			return s
		}
	}
	return nil
}

func overHTTP(s *server) bool { return s.HTTP != "" }

// chance is true in so many of a hundred cases.
func (c *client) chance(percent int) bool { return c.rng.IntN(100) < percent }

// rest waits for twice d at most, d on average. It is false if ctx ended.
func (c *client) rest(ctx context.Context, d time.Duration) bool {
	if d > 0 {
		d = time.Duration(c.rng.Int64N(2 * int64(d)))
	}
	return sleep(ctx, d)
}

// sleep waits. It is false if ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// ask makes one request of a server and returns when it was made and how it went. The
// request may take as long as patience. An operation that ctx ended is recorded too: it may
// have been under way.
func (c *client) ask(ctx context.Context, s *server, via string, patience time.Duration, do func(ctx context.Context) error) history.Span {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	span := history.Span{Client: c.id, Node: s.Name, Via: via, Life: s.life(), Call: c.rec.Now()}
	err := do(ctx)
	span.Return = c.rec.Now()
	if s.life() != span.Life {
		span.Life = 0
	}
	span.Outcome = outcomeOf(err)
	if err != nil {
		span.Err = err.Error()
	}
	return span
}
