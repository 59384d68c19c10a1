package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const servers = 3

// system is what is measured.
type system interface {
	name() string
	// command starts server i.
	command(i int) *exec.Cmd
	// put writes a key by way of server i.
	put(ctx context.Context, i int, key, value string) error
	// leader is the server that leads, as server i has it, or -1.
	leader(ctx context.Context, i int) (int, error)
}

// cluster is a system's processes.
type cluster struct {
	system
	dir     string
	running [servers]*exec.Cmd
}

func (c *cluster) start(ctx context.Context) error {
	for i := range servers {
		if err := c.launch(i); err != nil {
			return err
		}
	}
	return c.well(ctx)
}

func (c *cluster) launch(i int) error {
	cmd := c.command(i)
	log, err := os.OpenFile(filepath.Join(c.dir, fmt.Sprintf("log-%d", i)), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	c.running[i] = cmd
	return cmd.Start()
}

func (c *cluster) kill(i int) {
	if cmd := c.running[i]; cmd != nil && cmd.Process != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	c.running[i] = nil
}

func (c *cluster) end() {
	for i := range servers {
		c.kill(i)
	}
}

// wellTimeout is how long servers may take to be well.
const wellTimeout = time.Minute

// well waits until all servers agree on a leader and each takes a write.
func (c *cluster) well(ctx context.Context) error {
	why := errors.New("not asked")
	for begin := time.Now(); time.Since(begin) < wellTimeout; {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if why = c.isWell(ctx); why == nil {
			return nil
		}
		pause(ctx, 50*time.Millisecond)
	}
	return fmt.Errorf("%s is not well within %v: %w", c.name(), wellTimeout, why)
}

func (c *cluster) isWell(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	first := -1
	for i := range servers {
		l, err := c.leader(ctx, i)
		switch {
		case err != nil:
			return err
		case l < 0:
			return fmt.Errorf("server %d knows of no leader", i)
		case first >= 0 && l != first:
			return errors.New("the servers do not agree on a leader")
		}
		first = l
		if err := c.put(ctx, i, "well", "well"); err != nil {
			return err
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// newClient is a client as each server has one of its own, so that a dead server's connections are
// not another's trouble.
func newClient() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}}
}

// freeAddresses returns loopback addresses that nobody listens on.
func freeAddresses(n int) ([]string, error) {
	var all []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // all at the end, so that all differ
		all = append(all, l.Addr().String())
	}
	return all, nil
}

// environment is this process's, without what would configure a server.
func environment() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "HERALD_") && !strings.HasPrefix(e, "ETCD_") {
			env = append(env, e)
		}
	}
	return env
}
