//go:build e2e

package systemtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"herald/client"
	"herald/internal/systemtest/process"
	"herald/registry"
)

// TestThreeServers has a cluster make itself, and goes on without its leader.
func TestThreeServers(t *testing.T) {
	c := process.NewTrio(t)
	c.AwaitTolerance(0, registry.Tolerance{Voters: 3, Quorum: 2, Alive: 3, Failures: 1})
	leader := c.Leader(0)
	a, b := process.Others(leader)

	// Written on a follower, read on the other one at once.
	c.Servers[a].Herald("kv", "put", "app/db", "v1")
	if got := c.Servers[b].Herald("kv", "get", "app/db"); got != "v1" {
		t.Errorf("%s reads %q", process.Name(b), got)
	}
	curl(t, "-X", "PUT", "-d", `{"Name": "web", "ID": "web-1", "Address": "127.0.0.9", "Port": 80}`, c.Servers[a].URL("/v1/agent/service/register"))
	for i, p := range c.Servers {
		process.Eventually(t, 5*time.Second, "web on "+process.Name(i), func() error {
			if got := dig(t, p, "web.service.consul", "A"); len(got) != 1 || got[0] != "127.0.0.9" {
				return fmt.Errorf("answers %q", got)
			}
			return nil
		})
	}

	c.Servers[leader].Kill()
	c.Servers[a].Herald("kv", "put", "app/db", "v2")
	if got := c.Servers[b].Herald("kv", "get", "app/db", "--consistent"); got != "v2" {
		t.Errorf("without %s, %s reads %q", process.Name(leader), process.Name(b), got)
	}
	out := c.Servers[a].Herald("members")
	for _, want := range []string{"dead", "survives 0 failures now (3 voters, 2 alive, quorum 2)", "warning: if one more voter fails, writes stop"} {
		if !strings.Contains(out, want) {
			t.Errorf("herald members says no %q:\n%s", want, out)
		}
	}
	if got := dig(t, c.Servers[b], "web.service.consul", "A"); len(got) != 1 {
		t.Errorf("without %s, web resolves to %q", process.Name(leader), got)
	}

	c.Restart(leader)
	c.AwaitTolerance(leader, registry.Tolerance{Voters: 3, Quorum: 2, Alive: 3, Failures: 1})
	if got := c.Servers[leader].Herald("kv", "get", "app/db", "--stale"); got != "v2" {
		t.Errorf("%s is back and has %q", process.Name(leader), got)
	}

	// Without a quorum: a clear error in time, and what needs none goes on.
	c.Servers[a].Kill()
	c.Servers[b].Kill()
	begin := time.Now()
	put, err := process.Command("kv", "put", "app/db", "v3", "--server", c.HTTP[leader]).CombinedOutput()
	if took := time.Since(begin); err == nil || took > 10*time.Second {
		t.Errorf("a write without a quorum: %v after %v\n%s", err, took, put)
	}
	if got := c.Servers[leader].Herald("kv", "get", "app/db", "--stale"); got != "v2" {
		t.Errorf("a stale read without a quorum: %q", got)
	}
	if got := dig(t, c.Servers[leader], "web.service.consul", "A"); len(got) != 1 {
		t.Errorf("without a quorum, web resolves to %q", got)
	}
	if out := c.Servers[leader].Herald("members"); !strings.Contains(out, "writes have stopped (3 voters, 1 alive, quorum 2): 1 voter must come back") {
		t.Errorf("herald members says:\n%s", out)
	}
}

