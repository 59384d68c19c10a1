//go:build e2e

package systemtest

import (
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"herald/httpserver/api"
	"herald/registry"
)

// trio is a cluster of three servers on loopback. Their HTTP and peer addresses stay
// the same when they are started again.
type trio struct {
	t       *testing.T
	dir     string
	http    [3]string
	peers   [3]string
	servers [3]*process
}

// newTrio starts three servers that know nothing of a cluster yet, and waits until they are one.
func newTrio(t *testing.T) *trio {
	t.Helper()
	c := &trio{t: t, dir: t.TempDir()}
	free := freeAddresses(t, 6)
	copy(c.http[:], free[:3])
	copy(c.peers[:], free[3:])
	var wg sync.WaitGroup
	for i := range c.servers {
		wg.Go(func() { c.servers[i] = c.launch(i) })
	}
	wg.Wait()
	for _, p := range c.servers {
		if p == nil {
			t.FailNow()
		}
		p.awaitReady()
	}
	return c
}

func (c *trio) launch(i int) *process {
	return launch(c.t, "server", "--node-name", name(i), "--node-address", "127.0.0.1", "--data-dir", filepath.Join(c.dir, name(i)),
		"--peer-address", c.peers[i], "--http-address", c.http[i], "--dns-address", "127.0.0.1:0", "--etcd-address", "127.0.0.1:0",
		"--bootstrap-expect", "3", "--join", strings.Join(c.peers[:], ","), "--raft-segment-bytes", "4194304", "--raft-stabilization-time", "1s")
}

// restart starts a server again whose process has ended.
func (c *trio) restart(i int) {
	c.t.Helper()
	c.servers[i] = c.launch(i)
	c.servers[i].awaitReady()
}

func name(i int) string { return fmt.Sprintf("herald-%d", i+1) }

// freeAddresses returns loopback addresses that nobody listens on.
func freeAddresses(t *testing.T, n int) []string {
	t.Helper()
	var all []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // all at the end, so that all differ
		all = append(all, l.Addr().String())
	}
	return all
}

// members asks one server for all.
func (c *trio) members(i int) api.Members {
	c.t.Helper()
	var m api.Members
	if err := json.Unmarshal([]byte(c.servers[i].herald("members", "-o", "json")), &m); err != nil {
		c.t.Fatal(err)
	}
	return m
}

// leader returns the server that leads, once a server knows of one.
func (c *trio) leader(ask int) int {
	c.t.Helper()
	at := -1
	eventually(c.t, 15*time.Second, "a leader", func() error {
		for _, m := range c.members(ask).Members {
			if m.Leader && m.Alive {
				for i := range c.servers {
					if m.Name == name(i) {
						at = i
						return nil
					}
				}
			}
		}
		return fmt.Errorf("%s knows of none", name(ask))
	})
	return at
}

// awaitTolerance waits until the members are as they should be.
func (c *trio) awaitTolerance(ask int, want registry.Tolerance) {
	c.t.Helper()
	eventually(c.t, 15*time.Second, "the members", func() error {
		if got := c.members(ask).Tolerance; got != want {
			return fmt.Errorf("%+v, want %+v", got, want)
		}
		return nil
	})
}

// others are the servers but one.
func others(i int) (a, b int) { return (i + 1) % 3, (i + 2) % 3 }
