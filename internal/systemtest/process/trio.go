//go:build unix

package process

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"herald/httpserver/api"
	"herald/registry"
)

// Trio is a cluster of three servers on loopback. Their addresses stay the same when they
// are started again, but for DNS.
type Trio struct {
	HTTP, Peers, Etcd [3]string
	Servers           [3]*Process

	t      *testing.T
	launch func(i int) *Process
	fourth func() (peer string, launch func() *Process)
}

// NewTrio starts three servers that know nothing of a cluster yet, with args beside what makes
// them one, and waits until they are.
func NewTrio(t *testing.T, args ...string) *Trio {
	t.Helper()
	c := &Trio{t: t}
	free, dir := FreeAddresses(t, 9), t.TempDir()
	copy(c.HTTP[:], free[:3])
	copy(c.Peers[:], free[3:6])
	copy(c.Etcd[:], free[6:])
	c.launch = func(i int) *Process {
		return Launch(t, append([]string{"server", "--node-name", Name(i), "--node-address", "127.0.0.1", "--data-dir", filepath.Join(dir, Name(i)),
			"--peer-address", c.Peers[i], "--http-address", c.HTTP[i], "--dns-address", "127.0.0.1:0", "--etcd-address", c.Etcd[i],
			"--bootstrap-expect", "3", "--join", strings.Join(c.Peers[:], ","), "--raft-segment-bytes", "4194304", "--raft-stabilization-time", "1s"},
			args...)...)
	}
	c.fourth = func() (string, func() *Process) {
		free := FreeAddresses(t, 3)
		return free[0], func() *Process {
			return Launch(t, append([]string{"server", "--node-name", Name(3), "--node-address", "127.0.0.1", "--data-dir", filepath.Join(dir, Name(3)),
				"--peer-address", free[0], "--http-address", free[1], "--dns-address", "127.0.0.1:0", "--etcd-address", free[2],
				"--join", strings.Join(c.Peers[:], ","), "--raft-stabilization-time", "1s"}, args...)...)
		}
	}
	c.start()
	return c
}

// start starts all three, and waits until each is ready.
func (c *Trio) start() {
	c.t.Helper()
	var wg sync.WaitGroup
	for i := range c.Servers {
		wg.Go(func() { c.Servers[i] = c.launch(i) })
	}
	wg.Wait()
	if slices.Contains(c.Servers[:], nil) {
		c.t.FailNow() // its launch said why
	}
	for _, p := range c.Servers {
		p.AwaitReady()
	}
}

// Restart starts servers again whose processes have ended, and waits until they are ready.
func (c *Trio) Restart(all ...int) {
	c.t.Helper()
	for _, i := range all {
		c.Servers[i] = c.launch(i)
	}
	for _, i := range all {
		c.Servers[i].AwaitReady()
	}
}

// Fourth is a server beside the three that does not run yet: where the others will reach it, and
// what starts it as one that joins them. Nobody says that it is ready, nor that it has joined.
func (c *Trio) Fourth() (peer string, launch func() *Process) { return c.fourth() }

// Name is what the server at i is called.
func Name(i int) string { return fmt.Sprintf("herald-%d", i+1) }

// Others are the servers but one.
func Others(i int) (a, b int) { return (i + 1) % 3, (i + 2) % 3 }

// Members asks one server for all.
func (c *Trio) Members(ask int) api.Members {
	c.t.Helper()
	var m api.Members
	if err := json.Unmarshal([]byte(c.Servers[ask].Herald("members", "-o", "json")), &m); err != nil {
		c.t.Fatal(err)
	}
	return m
}

// Leader returns the server that leads, once a server knows of one that is alive. It fails the test
// if that takes more than 15 s.
func (c *Trio) Leader(ask int) int {
	c.t.Helper()
	at := -1
	Eventually(c.t, 15*time.Second, "a leader", func() error {
		for _, m := range c.Members(ask).Members {
			if m.Leader && m.Alive {
				for i := range c.Servers {
					if m.Name == Name(i) {
						at = i
						return nil
					}
				}
			}
		}
		return fmt.Errorf("%s knows of none", Name(ask))
	})
	return at
}

// AwaitTolerance waits until the members are as they should be, for 15 s at most.
func (c *Trio) AwaitTolerance(ask int, want registry.Tolerance) {
	c.t.Helper()
	Eventually(c.t, 15*time.Second, "the members", func() error {
		if got := c.Members(ask).Tolerance; got != want {
			return fmt.Errorf("%+v, want %+v", got, want)
		}
		return nil
	})
}