// TestRollingRestart restarts one server after another, in order, under clients that
// have the addresses of all: none of their calls fails. Writes that must not be repeated may
// be cut off half-way; they say that their outcome is unknown, and no other error is allowed.
func TestRollingRestart(t *testing.T) {
	c := process.NewTrio(t)
	var stop atomic.Bool
	var calls atomic.Int64
	var wg sync.WaitGroup
	failed := make(chan error, 1000)
	for w := range 8 {
		cl, err := client.New(client.Config{Addresses: append(c.HTTP[w%3:], c.HTTP[:w%3]...), Timeout: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		mode := []client.Consistency{client.Default, client.Consistent}[w%2]
		wg.Go(func() {
			for n := 0; !stop.Load(); n++ {
				key, value := fmt.Sprintf("roll/%d", w), fmt.Sprint(n)
				_, err := cl.KV().Put(t.Context(), key, []byte(value), client.PutOptions{})
				if err == nil {
					var kv registry.KeyValue
					kv, _, err = cl.KV().Get(t.Context(), key, client.ReadOptions{Consistency: mode})
					if err == nil && string(kv.Value) != value {
						err = fmt.Errorf("%s is %q, want %q", key, kv.Value, value)
					}
				}
				if err != nil {
					select {
					case failed <- err:
					default:
					}
				}
				calls.Add(2)
			}
		})
	}
	var swaps, unknown atomic.Int64
	wg.Go(func() {
		cl, err := client.New(client.Config{Addresses: c.HTTP[:], Timeout: 10 * time.Second})
		if err != nil {
			t.Error(err)
			return
		}
		defer cl.Close()
		for !stop.Load() {
			kv, _, err := cl.KV().Get(t.Context(), "roll/cas", client.ReadOptions{})
			if err == nil || errors.Is(err, registry.ErrKeyNotFound) {
				swaps.Add(1)
				_, err = cl.KV().CompareAndSwap(t.Context(), "roll/cas", []byte("v"+string(kv.Value[:len(kv.Value)&63])), uint64(kv.ModRevision), client.PutOptions{})
				if errors.Is(err, registry.ErrTimeout) {
					unknown.Add(1)
					err = nil
				}
			}
			if err != nil {
				t.Errorf("compare and swap: %v", err)
			}
		}
	})
	for i := range c.Servers {
		before := calls.Load()
		c.Servers[i].Stop()
		c.Restart(i)
		// The next goes only when this one has all.
		c.AwaitTolerance(i, registry.Tolerance{Voters: 3, Quorum: 2, Alive: 3, Failures: 1})
		t.Logf("%s restarted, %d calls meanwhile", process.Name(i), calls.Load()-before)
	}
	stop.Store(true)
	wg.Wait()
	close(failed)
	for err := range failed {
		t.Error(err)
	}
	if calls.Load() < 100 || swaps.Load() < 20 {
		t.Errorf("only %d calls and %d swaps: the test proves little", calls.Load(), swaps.Load())
	}
	t.Logf("%d compare-and-swaps, the outcome of %d is unknown", swaps.Load(), unknown.Load())
}

// TestSnapshotCommands saves what a cluster holds through one server and puts it back
// through another.
func TestSnapshotCommands(t *testing.T) {
	c := process.NewTrio(t)
	a, b := process.Others(c.Leader(0))
	file := filepath.Join(t.TempDir(), "backup")
	c.Servers[a].Herald("kv", "put", "app/db", "v1")
	c.Servers[a].Herald("snapshot", "save", file)
	if out, err := process.Command("snapshot", "inspect", file).CombinedOutput(); err != nil || !strings.Contains(string(out), "sha256") {
		t.Fatalf("inspect: %v\n%s", err, out)
	}
	c.Servers[a].Herald("kv", "put", "app/db", "v2")
	c.Servers[a].Herald("kv", "put", "app/new", "v2")
	before := c.Members(b).Status.Revisions
	c.Servers[b].Herald("snapshot", "restore", file, "--yes")
	for i, p := range c.Servers {
		if got := p.Herald("kv", "get", "app/db"); got != "v1" {
			t.Errorf("%s has %q after the restore", process.Name(i), got)
		}
		if out, err := process.Command("kv", "get", "app/new", "--server", p.HTTP).CombinedOutput(); err == nil {
			t.Errorf("%s has what the snapshot has not: %s", process.Name(i), out)
		}
		for space, rev := range c.Members(i).Status.Revisions {
			if rev <= before[space] {
				t.Errorf("%s: revision of space %d is %d, was %d", process.Name(i), space, rev, before[space])
			}
		}
	}
	c.Servers[b].Herald("kv", "put", "app/db", "v3")
	// One that is not whole changes nothing.
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	whole[len(whole)/2] ^= 1
	if err := os.WriteFile(file, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := process.Command("snapshot", "restore", file, "--yes", "--server", c.HTTP[a]).CombinedOutput(); err == nil {
		t.Errorf("a damaged snapshot was restored:\n%s", out)
	}
	out := curl(t, "-T", file, c.Servers[a].URL("/v1/snapshot"))
	if !strings.Contains(out, "corrupt") && !strings.Contains(out, "snapshot") {
		t.Errorf("a damaged snapshot over HTTP: %s", out)
	}
	if got := c.Servers[a].Herald("kv", "get", "app/db"); got != "v3" {
		t.Errorf("app/db is %q", got)
	}
}

// TestMembershipCommands hands leadership around, takes a server out and in again.
func TestMembershipCommands(t *testing.T) {
	c := process.NewTrio(t)
	leader := c.Leader(0)
	a, b := process.Others(leader)
	if out := c.Servers[a].Herald("members", "transfer", process.Name(b)); !strings.Contains(out, process.Name(b)+" leads now") {
		t.Error(out)
	}
	if now := c.Leader(a); now != b {
		t.Errorf("%s leads", process.Name(now))
	}
	c.Servers[a].Herald("leave")
	c.AwaitTolerance(b, registry.Tolerance{Voters: 2, Quorum: 2, Alive: 2, Even: true})
	if out := c.Servers[b].Herald("members"); !strings.Contains(out, "2 voters survive no more failures than 1") {
		t.Errorf("herald members:\n%s", out)
	}
	c.Servers[a].Herald("join", c.Peers[b])
	c.AwaitTolerance(b, registry.Tolerance{Voters: 3, Quorum: 2, Alive: 3, Failures: 1})
	c.Servers[a].Kill()
	c.Servers[b].Herald("members", "remove", process.Name(a))
	c.AwaitTolerance(b, registry.Tolerance{Voters: 2, Quorum: 2, Alive: 2, Even: true})
	c.Servers[b].Herald("kv", "put", "k", "v")
	if out, err := process.Command("members", "remove", "herald-9", "--server", c.HTTP[b]).CombinedOutput(); err == nil || !strings.Contains(string(out), "herald-9") {
		t.Errorf("%v\n%s", err, out)
	}
}
