package httpserver

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"herald/registry/plugin"
)

// Door serves HTTP on one address. Its methods are called as plugin.Door says.
type Door struct {
	cfg      Config
	listener net.Listener
	server   *http.Server
	surface  *surface
	host     *plugin.Host
	// linger is how long a door that stops goes on taking requests on the connections that
	// it has; connections counts them.
	linger      time.Duration
	connections atomic.Int64
}

// lingerFor is as long as a client needs to send what it was about to.
const lingerFor = 100 * time.Millisecond

var _ plugin.Door = (*Door)(nil)

// New returns a door with the default settings that has taken nothing yet.
func New() *Door { return &Door{cfg: DefaultConfig(), linger: lingerFor} }

// Config implements plugin.Door; it is a *Config.
func (d *Door) Config() any { return &d.cfg }

// Validate implements plugin.Door.
func (d *Door) Validate() error { return d.cfg.Validate() }

// Open implements plugin.Door.
func (d *Door) Open(ctx context.Context, h *plugin.Host) error {
	surface, err := newSurface(d.cfg, h)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", d.cfg.Address)
	if err != nil {
		return &plugin.ListenError{Setting: "address", Address: d.cfg.Address, Err: err}
	}
	d.host, d.surface, d.listener = h, surface, listener
	d.server = &http.Server{
		Handler:           newRouter(surface),
		ReadHeaderTimeout: d.cfg.ReadHeaderTimeout,
		IdleTimeout:       d.cfg.IdleTimeout,
		ConnState:         d.count,
		ErrorLog:          slog.NewLogLogger(surface.log.Handler(), slog.LevelDebug),
	}
	return nil
}

// count keeps connections.
func (d *Door) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		d.connections.Add(1)
	case http.StateClosed, http.StateHijacked:
		d.connections.Add(-1)
	}
}

// bidFarewell lets clients end their connections themselves, which the answers tell them
// to do from now on. A connection that is closed from here while a request is
// on its way leaves its client in the dark about what became of that.
func (d *Door) bidFarewell() {
	over := time.NewTimer(min(d.linger, d.host.DrainTimeout))
	defer over.Stop()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for d.connections.Load() > 0 {
		select {
		case <-look.C:
		case <-over.C:
			return
		}
	}
}

// Addresses implements plugin.Door.
func (d *Door) Addresses() []plugin.Address {
	if d.listener == nil {
		return nil
	}
	return []plugin.Address{{Network: "tcp", Address: d.listener.Addr().String(), Use: "Consul's HTTP API"}}
}

// Run implements plugin.Door.
func (d *Door) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- d.server.Serve(d.listener) }()
	select {
	case err := <-served:
		d.surface.close()
		return errors.Join(err, d.server.Close())
	case <-ctx.Done():
	}
	// Blocked queries answer now; they would hold the shutdown up.
	d.surface.close()
	d.bidFarewell()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.host.DrainTimeout)
	defer cancel()
	err := d.server.Shutdown(drain)
	if err != nil { // out of time: what is left is cut off
		d.surface.log.Warn("requests were cut off at shutdown", "drain_timeout", d.host.DrainTimeout)
		err = d.server.Close()
	}
	if serr := <-served; !errors.Is(serr, http.ErrServerClosed) {
		err = errors.Join(err, serr)
	}
	d.surface.settle()
	return err
}
