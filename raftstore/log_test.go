package raftstore

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

// syncBuffer is a buffer that several goroutines log to.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// A lone server that starts, and starts again, has nothing to warn of.
func TestHealthyStartWarnsOfNothing(t *testing.T) {
	t.Parallel()
	var out syncBuffer
	cfg := testConfig(t)
	cfg.Log = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelWarn}))
	for range 2 {
		s := openReady(t, cfg)
		mustPut(t, s, "k", "v")
		mustClose(t, s)
	}
	if out.String() != "" {
		t.Errorf("logged:\n%s", out.String())
	}
}

func TestRaftLogLevels(t *testing.T) {
	t.Parallel()
	var out syncBuffer
	l := newRaftLog(slog.New(slog.NewTextHandler(&out, nil)), "raft")
	l.Warn("heartbeat timeout reached, starting election", "last-leader-id", "a")
	l.Warn("failed to contact", "server-id", "b")
	l.Info("entering follower state")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "level=INFO") || !strings.Contains(lines[1], "level=WARN") {
		t.Errorf("logged %q, want an election as information and a lost server as a warning", lines)
	}
}
