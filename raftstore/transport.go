package raftstore

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// The first byte of every connection to the peer port says what is spoken on it.
const (
	protoRaft byte = 1
	// protoRPC is Herald's own messages between servers. Nothing answers it yet.
	protoRPC byte = 2
)

// helloTimeout is how long a peer may take to say what it speaks.
const helloTimeout = 5 * time.Second

// peerPort listens where servers reach each other and hands each connection to
// what its first byte asks for. It is the net.Listener and the dialer of raft's
// own connections.
type peerPort struct {
	listener  net.Listener
	advertise net.Addr
	log       *slog.Logger

	raft chan net.Conn
	done chan struct{}
	stop sync.Once
	wg   sync.WaitGroup

	mu     sync.Mutex
	closed bool
	// accepted are the connections that are open. Raft's transport leaves those it was
	// given open when it is closed, each with a goroutine that reads from it.
	accepted map[*peerConn]struct{}
}

// peerConn is an accepted connection.
type peerConn struct {
	net.Conn
	port *peerPort
}

func (c *peerConn) Close() error {
	c.port.mu.Lock()
	delete(c.port.accepted, c)
	c.port.mu.Unlock()
	return c.Conn.Close()
}

var _ raft.StreamLayer = (*peerPort)(nil)

// listenPeers binds the peer port and starts to accept.
func listenPeers(cfg *Config) (*peerPort, error) {
	l, err := net.Listen("tcp", cfg.PeerAddress)
	if err != nil {
		return nil, fmt.Errorf("listen for peers on %s: %w: choose another peer address", cfg.PeerAddress, err)
	}
	p := &peerPort{
		listener:  l,
		advertise: l.Addr(),
		log:       cfg.Log,
		raft:      make(chan net.Conn),
		done:      make(chan struct{}),
		accepted:  make(map[*peerConn]struct{}),
	}
	if cfg.AdvertiseAddress != "" {
		p.advertise = peerAddr(cfg.AdvertiseAddress)
	}
	p.wg.Go(p.run)
	return p, nil
}

// peerAddr is an address by name, kept as given so that it is resolved on each dial.
type peerAddr string

func (peerAddr) Network() string  { return "tcp" }
func (a peerAddr) String() string { return string(a) }

func (p *peerPort) run() {
	var delay time.Duration
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			select {
			case <-p.done:
				return
			default:
			}
			// Such as too many open files: it passes.
			delay = min(max(2*delay, 5*time.Millisecond), time.Second)
			p.log.Warn("cannot accept a peer's connection", "error", err, "retry_in", delay)
			select {
			case <-time.After(delay):
			case <-p.done:
				return
			}
			continue
		}
		delay = 0
		p.mu.Lock()
		if p.closed {
			p.mu.Unlock()
			conn.Close()
			return
		}
		c := &peerConn{conn, p}
		p.accepted[c] = struct{}{}
		p.mu.Unlock()
		p.wg.Go(func() { p.route(c) })
	}
}

// route reads what a connection is for and passes it on.
func (p *peerPort) route(c *peerConn) {
	proto, err := readProto(c)
	if err == nil && proto == protoRaft {
		select {
		case p.raft <- c:
			return
		case <-p.done:
		}
	} else if err == nil {
		err = refuseProto(proto)
		p.log.Warn("refused a peer's connection", "from", c.RemoteAddr().String(), "error", err)
	}
	c.Close()
}

func readProto(c net.Conn) (byte, error) {
	var b [1]byte
	if err := c.SetReadDeadline(time.Now().Add(helloTimeout)); err != nil {
		return 0, err
	}
	if _, err := c.Read(b[:]); err != nil {
		return 0, err
	}
	return b[0], c.SetReadDeadline(time.Time{})
}

func refuseProto(proto byte) error {
	if proto == protoRPC {
		return errors.New("internal RPC is not served by this version: upgrade every server of the cluster")
	}
	return fmt.Errorf("unknown peer protocol %d: is that another program's port?", proto)
}

// Accept returns the next connection that speaks raft.
func (p *peerPort) Accept() (net.Conn, error) {
	select {
	case c := <-p.raft:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// Dial opens a connection that speaks raft.
func (p *peerPort) Dial(to raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	c, err := net.DialTimeout("tcp", string(to), timeout)
	if err != nil {
		return nil, err
	}
	if err := sayProto(c, protoRaft, timeout); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func sayProto(c net.Conn, proto byte, timeout time.Duration) error {
	if err := c.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	if _, err := c.Write([]byte{proto}); err != nil {
		return err
	}
	return c.SetWriteDeadline(time.Time{})
}

// Addr is where other servers reach this one.
func (p *peerPort) Addr() net.Addr { return p.advertise }

// Close stops listening, ends what it accepted and waits for its own goroutines.
func (p *peerPort) Close() error {
	var err error
	p.stop.Do(func() {
		close(p.done)
		err = p.listener.Close()
		p.mu.Lock()
		p.closed = true
		for c := range p.accepted {
			c.Conn.Close()
		}
		p.mu.Unlock()
	})
	p.wg.Wait()
	return err
}

// newTransport is raft's transport over the peer port. It speaks pre-vote: it is
// used as it is, since a wrapper that hid that method would turn pre-vote off.
func newTransport(p *peerPort, cfg *Config) *raft.NetworkTransport {
	return raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream:                  p,
		MaxPool:                 3,
		Timeout:                 cfg.PeerTimeout,
		Logger:                  newRaftLog(cfg.Log, "transport"),
		MsgpackUseNewTimeFormat: true,
	})
}

var _ raft.WithPreVote = (*raft.NetworkTransport)(nil)
