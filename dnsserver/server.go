package dnsserver

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"time"

	"herald/registry/plugin"

	"github.com/miekg/dns"
)

const (
	addressSetting = "address"
	// bindTries is how often a port is chosen before giving up on one that is
	// free for both UDP and TCP.
	bindTries = 16
	// tcpFirstRead is how long a new connection may take to send its first query,
	// and tcpWrite how long it may take to receive an answer.
	tcpFirstRead = 5 * time.Second
	tcpWrite     = 5 * time.Second
	// udpReceiveBuffer is what the kernel is asked to hold of packets that wait.
	udpReceiveBuffer = 4 << 20
)

// Door is the DNS door.
type Door struct {
	config Config
	drain  time.Duration
	udp    *net.UDPConn
	tcp    *tcpListener
	// servers are the one for udp and the one for tcp.
	servers []*dns.Server
}

var _ plugin.Door = (*Door)(nil)

// New returns a door with the default settings that has taken nothing yet.
func New() *Door { return &Door{config: DefaultConfig()} }

// Config returns the settings, a *Config.
func (d *Door) Config() any { return &d.config }

// Validate says what is wrong with the settings.
func (d *Door) Validate() error { return d.config.Validate() }

// Open binds the UDP and the TCP socket.
func (d *Door) Open(ctx context.Context, h *plugin.Host) error {
	r, err := newResponder(&d.config, h.Node, h.Datacenter)
	if err != nil {
		return fmt.Errorf("dns: %w", err)
	}
	if problem := datacenterLabelProblem(h.Datacenter); problem != "" {
		h.Log.Warn("dns: names are given without the datacenter, and cannot be asked for with it", "datacenter", h.Datacenter, "because", problem)
	}
	udp, tcp, err := bind(ctx, d.config.Address)
	if err != nil {
		return &plugin.ListenError{Setting: addressSetting, Address: d.config.Address, Err: err}
	}
	// A smaller buffer than asked for only drops packets sooner.
	_ = udp.SetReadBuffer(udpReceiveBuffer)
	d.udp, d.tcp = udp, newTCPListener(tcp, d.config.TCPConnections, tcpWrite)
	d.drain = h.DrainTimeout

	over := handler{
		responder: r,
		catalog:   h.Catalog,
		metrics:   newMetrics(h.Metrics),
		log:       h.Log,
		random:    rand.New(anyOrder{}),
		buffers:   &sync.Pool{},
	}
	overTCP := over
	overTCP.stream = true
	d.servers = []*dns.Server{
		{PacketConn: udp, Handler: &over, UDPSize: receiveSize},
		{
			Listener: d.tcp, Handler: &overTCP, MaxTCPQueries: -1, ReadTimeout: tcpFirstRead,
			IdleTimeout: func() time.Duration { return d.config.TCPIdleTimeout },
		},
	}
	for _, s := range d.servers {
		s.MsgAcceptFunc = over.accept
		s.MsgInvalidFunc = over.invalid
	}
	return nil
}

// bind takes a UDP and a TCP socket on one port.
func bind(ctx context.Context, address string) (*net.UDPConn, net.Listener, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, nil, err
	}
	var lc net.ListenConfig
	for try := 1; ; try++ {
		packets, err := lc.ListenPacket(ctx, "udp", address)
		if err != nil {
			return nil, nil, err
		}
		udp := packets.(*net.UDPConn)
		chosen := udp.LocalAddr().(*net.UDPAddr).Port
		tcp, err := lc.Listen(ctx, "tcp", net.JoinHostPort(host, fmt.Sprint(chosen)))
		if err == nil {
			return udp, tcp, nil
		}
		udp.Close()
		// With port 0 the system chose one that was free for UDP only.
		if port != "0" || try == bindTries || !errors.Is(err, syscall.EADDRINUSE) {
			return nil, nil, err
		}
	}
}

// Addresses are the UDP and the TCP address, which have the same port.
func (d *Door) Addresses() []plugin.Address {
	const use = "DNS"
	return []plugin.Address{
		{Network: "udp", Address: d.udp.LocalAddr().String(), Use: use},
		{Network: "tcp", Address: d.tcp.Addr().String(), Use: use},
	}
}

// Run answers queries until ctx ends.
func (d *Door) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error)
	for _, s := range d.servers {
		go func() { ended <- d.serve(ctx, s) }()
	}
	var errs []error
	for range d.servers {
		if err := <-ended; err != nil {
			errs = append(errs, fmt.Errorf("dns: %w", err))
		}
		// Half a DNS server is none: clients change from UDP to TCP.
		stop()
	}
	return errors.Join(errs...)
}

// serve runs one server until ctx ends, and then until the queries it has read are
// answered, or the time for that is over.
func (d *Door) serve(ctx context.Context, s *dns.Server) error {
	started, ended := make(chan struct{}), make(chan error, 1)
	s.NotifyStartedFunc = func() { close(started) }
	go func() { ended <- s.ActivateAndServe() }()
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
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.drain)
	defer cancel()
	if s.ShutdownContext(drain) != nil && s.Listener != nil {
		d.tcp.closeConns()
	}
	return <-ended
}
