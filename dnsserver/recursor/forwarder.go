package recursor

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"runtime/debug"
	"sync"
	"time"
)

// Forwarder asks recursors. It is safe for concurrent use.
type Forwarder struct {
	servers []*upstream
	random  bool
	timeout time.Duration
	most    int
	udpMax  int
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
	log     *slog.Logger

	// ctx ends with Close.
	ctx  context.Context
	stop context.CancelFunc

	mu      sync.Mutex
	calls   int                // guarded by mu; those waiting
	flights map[string]*flight // guarded by mu
	closed  bool               // guarded by mu
	running sync.WaitGroup     // flights; added to under mu while not closed
}

// flight is a question on its way.
type flight struct {
	done chan struct{}
	// What came of it, once done is closed.
	answer *message
	err    error
}

// New returns a Forwarder, which the caller closes.
func New(c Config) (*Forwarder, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	f := &Forwarder{
		random:  c.Order == Random,
		timeout: c.Timeout,
		most:    c.Concurrency,
		udpMax:  c.UDPMaxSize,
		dial:    (&net.Dialer{}).DialContext,
		flights: map[string]*flight{},
		log:     c.Log,
	}
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	for _, s := range c.Servers {
		server, err := ParseServer(s)
		if err != nil {
			return nil, err
		}
		u := &upstream{address: server}
		if c.Failures != nil {
			u.counter = c.Failures(server)
		}
		f.servers = append(f.servers, u)
	}
	f.ctx, f.stop = context.WithCancel(context.Background())
	return f, nil
}

// Close gives up on what is on its way, with ErrClosed, and waits until nothing is.
func (f *Forwarder) Close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.stop()
	f.running.Wait()
}

// Forward returns the answer to a client's query, for a client that is reached over a
// stream or by UDP: no longer than that client takes, cut and with the TC bit set
// if need be. It has the query's id. If the query had an OPT record so has the answer, as
// its last record; see AddOptions.
//
// If all recursors fail and one said SERVFAIL, that is the answer, since it may say
// why. What else goes wrong is an error, which ExtendedError translates. It takes
// the time of Config.Timeout for each recursor at most, and no longer than ctx.
func (f *Forwarder) Forward(ctx context.Context, query []byte, stream bool) ([]byte, error) {
	q, err := readQuestion(query, stream, f.udpMax)
	if err != nil {
		return nil, err
	}
	m, err := f.ask(ctx, q)
	if err != nil {
		return nil, err
	}
	return q.answer(m), nil
}

// ask waits for the answer to a question, which is being asked already or is now.
func (f *Forwarder) ask(ctx context.Context, q *question) (*message, error) {
	fl, err := f.join(q)
	if err != nil {
		return nil, err
	}
	defer f.leave()
	select {
	case <-fl.done:
		return fl.answer, fl.err
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for recursors: %w", context.Cause(ctx))
	}
}

func (f *Forwarder) join(q *question) (*flight, error) {
	key := q.key()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, ErrClosed
	}
	fl, onItsWay := f.flights[key]
	// Flights are counted too, since they go on when nobody waits any more.
	if f.calls >= f.most || !onItsWay && len(f.flights) >= f.most {
		return nil, ErrBusy
	}
	f.calls++
	if !onItsWay {
		fl = &flight{done: make(chan struct{})}
		f.flights[key] = fl
		f.running.Go(func() { f.fly(key, fl, q) })
	}
	return fl, nil
}

func (f *Forwarder) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls--
}

// fly asks the recursors one after the other.
func (f *Forwarder) fly(key string, fl *flight, q *question) {
	defer func() {
		f.mu.Lock()
		delete(f.flights, key)
		f.mu.Unlock()
		close(fl.done)
	}()
	fl.answer, fl.err = f.askServers(q)
}

func (f *Forwarder) askServers(q *question) (*message, error) {
	var failed Unanswered
	var failure *message
	servers, probed := f.order()
	for _, u := range probed {
		f.running.Go(func() { f.probe(u, q) })
	}
	for _, u := range servers {
		m, err := f.try(u, q)
		switch {
		case f.ctx.Err() != nil:
			return nil, ErrClosed
		case err == nil && m.settles():
			return m, nil
		case err == nil:
			if failure == nil && len(m.question) > 0 && m.rcode() == rcodeServerFailure {
				failure = m
			}
			err = fmt.Errorf("rcode %d", m.rcode())
		}
		failed.Tries = append(failed.Tries, fmt.Errorf("%v: %w", u.address, err))
	}
	if failure != nil {
		return failure, nil
	}
	return nil, &failed
}

// try asks one recursor and notes how it did.
func (f *Forwarder) try(u *upstream, q *question) (m *message, err error) {
	defer func() {
		// What comes from the network must not take the whole process with it.
		if p := recover(); p != nil {
			err = fmt.Errorf("forwarding failed: %v\n%s", p, debug.Stack())
		}
	}()
	began := time.Now()
	m, err = f.exchange(u, q)
	if f.ctx.Err() == nil {
		f.report(u, began, err)
	}
	return m, err
}

func (f *Forwarder) shuffle(servers []*upstream) {
	rand.Shuffle(len(servers), func(i, j int) { servers[i], servers[j] = servers[j], servers[i] })
}
