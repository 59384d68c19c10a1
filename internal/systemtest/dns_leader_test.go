//go:build e2e

package systemtest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"herald/internal/systemtest/process"
)

// resolver asks one server.
func resolver(server string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, server)
	}}
}

// TestNoQueryFailsAcrossLeaderChanges asks every server that runs, without a pause, while leadership changes ten times,
// half of them because the leader is killed, and then while there is no quorum. Each query is answered, with all of
// the instances.
func TestNoQueryFailsAcrossLeaderChanges(t *testing.T) {
	const changes = 10
	c := process.NewTrio(t)
	for _, address := range []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"} {
		node := "n" + strings.ReplaceAll(address, ".", "-")
		ok, said := request(t.Context(), c, 0, http.MethodPut, "/v1/catalog/register",
			`{"Node": "`+node+`", "Address": "`+address+`", "Service": {"Service": "steady", "Port": 80}}`)
		if !ok {
			t.Fatal(said)
		}
	}
	want := []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"}
	ask := func(i int) error {
		// A lost packet would be asked for again after five seconds, and hidden.
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		got, err := resolver(c.Servers[i].DNS).LookupHost(ctx, "steady.service.consul.")
		slices.Sort(got)
		if err == nil && !slices.Equal(got, want) {
			err = errors.New("answered " + strings.Join(got, ", "))
		}
		return err
	}
	for i := range c.Servers {
		process.Eventually(t, 10*time.Second, process.Name(i)+" has the service", func() error { return ask(i) })
	}

	var (
		asked, failed atomic.Int64
		// running is held by who asks a server, and by who stops and starts it.
		running [3]sync.RWMutex
		askers  sync.WaitGroup
	)
	ctx, stop := context.WithCancel(t.Context())
	for i := range c.Servers {
		askers.Go(func() {
			for ctx.Err() == nil {
				running[i].RLock()
				err := ask(i)
				running[i].RUnlock()
				asked.Add(1)
				if err != nil && failed.Add(1) <= 5 {
					t.Errorf("%s: %v", process.Name(i), err)
				}
			}
		})
	}
	for n := range changes {
		leader := leaderAsOf(t, c, n%3)
		a, b := process.Others(leader)
		if n%2 == 0 {
			c.Servers[a].Herald("members", "transfer", process.Name(b))
			continue
		}
		running[leader].Lock()
		c.Servers[leader].Kill()
		process.Eventually(t, 20*time.Second, "another leader", func() error {
			if now := leaderAsOf(t, c, a); now == leader {
				return errors.New(process.Name(leader) + " is still said to lead")
			}
			return nil
		})
		c.Restart(leader)
		process.Eventually(t, 20*time.Second, process.Name(leader)+" has the service again", func() error { return ask(leader) })
		running[leader].Unlock()
	}
	// Without a quorum the last server goes on.
	leader := leaderAsOf(t, c, 0)
	a, b := process.Others(leader)
	for _, i := range []int{leader, a} {
		running[i].Lock()
		c.Servers[i].Kill()
	}
	alone := asked.Load()
	process.Eventually(t, 20*time.Second, "answers without a quorum", func() error {
		if n := asked.Load() - alone; n < 200 {
			return errors.New(process.Name(b) + " has not answered enough yet")
		}
		return nil
	})
	stop()
	for _, i := range []int{leader, a} {
		c.Restart(i)
		process.Eventually(t, 20*time.Second, process.Name(i)+" has the service again", func() error { return ask(i) })
		running[i].Unlock()
	}
	askers.Wait()
	t.Logf("%d queries over %d changes of the leader, %d of them without a quorum; %d failed", asked.Load(), changes, asked.Load()-alone, failed.Load())
	if failed.Load() > 0 {
		t.Errorf("%d of %d queries failed", failed.Load(), asked.Load())
	}
}
