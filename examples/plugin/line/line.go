// Package line is a door that speaks lines of text: "get KEY" answers with the
// key's value, "find SERVICE" with the addresses of its healthy instances. An
// answer begins with "ok" or "error".
//
// Each connection has a goroutine; Run owns and waits for all of them.
package line

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"herald/registry"
	"herald/registry/plugin"
)

const defaultIdle = time.Minute

// Config is the door's settings.
type Config struct {
	Address     string        `config:"address" usage:"address of the line door"`
	IdleTimeout time.Duration `config:"idle_timeout" usage:"how long a connection may say nothing"`
}

// Door is the line door.
type Door struct {
	config   Config
	host     *plugin.Host
	listener net.Listener
	requests plugin.Counter

	mu    sync.Mutex
	conns map[net.Conn]struct{}
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
	if d.config.IdleTimeout <= 0 {
		return fmt.Errorf("idle_timeout is %v: it must be positive", d.config.IdleTimeout)
	}
	return nil
}

// Open implements plugin.Door.
func (d *Door) Open(ctx context.Context, h *plugin.Host) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", d.config.Address)
	if err != nil {
		return &plugin.ListenError{Setting: "address", Address: d.config.Address, Err: err}
	}
	d.host, d.listener, d.conns = h, l, map[net.Conn]struct{}{}
	d.requests = h.Metrics.Counter("herald_line_requests_total", "Lines answered, by word.", "word")
	return nil
}

// Addresses implements plugin.Door.
func (d *Door) Addresses() []plugin.Address {
	return []plugin.Address{{Network: "tcp", Address: d.listener.Addr().String(), Use: "lines of text"}}
}

// Run implements plugin.Door.
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
		if d.admit(c) {
			d.wg.Go(func() { d.serve(ctx, c) })
		}
	}
	d.listener.Close()
	d.endConns()
	d.wg.Wait()
	return failed
}

// admit remembers a connection, so that it can be ended.
func (d *Door) admit(c net.Conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended {
		c.Close()
		return false
	}
	d.conns[c] = struct{}{}
	return true
}

// endConns stops reading from every connection; a line that is being answered
// is still answered.
func (d *Door) endConns() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = true
	for c := range d.conns {
		c.SetReadDeadline(time.Unix(1, 0))
	}
}

func (d *Door) serve(ctx context.Context, c net.Conn) {
	defer func() {
		c.Close()
		d.mu.Lock()
		delete(d.conns, c)
		d.mu.Unlock()
	}()
	lines := bufio.NewScanner(c)
	for ctx.Err() == nil {
		c.SetReadDeadline(time.Now().Add(d.config.IdleTimeout))
		if !lines.Scan() {
			return
		}
		answerCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.host.DrainTimeout)
		answer := d.answer(answerCtx, lines.Text())
		cancel()
		if _, err := fmt.Fprintln(c, answer); err != nil {
			return
		}
	}
}

func (d *Door) answer(ctx context.Context, line string) string {
	word, arg, _ := strings.Cut(strings.TrimSpace(line), " ")
	switch word {
	case "get":
		d.requests.With("get").Inc()
		return d.get(ctx, arg)
	case "find":
		d.requests.With("find").Inc()
		return d.find(arg)
	default:
		return "error: say get KEY or find SERVICE"
	}
}

func (d *Door) get(ctx context.Context, key string) string {
	if d.host.Store == nil {
		return "error: this process is an agent and holds no keys; ask a server"
	}
	r, err := d.host.Store.Range(ctx, registry.RangeRequest{KeyRange: registry.One(key)})
	switch {
	case err != nil:
		return "error: " + err.Error()
	case len(r.KVs) == 0:
		return "error: no key " + key
	default:
		return "ok " + string(r.KVs[0].Value)
	}
}

func (d *Door) find(service string) string {
	s := d.host.Catalog.Index().Service(service)
	if s == nil {
		return "error: no service " + service
	}
	answer := "ok"
	for _, i := range s.Serving(false) {
		address := i.Address
		if address == "" {
			address = i.Host.Address
		}
		answer += " " + net.JoinHostPort(address, fmt.Sprint(i.Port))
	}
	return answer
}
