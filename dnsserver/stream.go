package dnsserver

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"github.com/miekg/dns"
)

const (
	// tcpFirstRead is how long a new connection may take to send its first query,
	// and tcpWrite how long it may take to receive an answer.
	tcpFirstRead = 5 * time.Second
	tcpWrite     = 5 * time.Second
)

// streamServer answers over the connections of one listener.
type streamServer struct {
	listener *tcpListener
	server   *dns.Server
	drain    time.Duration
}

// newStreamServer answers over the connections of a listener, over TLS if secure is not nil.
func (d *Door) newStreamServer(h *handler, l net.Listener, secure *tls.Config) *streamServer {
	bounded := newTCPListener(l, d.config.TCPConnections, tcpWrite)
	var over net.Listener = bounded
	if secure != nil {
		over = tls.NewListener(bounded, secure)
	}
	return &streamServer{
		listener: bounded,
		drain:    d.drain,
		server: &dns.Server{
			Listener: over, Handler: h, MaxTCPQueries: -1, ReadTimeout: tcpFirstRead,
			IdleTimeout:   func() time.Duration { return d.config.TCPIdleTimeout },
			MsgAcceptFunc: h.accept, MsgInvalidFunc: h.invalid,
		},
	}
}

// serve answers until ctx ends, and then until the queries that were read are answered, or the
// time for that is over.
func (s *streamServer) serve(ctx context.Context) error {
	started, ended := make(chan struct{}), make(chan error, 1)
	s.server.NotifyStartedFunc = func() { close(started) }
	go func() { ended <- s.server.ActivateAndServe() }()
	select {
	case <-started: // a server that has not started cannot be shut down
	case err := <-ended:
		return err
	}
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.drain)
	defer cancel()
	if s.server.ShutdownContext(drain) != nil {
		s.listener.closeConns()
	}
	return <-ended
}
