package grpcserver

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"

	"herald/registry/plugin"
)

// idleTimeout is how long an HTTP connection is kept that asks nothing.
const idleTimeout = 2 * time.Minute

// Door serves etcd's API on one address. Its methods are called as plugin.Door says.
type Door struct {
	config   Config
	host     *plugin.Host
	core     *core
	splitter *splitter
	grpc     *grpc.Server
	gateway  *gateway
	http     *http.Server
}

var (
	_ plugin.Door      = (*Door)(nil)
	_ plugin.Readiness = (*Door)(nil)
)

// New returns a door with the default settings that has taken nothing yet.
func New() *Door { return &Door{config: DefaultConfig()} }

// Config implements plugin.Door; it is a *Config.
func (d *Door) Config() any { return &d.config }

// Validate implements plugin.Door.
func (d *Door) Validate() error { return d.config.Validate() }

// Open implements plugin.Door.
func (d *Door) Open(ctx context.Context, h *plugin.Host) error {
	if h.Store == nil {
		return errors.New("etcd: an agent's process holds no store; etcd's clients speak with a server")
	}
	secure, err := d.config.secured(h.Log)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", d.config.Address)
	if err != nil {
		return &plugin.ListenError{Setting: "address", Address: d.config.Address, Err: err}
	}
	d.host = h
	d.splitter = newSplitter(listener, secure, h.Log)
	d.core = newCore(d.config, h)
	d.core.record = memberRecord{Name: h.Node, ClientURLs: clientURLs(&d.config, listener.Addr(), h.Peer)}
	d.grpc = newServer(d.core)
	d.gateway, err = newGateway(d.core)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	d.http = &http.Server{
		Handler:           d.core.routes(d.gateway, h.MetricsHandler),
		ReadHeaderTimeout: speakTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		// What clients do wrong is theirs to hear of.
		ErrorLog: slog.NewLogLogger(h.Log.Handler(), slog.LevelDebug),
	}
	return nil
}

// Addresses implements plugin.Door.
func (d *Door) Addresses() []plugin.Address {
	if d.splitter == nil {
		return nil
	}
	return []plugin.Address{{Network: "tcp", Address: d.splitter.Addr().String(), Use: "etcd's v3 API"}}
}

// Ready implements plugin.Readiness: until the member list says where clients reach this server,
// they are told to go elsewhere. Once it has, the server is sent clients also when it falls behind.
func (d *Door) Ready() error {
	if d.core.wasListed.Load() {
		return nil
	}
	err := d.core.listed(d.core.stopping)
	if err == nil {
		d.core.wasListed.Store(true)
	}
	return err
}

// Run implements plugin.Door.
func (d *Door) Run(ctx context.Context) error {
	d.core.start()
	served := make(chan error, 4)
	serve := func(f func() error) { go func() { served <- f() }() }
	serve(d.splitter.accept)
	serve(func() error { return d.grpc.Serve(d.splitter.http2) })
	serve(func() error { return d.grpc.Serve(d.gateway.listener) })
	serve(func() error { return d.http.Serve(d.splitter.http1) })

	var first error
	running := cap(served)
	select {
	case first = <-served:
		running--
	case <-ctx.Done():
	}
	d.core.stop(rpctypes.ErrGRPCStopped) // streams end now; they would hold the shutdown up
	d.shutdown(ctx)
	for ; running > 0; running-- {
		err := <-served
		if first == nil {
			first = err
		}
	}
	d.core.background.Wait()
	if errors.Is(first, net.ErrClosed) || errors.Is(first, http.ErrServerClosed) || errors.Is(first, grpc.ErrServerStopped) {
		return nil
	}
	return first
}

// shutdown lets what is under way finish, and closes everything.
func (d *Door) shutdown(ctx context.Context) {
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.host.DrainTimeout)
	defer cancel()
	d.splitter.Close()
	if d.http.Shutdown(drain) != nil {
		d.http.Close()
	}
	d.gateway.Close()
	over := context.AfterFunc(drain, d.grpc.Stop)
	d.grpc.GracefulStop()
	over()
	d.grpc.Stop()
}
