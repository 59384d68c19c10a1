package dnsserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"syscall"
	"time"

	"herald/registry/plugin"
)

const (
	addressSetting          = "address"
	furtherAddressesSetting = "further_addresses"
	tlsAddressSetting       = "tls_address"
	// bindTries is how often a port is chosen before giving up on one that is
	// free for both UDP and TCP.
	bindTries = 16
	// udpReceiveBuffer is what the kernel is asked to hold of packets that wait.
	udpReceiveBuffer = 4 << 20
	// maxUDPSockets bounds how many sockets share the packets of one address.
	maxUDPSockets = 16
)

// Door is the DNS door.
type Door struct {
	config Config
	drain  time.Duration

	addresses []plugin.Address
	// serving are what Run runs: each serves until its context ends, and closes what it has.
	serving []interface {
		serve(ctx context.Context) error
	}
	closers []io.Closer
}

var _ plugin.Door = (*Door)(nil)

// New returns a door with the default settings that has taken nothing yet.
func New() *Door { return &Door{config: DefaultConfig()} }

// Config returns the settings, a *Config.
func (d *Door) Config() any { return &d.config }

// Validate says what is wrong with the settings.
func (d *Door) Validate() error { return d.config.Validate() }

// Open binds the UDP and TCP sockets.
func (d *Door) Open(ctx context.Context, h *plugin.Host) (err error) {
	r, err := newResponder(&d.config, h.Node, h.Datacenter)
	if err != nil {
		return fmt.Errorf("dns: %w", err)
	}
	r.queries = storedQueries(h.Store)
	following, err := followKeys(&d.config, h)
	if err != nil {
		return fmt.Errorf("dns: %w", err)
	}
	if problem := datacenterLabelProblem(h.Datacenter); problem != "" {
		h.Log.Warn("dns: names are given without the datacenter, and cannot be asked for with it", "datacenter", h.Datacenter, "because", problem)
	}
	d.drain = h.DrainTimeout
	defer func() {
		if err != nil {
			for _, c := range d.closers {
				c.Close()
			}
			d.addresses, d.serving, d.closers = nil, nil, nil
		}
	}()
	over := &handler{
		responder: r, catalog: h.Catalog, metrics: newMetrics(h.Metrics), log: h.Log, freshness: newFreshness(h.Catalog), clock: time.Now,
		random: rand.New(anyOrder{}), buffers: &sync.Pool{},
	}
	if following != nil {
		r.tree, over.treeFreshness = following.Tree, newFreshness(following)
		following.measure(h.Metrics, over.treeFreshness)
		d.serving = append(d.serving, following, over.treeFreshness)
	}
	if over.recursors, err = newForwarder(&d.config, h.Log, h.Metrics); err != nil {
		return fmt.Errorf("dns: recursors: %w", err)
	}
	if over.recursors != nil {
		d.serving = append(d.serving, forwarding{over.recursors})
		d.closers = append(d.closers, closerFunc(over.recursors.Close))
	}
	if over.limiter, err = newLimiter(&d.config); err != nil {
		return fmt.Errorf("dns: max_queries_per_second: %w", err)
	}
	over.limited = h.Metrics.Counter("herald_dns_limited_total", "DNS queries that were over what one client may ask, and not answered or only truncated.").With()
	h.Metrics.Gauge("herald_dns_catalog_age_seconds", "How old the catalog that DNS answers from may be.", over.freshness.seconds)
	d.serving = append(d.serving, over.freshness)
	if err := d.listen(ctx, over, addressSetting, d.config.Address); err != nil {
		return err
	}
	for _, address := range d.config.FurtherAddresses {
		if err := d.listen(ctx, over, furtherAddressesSetting, address); err != nil {
			return err
		}
	}
	return d.listenTLS(ctx, over)
}

// closerFunc is an io.Closer that cannot fail.
type closerFunc func()

func (f closerFunc) Close() error {
	f()
	return nil
}

// listenTLS binds the socket for DNS over TLS, if there is to be one.
func (d *Door) listenTLS(ctx context.Context, h *handler) error {
	if d.config.TLSAddress == "" {
		return nil
	}
	secure, err := d.config.certificates().Config(h.log, "dot")
	if err != nil {
		return fmt.Errorf("dns: %w", err)
	}
	var lc net.ListenConfig
	tcp, err := lc.Listen(ctx, "tcp", d.config.TLSAddress)
	if err != nil {
		return &plugin.ListenError{Setting: tlsAddressSetting, Address: d.config.TLSAddress, Err: err}
	}
	d.closers = append(d.closers, tcp)
	d.serving = append(d.serving, d.newStreamServer(h, tcp, secure))
	d.addresses = append(d.addresses, plugin.Address{Network: "tcp", Address: tcp.Addr().String(), Use: "DNS over TLS"})
	return nil
}

// listen binds a UDP and a TCP socket on one port, with as many more UDP sockets on it as there are
// processors to answer with.
func (d *Door) listen(ctx context.Context, h *handler, setting, address string) error {
	udp, tcp, err := bind(ctx, address)
	if err != nil {
		return &plugin.ListenError{Setting: setting, Address: address, Err: err}
	}
	d.closers = append(d.closers, udp, tcp)
	sockets := []*net.UDPConn{udp}
	for len(sockets) < min(runtime.GOMAXPROCS(0), maxUDPSockets) {
		next, err := bindBeside(ctx, udp)
		if err != nil {
			if !errors.Is(err, errors.ErrUnsupported) {
				h.log.Warn("dns: packets are answered by fewer sockets than there are processors", "address", address, "sockets", len(sockets), "err", err)
			}
			break
		}
		d.closers = append(d.closers, next)
		sockets = append(sockets, next)
	}
	for _, conn := range sockets {
		// A smaller buffer than asked for only drops packets sooner.
		_ = conn.SetReadBuffer(udpReceiveBuffer)
		s, err := newUDPServer(h, conn)
		if err != nil {
			return err
		}
		d.serving = append(d.serving, s)
	}
	d.serving = append(d.serving, d.newStreamServer(h, tcp, nil))
	const use = "DNS"
	d.addresses = append(d.addresses,
		plugin.Address{Network: "udp", Address: udp.LocalAddr().String(), Use: use},
		plugin.Address{Network: "tcp", Address: tcp.Addr().String(), Use: use})
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

// bindBeside takes another UDP socket on the address of one, for a part of its packets. Only that one is
// bound without leave to share, so that an address which another process has is still found to be taken.
func bindBeside(ctx context.Context, udp *net.UDPConn) (*net.UDPConn, error) {
	raw, err := udp.SyscallConn()
	if err != nil {
		return nil, err
	}
	if err := shareable(raw); err != nil {
		return nil, err
	}
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error { return shareable(raw) }}
	next, err := lc.ListenPacket(ctx, "udp", udp.LocalAddr().String())
	if err != nil {
		return nil, err
	}
	return next.(*net.UDPConn), nil
}

// Addresses are the UDP and the TCP address, which have the same port, of each address that is answered on.
func (d *Door) Addresses() []plugin.Address { return d.addresses }

// Run answers queries until ctx ends.
func (d *Door) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error)
	for _, s := range d.serving {
		go func() { ended <- s.serve(ctx) }()
	}
	var errs []error
	for range d.serving {
		if err := <-ended; err != nil {
			errs = append(errs, fmt.Errorf("dns: %w", err))
		}
		// Half a DNS server is none: clients change from UDP to TCP.
		stop()
	}
	return errors.Join(errs...)
}
