package chaosdoor

import (
	"context"
	"fmt"
	"net"
	"sync"

	"herald/registry/plugin"
)

// Config is the door's settings.
type Config struct {
	Address string `config:"address" usage:"address of the test door"`
}

// Door serves the store to a test program.
type Door struct {
	config   Config
	host     *plugin.Host
	listener net.Listener

	mu    sync.Mutex
	links map[*link]struct{}
	ended bool
	wg    sync.WaitGroup
}

var _ plugin.Door = (*Door)(nil)

// Config implements plugin.Door.
func (d *Door) Config() any { return &d.config }

// Validate implements plugin.Door.
func (d *Door) Validate() error {
	if _, _, err := net.SplitHostPort(d.config.Address); err != nil {
		return fmt.Errorf("address: %w", err)
	}
	return nil
}

// Open implements plugin.Door.
func (d *Door) Open(ctx context.Context, h *plugin.Host) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", d.config.Address)
	if err != nil {
		return &plugin.ListenError{Setting: "address", Address: d.config.Address, Err: err}
	}
	d.host, d.listener, d.links = h, l, map[*link]struct{}{}
	return nil
}

// Addresses implements plugin.Door.
func (d *Door) Addresses() []plugin.Address {
	return []plugin.Address{{Network: "tcp", Address: d.listener.Addr().String(), Use: "the store, for tests"}}
}

// Run implements plugin.Door. What is under way when ctx ends is cut off: its outcome is
// unknown to its caller, as with any server that goes away.
func (d *Door) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { d.listener.Close() })
	defer stop()
	var failed error
	for {
		c, err := d.listener.Accept()
		if err != nil {
			if ctx.Err() == nil {
				failed = err
			}
			break
		}
		if l := newLink(c); d.admit(l) {
			d.wg.Go(func() { d.serve(ctx, l) })
		}
	}
	d.listener.Close()
	d.endLinks()
	d.wg.Wait()
	return failed
}

func (d *Door) admit(l *link) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended {
		l.Close()
		return false
	}
	d.links[l] = struct{}{}
	return true
}

func (d *Door) endLinks() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = true
	for l := range d.links {
		l.Close()
	}
}

// serve answers one connection's calls until it ends.
func (d *Door) serve(ctx context.Context, l *link) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer func() {
		l.Close()
		d.mu.Lock()
		delete(d.links, l)
		d.mu.Unlock()
	}()
	for {
		var req request
		if err := l.dec.Decode(&req); err != nil {
			return
		}
		if req.Watch != nil {
			d.serveWatch(ctx, l, &req)
			return
		}
		resp := d.answer(ctx, &req)
		if err := l.enc.Encode(resp); err != nil {
			return
		}
	}
}
