//go:build e2e

package systemtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"herald/internal/systemtest/process"
)

// TestKilledLeadersLoseNoAcknowledgedWrite kills the leader of three servers twenty times, under writes
// to all of them, and wants every acknowledged write on every server afterwards.
func TestKilledLeadersLoseNoAcknowledgedWrite(t *testing.T) {
	const (
		kills   = 20
		writers = 6
		// between two kills so many writes are acknowledged, at least.
		between = 50
	)
	c := process.NewTrio(t)
	var (
		mu    sync.Mutex
		acked = map[string]string{}
		count atomic.Int64
		wg    sync.WaitGroup
	)
	ctx, cancel := context.WithCancel(t.Context())
	for w := range writers {
		wg.Go(func() {
			at := w
			for n := 0; ctx.Err() == nil; n++ {
				key, value := fmt.Sprintf("killed/%d/%d", w, n), fmt.Sprintf("%d-%d", w, n)
				if ok, _ := request(ctx, c, at%3, http.MethodPut, "/v1/kv/"+key, value); !ok {
					at++ // whether this one took effect is open
					continue
				}
				mu.Lock()
				acked[key] = value
				mu.Unlock()
				count.Add(1)
			}
		})
	}
	goesOn := func(what string) {
		t.Helper()
		before := count.Load()
		process.Eventually(t, 20*time.Second, "writes "+what, func() error {
			if n := count.Load() - before; n < between {
				return fmt.Errorf("%d were acknowledged", n)
			}
			return nil
		})
	}
	for range kills {
		goesOn("with three servers")
		leader := leaderAsOf(t, c, 0)
		c.Servers[leader].Kill()
		goesOn("with two servers, after " + process.Name(leader) + " was killed")
		c.Restart(leader)
	}
	cancel()
	wg.Wait()

	t.Logf("%d acknowledged writes over %d kills of the leader", len(acked), kills)
	for i := range c.Servers {
		lost := 0
		for key, value := range acked {
			// A server's own copy may have the last ones only a moment later.
			deadline := time.Now().Add(5 * time.Second)
			for {
				_, got := request(t.Context(), c, i, http.MethodGet, "/v1/kv/"+key+"?raw&stale", "")
				if got == value {
					break
				}
				if lost > 0 || time.Now().After(deadline) {
					if lost++; lost <= 5 {
						t.Errorf("%s has %q at %s, want %q", process.Name(i), got, key, value)
					}
					break
				}
			}
		}
		if lost > 0 {
			t.Errorf("%s lost %d of %d acknowledged writes", process.Name(i), lost, len(acked))
		}
	}
}

// leaderAsOf is the server that leads, as one server has it, once it knows.
func leaderAsOf(t *testing.T, c *process.Trio, i int) int {
	t.Helper()
	leader := -1
	process.Eventually(t, 15*time.Second, "a leader", func() error {
		_, said := request(t.Context(), c, i, http.MethodGet, "/v1/status/leader", "")
		leader = slices.Index(c.Peers[:], strings.Trim(strings.TrimSpace(said), `"`))
		if leader < 0 {
			return fmt.Errorf("%s says %s", process.Name(i), said)
		}
		return nil
	})
	return leader
}

// hasty gives up on a server that does not answer, so that its client goes on to another.
var hasty = &http.Client{Timeout: time.Second}

// request makes one request of one server, as a client in a hurry. It returns whether it was
// answered with 200, and the body.
func request(ctx context.Context, c *process.Trio, i int, method, path, body string) (ok bool, answer string) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+c.HTTP[i]+path, bytes.NewBufferString(body))
	if err != nil {
		return false, err.Error()
	}
	resp, err := hasty.Do(req)
	if err != nil {
		return false, err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return false, err.Error()
	}
	return resp.StatusCode == http.StatusOK, string(b)
}

// TestFrozenLeaderCostsNoLease freezes the leader for twice a lease's time to live, while clients renew
// their leases by way of the other servers: none of theirs ends, and one that nobody renews does.
func TestFrozenLeaderCostsNoLease(t *testing.T) {
	const (
		ttl     = 3 * time.Second
		clients = 10
	)
	c := process.NewTrio(t)
	leader := leaderAsOf(t, c, 0)
	a, b := process.Others(leader)

	grant := func(id, key string) {
		t.Helper()
		if ok, said := request(t.Context(), c, a, http.MethodPut, "/v1/lease/grant", fmt.Sprintf(`{"ID": %q, "TTL": %q}`, id, ttl)); !ok {
			t.Fatalf("grant lease %s: %s", id, said)
		}
		if ok, said := request(t.Context(), c, a, http.MethodPut, "/v1/kv/"+key+"?lease="+id, "alive"); !ok || strings.TrimSpace(said) != "true" {
			t.Fatalf("attach %s: %s", key, said)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	var renewals atomic.Int64
	for n := range clients {
		id := fmt.Sprint(1000 + n)
		grant(id, "alive/"+id)
		wg.Go(func() {
			for at := n; ; at++ {
				through := []int{a, b}[at%2]
				ok, said := request(ctx, c, through, http.MethodPut, "/v1/lease/keepalive/"+id, "")
				switch {
				case ctx.Err() != nil:
					return
				case ok:
					renewals.Add(1)
				case strings.Contains(said, "lease not found"):
					t.Errorf("lease %s ended though its holder never stopped to renew it: %s", id, said)
					return
				default:
					continue // the next server, at once
				}
				select {
				case <-time.After(ttl / 3):
				case <-ctx.Done():
					return
				}
			}
		})
	}
	grant("999", "dead")

	thaw := c.Servers[leader].Freeze()
	frozen := time.Now()
	defer thaw()
	dead := process.Eventually(t, 2*ttl+10*time.Second, "the end of the lease that nobody renews", func() error {
		if ok, said := request(t.Context(), c, a, http.MethodGet, "/v1/kv/dead?raw&consistent", ""); ok {
			return fmt.Errorf("its key holds %q", said)
		} else if said != "" {
			return fmt.Errorf("%s", said)
		}
		return nil
	})
	for left := 2*ttl - time.Since(frozen); left > 0; left = 2*ttl - time.Since(frozen) {
		<-time.After(left)
	}
	thaw()
	t.Logf("the lease that nobody renewed ended after %v", dead.Round(time.Millisecond))

	// The server that was frozen comes back to a world that it no longer leads, and ends no lease either.
	<-time.After(ttl)
	for n := range clients {
		key := fmt.Sprintf("alive/%d", 1000+n)
		if ok, said := request(t.Context(), c, b, http.MethodGet, "/v1/kv/"+key+"?raw&consistent", ""); !ok || said != "alive" {
			t.Errorf("%s is gone: %q", key, said)
		}
	}
	cancel()
	wg.Wait()
	if n := renewals.Load(); n < clients*5 {
		t.Errorf("only %d renewals were answered: the test proves little", n)
	}
}
