package raftstore

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"herald/registry"
)

func TestDefaultConfigIsValid(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.DataDir = "data"
	if err := cfg.Validate(); err != nil {
		t.Error(err)
	}
}

func TestConfigValidate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		spoil func(*Config)
		says  string
	}{
		{func(c *Config) { c.DataDir = "" }, "data directory"},
		{func(c *Config) { c.LogStore = "paper" }, `"paper"`},
		{func(c *Config) { c.SegmentBytes = 10 }, "segment"},
		{func(c *Config) { c.LeaderLeaseTimeout = 0 }, "leader lease timeout"},
		{func(c *Config) { c.HeartbeatTimeout = c.LeaderLeaseTimeout - 1 }, "below the leader lease timeout"},
		{func(c *Config) { c.ElectionTimeout = c.HeartbeatTimeout - 1 }, "below the heartbeat timeout"},
		{func(c *Config) { c.PeerTimeout = 0 }, "peer timeout"},
		{func(c *Config) { c.ProposeTimeout = 0 }, "propose timeout"},
		{func(c *Config) { c.SnapshotEntries = 0 }, "snapshot entries"},
		{func(c *Config) { c.SnapshotInterval = 0 }, "snapshot interval"},
		{func(c *Config) { c.SnapshotBytes = 0 }, "snapshot bytes"},
		{func(c *Config) { c.TrailingEntries = 0 }, "trailing entries"},
		{func(c *Config) { c.MaxRequestBytes = 1 }, "request size"},
		{func(c *Config) { c.MaxRequestBytes = 1 << 30 }, "request size"},
		{func(c *Config) { c.MemoryLimit = -1 }, "memory limit"},
		{func(c *Config) { c.HistoryAge = -1 }, "history age"},
		{func(c *Config) { c.HistoryCommits = -1 }, "history commits"},
		{func(c *Config) { c.CompactInterval = 0 }, "compact interval"},
		{func(c *Config) { c.Leases.Tick = 0 }, "tick"},
		{func(c *Config) { c.Leases.MaxStep = c.Leases.Tick - 1 }, "maximum step"},
		{func(c *Config) { c.Leases.ExpiryBatch = 0 }, "expiry batch"},
		{func(c *Config) { c.Leases.CheckpointInterval = -time.Second }, "checkpoint"},
		{func(c *Config) { c.Log = nil }, "logger"},
		{func(c *Config) { c.PeerAddress = "here" }, "peer address"},
		{func(c *Config) { c.PeerAddress = "0.0.0.0:7400" }, "binds every interface"},
		{func(c *Config) { c.PeerAddress = ":7400" }, "binds every interface"},
		{func(c *Config) { c.AdvertiseAddress = "there" }, "advertised"},
		{func(c *Config) { c.BootstrapExpect = -1 }, "bootstrap expectation"},
		{func(c *Config) { c.BootstrapExpect = maxExpect + 1; c.Join = []string{"a:7400"} }, "bootstrap expectation"},
		{func(c *Config) { c.BootstrapExpect = 3 }, "no address to find them"},
		{func(c *Config) { c.Join = []string{"a:7400", "b"} }, "to join"},
		{func(c *Config) { c.StabilizationTime = -1 }, "stabilization"},
		{func(c *Config) { c.DeadServerAfter = time.Second }, "dead"},
	} {
		cfg := DefaultConfig()
		cfg.DataDir = "data"
		c.spoil(&cfg)
		err := cfg.Validate()
		if !errors.Is(err, registry.ErrInvalid) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v, want ErrInvalid that says %q", err, c.says)
		}
		if _, err := Open(cfg); err == nil {
			t.Errorf("opened with: %v", c.says)
		}
	}
}

func TestValidateReportsEverything(t *testing.T) {
	t.Parallel()
	cfg := DefaultConfig()
	cfg.MemoryLimit, cfg.HistoryAge = -1, -1
	err := cfg.Validate()
	for _, word := range []string{"data directory", "memory limit", "history age"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not say %q", err, word)
		}
	}
}

func TestRaftLog(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	l := newRaftLog(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})), "raft")
	l.With("peer", "b").Warn("failed to contact", "time", 3)
	l.Info("entering follower state")
	l.Trace("not shown")
	l.StandardLogger(nil).Print("from a plain logger")
	got := out.String()
	for _, want := range []string{
		`level=WARN msg="failed to contact" part=raft peer=b time=3`,
		`level=DEBUG msg="entering follower state"`,
		`level=DEBUG msg="from a plain logger"`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("log lacks %s:\n%s", want, got)
		}
	}
	if strings.Contains(got, "not shown") || l.IsTrace() || !l.IsDebug() {
		t.Errorf("trace is shown, or debug is not:\n%s", got)
	}
}
