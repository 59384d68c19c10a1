package raftstore

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"herald/registry"
)

// lines keeps what is logged.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// A leader that cannot answer at the moment says nothing about a server's place, and nobody is told
// that it does: neither by a new server nor by one that was started again.
func TestLeaderThatIsNotReadyIsNoReason(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := strangers(t, 3, 3, func(cfg *Config) { cfg.StabilizationTime = time.Hour })
		c.one(nil)
		var log lines
		logged := func(cfg *Config) {
			cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
		}
		const notReady = "catching up"
		l := c.leader()
		term := c.stores[l].readyTerm.Load()
		follower := (l + 1) % 3
		c.stop(follower)
		settle()
		logged(&c.configs[follower])

		c.stores[l].readyTerm.Store(0)
		c.start(follower)
		i := c.add("id-new", logged)
		time.Sleep(troubledAfter / 2)
		if got, want := c.stores[i].Waiting(), "asking to be let into cluster "; !strings.HasPrefix(got, want) || strings.Contains(got, notReady) {
			t.Errorf("it waits for %q, want %q", got, want)
		}
		if got := c.stores[follower].Waiting(); got != "" {
			t.Errorf("a member waits for %q", got)
		}
		if said := log.String(); strings.Contains(said, notReady) {
			t.Errorf("logged:\n%s", said)
		}
		// In the end a person should know.
		time.Sleep(troubledAfter)
		if got := c.stores[i].Waiting(); !strings.Contains(got, "asking to be let into cluster ") || !strings.Contains(got, notReady) {
			t.Errorf("after a while it waits for %q", got)
		}
		if n := strings.Count(log.String(), notReady); n < 1 || n > 2 {
			t.Errorf("logged %d times:\n%s", n, log.String())
		}
		if said := log.String(); strings.Count(said, "no place in a cluster") > 2 {
			t.Errorf("logged again and again:\n%s", said)
		}

		c.stores[l].readyTerm.Store(term)
		c.one(map[int]registry.Suffrage{i: registry.NonVoter})
		time.Sleep(time.Second)
		for i, s := range c.stores {
			if got := s.Waiting(); got != "" {
				t.Errorf("server %d has its place and waits for %q", i, got)
			}
		}
	})
}
