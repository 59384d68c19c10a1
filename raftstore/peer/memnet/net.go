// Package memnet is a network in memory, for tests of what runs on several servers: each has a
// host with a name, and what lies between two hosts can be cut, delayed and healed. It
// owns the connections and what happens to bytes on their way; it refuses to know what
// they mean.
//
// Faults act as they do on a real network, on open connections too. Nothing is lost on a path
// that is cut: it is held back until the path heals, as TCP sends again. A dial hangs until
// then, or until its context ends. What has arrived can still be read. Sending goes on
// until 64 KiB are not acknowledged; acknowledgements travel the other way, so a cut in either
// direction stops the sender in the end.
//
// It works inside the bubbles of testing/synctest: who waits is blocked durably, and time is
// the bubble's. It starts no goroutines; timers do the waiting. Everything may be called from
// any goroutine. One mutex guards a whole Net.
package memnet

import (
	"context"
	"fmt"

	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	"herald/raftstore/peer"
)

// Net is a network of hosts.
type Net struct {
	mu sync.Mutex
	// changed wakes those who dial and accept.
	changed *sync.Cond

	// hosts has the process on each, nil after a Kill.
	hosts    map[string]*process
	links    map[*link]struct{} // the connections that are open on one side at least
	lastPort int

	cut      map[path]bool
	isolated map[string]bool
	delay    map[path]time.Duration
}

// path is one direction between two hosts, by name.
type path struct{ from, to string }

func (p path) back() path { return path{p.to, p.from} }

// process is what runs on a host, until it is killed.
type process struct {
	net  *Net
	host string

	// Under the net's mutex.
	dead      bool
	listeners map[int]*listener
}

var _ peer.Network = (*process)(nil)

// New returns a network without hosts.
func New() *Net {
	n := &Net{
		hosts:    make(map[string]*process),
		links:    make(map[*link]struct{}),
		lastPort: 1023,
		cut:      make(map[path]bool),
		isolated: make(map[string]bool),
		delay:    make(map[path]time.Duration),
	}
	n.changed = sync.NewCond(&n.mu)
	return n
}

// Host returns the host of a name, which is made if there is none. After a Kill it is
// another process on the same host.
func (n *Net) Host(name string) peer.Network {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.hosts[name] == nil {
		n.hosts[name] = &process{net: n, host: name, listeners: make(map[int]*listener)}
	}
	return n.hosts[name]
}

// addr is "name:port".
type addr string

func (addr) Network() string  { return "mem" }
func (a addr) String() string { return string(a) }

func addrOf(host string, port int) addr { return addr(net.JoinHostPort(host, strconv.Itoa(port))) }

func failed(op string, address string, err error) error {
	return &net.OpError{Op: op, Net: "mem", Addr: addr(address), Err: err}
}

// Listen binds "name:port" of this host. "" and ":port" mean the host itself, and port 0, or
// none, picks one that is free.
func (p *process) Listen(address string) (net.Listener, error) {
	name, port := p.host, 0
	if address != "" {
		var err error
		if name, port, err = split(address); err != nil {
			return nil, failed("listen", address, err)
		}
	}
	if name != "" && name != p.host {
		return nil, failed("listen", address, syscall.EADDRNOTAVAIL)
	}
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	if p.dead {
		return nil, failed("listen", address, errKilled)
	}
	if port == 0 {
		p.net.lastPort++
		port = p.net.lastPort
	}
	if p.listeners[port] != nil {
		return nil, failed("listen", address, syscall.EADDRINUSE)
	}
	l := &listener{process: p, port: port}
	p.listeners[port] = l
	return l, nil
}

var errKilled = fmt.Errorf("the host was killed: %w", net.ErrClosed)

func split(address string) (string, int, error) {
	name, service, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	port, err := strconv.ParseUint(service, 10, 16)
	return name, int(port), err
}

// Dial connects to "name:port". While the way there or back is cut it waits.
func (p *process) Dial(ctx context.Context, address string) (net.Conn, error) {
	name, port, err := split(address)
	if err != nil {
		return nil, failed("dial", address, err)
	}
	n := p.net
	wake := func() {
		n.mu.Lock()
		n.changed.Broadcast()
		n.mu.Unlock()
	}
	defer context.AfterFunc(ctx, wake)()

	n.mu.Lock()
	defer n.mu.Unlock()
	if _, known := n.hosts[name]; !known {
		return nil, failed("dial", address, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true})
	}
	way := path{p.host, name}
	due := time.Now().Add(n.delay[way] + n.delay[way.back()])
	if wait := time.Until(due); wait > 0 {
		defer time.AfterFunc(wait, wake).Stop()
	}
	for !n.isOpen(way) || !n.isOpen(way.back()) || time.Now().Before(due) {
		if ctx.Err() != nil {
			return nil, failed("dial", address, context.Cause(ctx))
		}
		if p.dead {
			return nil, failed("dial", address, errKilled)
		}
		n.changed.Wait()
	}
	if p.dead {
		return nil, failed("dial", address, errKilled)
	}
	var l *listener
	if there := n.hosts[name]; there != nil {
		l = there.listeners[port]
	}
	if l == nil {
		return nil, failed("dial", address, syscall.ECONNREFUSED)
	}
	n.lastPort++
	lk := newLink(p, l.process, addrOf(p.host, n.lastPort), addrOf(name, port))
	l.queue = append(l.queue, lk.accepted)
	n.changed.Broadcast()
	return lk.dialled, nil
}

// listener is a port that is listened on.
type listener struct {
	process *process
	port    int
	queue   []*conn
	closed  bool
}

func (l *listener) Accept() (net.Conn, error) {
	n := l.process.net
	n.mu.Lock()
	defer n.mu.Unlock()
	for len(l.queue) == 0 && !l.closed {
		n.changed.Wait()
	}
	if l.closed {
		return nil, failed("accept", string(addrOf(l.process.host, l.port)), net.ErrClosed)
	}
	c := l.queue[0]
	l.queue = l.queue[1:]
	return c, nil
}

func (l *listener) Addr() net.Addr { return addrOf(l.process.host, l.port) }

func (l *listener) Close() error {
	l.process.net.mu.Lock()
	defer l.process.net.mu.Unlock()
	if l.closed {
		return failed("close", string(addrOf(l.process.host, l.port)), net.ErrClosed)
	}
	l.closeLocked()
	return nil
}

// closeLocked also resets what nobody has accepted.
func (l *listener) closeLocked() {
	l.closed = true
	delete(l.process.listeners, l.port)
	for _, c := range l.queue {
		c.abortLocked(net.ErrClosed)
		c.closeLocked()
	}
	l.queue = nil
	l.process.net.changed.Broadcast()
}
