package raftstore

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"herald/registry"
)

// The kinds of log store.
const (
	// LogWAL keeps the log in segmented write-ahead files; votes and terms are in BoltDB.
	LogWAL = "wal"
	// LogBoltDB keeps the log in BoltDB as well: slower, one file.
	LogBoltDB = "boltdb"
)

// Config says how one server keeps its part of the store. DefaultConfig gives a
// valid one but for DataDir. A zero field is not replaced by its default.
type Config struct {
	// DataDir is where everything durable is, and nobody else's. It is created.
	DataDir string
	// NodeID names this server for as long as the cluster lives. "" makes one and
	// keeps it in the data directory; anything else must be what the directory
	// was made with.
	NodeID string
	// NodeName is what people call this server; it may change.
	NodeName string

	// PeerAddress is where servers reach each other: host:port, the port may be 0.
	PeerAddress string
	// AdvertiseAddress is what the other servers dial; "" is the address bound.
	// It must be given when PeerAddress binds every interface.
	AdvertiseAddress string

	// BootstrapExpect is of how many servers a new cluster is made, while the directory
	// has never been part of one: as soon as so many that expect the same know of each other through
	// Join. 1 makes a cluster of this server alone, unless Join is set: then, as with 0, the
	// server waits to be let into a cluster that exists. It does nothing to a
	// directory that is part of a cluster.
	BootstrapExpect int
	// Join are peer addresses of servers of the cluster, host:port; this server's own may
	// be among them. A name is resolved at each attempt, and may stand for several. If one of
	// them is part of a cluster, this server joins that, rather than making one. They are
	// asked later too, should every other server have moved.
	Join []string
	// Version is the program's, for people.
	Version string
	// StabilizationTime is how long a new server must have answered before it gets a
	// vote. With fewer than three voters 2 s are enough.
	StabilizationTime time.Duration
	// DeadServerAfter is how long a server may not have answered before it is removed
	// from the cluster, if at least three voters remain; 0 is never.
	DeadServerAfter time.Duration

	// LogStore is LogWAL or LogBoltDB. It is fixed once the directory exists.
	LogStore string
	// SegmentBytes is the size of one file of the write-ahead log, allocated ahead.
	SegmentBytes int

	// HeartbeatTimeout is how long a follower waits for its leader before it
	// stands for election, ElectionTimeout how long an election may take, and
	// LeaderLeaseTimeout how long a leader goes on without hearing from a quorum:
	// LeaderLeaseTimeout <= HeartbeatTimeout <= ElectionTimeout. Each server
	// draws between one and two times the first two.
	HeartbeatTimeout   time.Duration
	ElectionTimeout    time.Duration
	LeaderLeaseTimeout time.Duration
	// PeerTimeout bounds the input and output of one message between servers.
	PeerTimeout time.Duration
	// DiskStallTimeout is how long an append to the log may hang before a leader gives
	// up leadership.
	DiskStallTimeout time.Duration
	// DiskReserve is how many bytes must be free on the data directory's disk for commands
	// to be taken (registry.ErrDiskFull); 0 does not look.
	DiskReserve int64

	// A snapshot is taken once the log has grown by SnapshotEntries entries (looked
	// at every SnapshotInterval to twice that) or by SnapshotBytes bytes (at once).
	SnapshotEntries  uint64
	SnapshotInterval time.Duration
	SnapshotBytes    int64
	// TrailingEntries is how many entries stay in the log behind a snapshot, so
	// that a follower that lags a little needs no snapshot; at least 1.
	TrailingEntries uint64

	// MaxRequestBytes is how large one encoded command may be, its origin not
	// counted (registry.ErrTooLarge).
	MaxRequestBytes int
	// MemoryLimit is how many bytes of keys and history the state may hold
	// before puts get registry.ErrResourceExhausted; 0 is no limit. When little
	// of it is left, history is given up, the oldest first, whatever HistoryAge and HistoryCommits say.
	MemoryLimit int64
	// ProposeTimeout bounds every call, whatever its context says.
	ProposeTimeout time.Duration

	// HistoryAge and HistoryCommits bound what is kept for reads at old
	// revisions and for watchers that catch up: commits older than HistoryAge, and
	// in each space all but the newest HistoryCommits, are compacted. 0 is no bound.
	HistoryAge     time.Duration
	HistoryCommits int64
	// CompactInterval is how often the leader looks for history to compact.
	CompactInterval time.Duration

	Leases LeaseConfig

	Log   *slog.Logger
	Hooks Hooks
}

// LeaseConfig tunes the leader's lease clock.
type LeaseConfig struct {
	// Tick is how often the clock advances and leases are looked at; it delays the
	// end of a lease by up to that much.
	Tick time.Duration
	// MaxStep is the most that one tick advances the clock: a stall of the
	// process charges no lease more than this.
	MaxStep time.Duration
	// ExpiryBatch is how many leases one command ends at most.
	ExpiryBatch int
	// CheckpointInterval is how often the remaining time of long leases is
	// written to the log, so that a change of leader does not start them anew.
	// Leases that live less than twice this are never written. 0 is never.
	CheckpointInterval time.Duration
}

// Hooks are called as things happen, for metrics. Each may be nil; each is
// called by one goroutine at a time, must not block and must not call the store.
type Hooks struct {
	// Proposed is one entry handed to raft: commands in it and its bytes.
	Proposed func(commands, bytes int)
	// Committed is one entry applied, with the time since it was handed to raft.
	Committed func(took time.Duration)
	// Appended is one durable append to the log.
	Appended func(entries int, took time.Duration)
	// Applied is one batch of entries applied to the state and published.
	Applied func(entries int, took time.Duration)
	// Snapshot is one snapshot written (err nil) or failed.
	Snapshot func(took time.Duration, err error)
	// Leader is told of every change of this server's own leadership.
	Leader func(leading bool)
	// LeasesEnded is leases that the clock ended.
	LeasesEnded func(n int)
}

// The defaults of Config.
const (
	DefaultPeerAddress = "127.0.0.1:7400"

	defaultMaxRequestBytes = 3 << 19 // 1.5 MiB
	// An entry must fit a segment and a message between servers; raft-wal refuses
	// entries above 64 MiB.
	maxMaxRequestBytes = 32 << 20
	minSegmentBytes    = 64 << 10
	// A restart of a host must not cost a server its place.
	minDeadServerAfter = time.Minute
)

// DefaultConfig is a server that keeps its log in the write-ahead log. The
// timeouts suit servers on one network; a lone server does not wait for them.
func DefaultConfig() Config {
	return Config{
		PeerAddress:        DefaultPeerAddress,
		LogStore:           LogWAL,
		SegmentBytes:       64 << 20,
		HeartbeatTimeout:   time.Second,
		ElectionTimeout:    time.Second,
		LeaderLeaseTimeout: 500 * time.Millisecond,
		PeerTimeout:        10 * time.Second,
		StabilizationTime:  10 * time.Second,
		DiskStallTimeout:   2 * time.Second,
		DiskReserve:        96 << 20, // the next segment is allocated whole
		SnapshotEntries:    65536,
		SnapshotInterval:   30 * time.Second,
		SnapshotBytes:      256 << 20,
		TrailingEntries:    1024,
		MaxRequestBytes:    defaultMaxRequestBytes,
		ProposeTimeout:     5 * time.Second,
		HistoryAge:         time.Hour,
		HistoryCommits:     500_000,
		CompactInterval:    time.Second,
		Leases: LeaseConfig{
			Tick:               100 * time.Millisecond,
			MaxStep:            500 * time.Millisecond,
			ExpiryBatch:        512,
			CheckpointInterval: 5 * time.Minute,
		},
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

// Validate reports every field that is wrong, with what it should be. The
// errors are registry.ErrInvalid.
func (c *Config) Validate() error {
	var errs []error
	bad := func(cond bool, format string, args ...any) {
		if cond {
			errs = append(errs, fmt.Errorf("%w: "+format, append([]any{registry.ErrInvalid}, args...)...))
		}
	}
	bad(c.DataDir == "", "data directory is not set")
	bad(c.LogStore != LogWAL && c.LogStore != LogBoltDB, "log store is %q, want %q or %q", c.LogStore, LogWAL, LogBoltDB)
	bad(c.LogStore == LogWAL && (c.SegmentBytes < minSegmentBytes || c.SegmentBytes > 1<<30),
		"log segment size is %d bytes, want %d to %d", c.SegmentBytes, minSegmentBytes, 1<<30)

	bad(c.LeaderLeaseTimeout < 10*time.Millisecond, "leader lease timeout is %v, want at least 10ms", c.LeaderLeaseTimeout)
	bad(c.HeartbeatTimeout < c.LeaderLeaseTimeout, "heartbeat timeout %v is below the leader lease timeout %v: a leader would outlive its followers' patience", c.HeartbeatTimeout, c.LeaderLeaseTimeout)
	bad(c.ElectionTimeout < c.HeartbeatTimeout, "election timeout %v is below the heartbeat timeout %v", c.ElectionTimeout, c.HeartbeatTimeout)
	bad(c.BootstrapExpect < 0 || c.BootstrapExpect > maxExpect, "bootstrap expectation is %d servers, want 0 (wait to be let in) to %d", c.BootstrapExpect, maxExpect)
	bad(c.BootstrapExpect > 1 && len(c.Join) == 0, "bootstrap expectation is %d servers, and there is no address to find them at: give their peer addresses to join", c.BootstrapExpect)
	bad(c.StabilizationTime < 0, "stabilization time is %v, want 0 or more", c.StabilizationTime)
	bad(c.DeadServerAfter != 0 && c.DeadServerAfter < minDeadServerAfter, "a server is dead after %v, want 0 (never) or at least %v", c.DeadServerAfter, minDeadServerAfter)
	bad(c.PeerTimeout <= 0, "peer timeout is %v, want more than 0", c.PeerTimeout)
	bad(c.DiskStallTimeout < 100*time.Millisecond, "disk stall timeout is %v, want at least 100ms", c.DiskStallTimeout)
	bad(c.DiskReserve < 0, "disk reserve is %d bytes, want 0 (none) or more", c.DiskReserve)
	bad(c.ProposeTimeout <= 0, "propose timeout is %v, want more than 0", c.ProposeTimeout)

	bad(c.SnapshotEntries < 1, "snapshot entries is 0, want at least 1")
	bad(c.SnapshotInterval < 10*time.Millisecond, "snapshot interval is %v, want at least 10ms", c.SnapshotInterval)
	bad(c.SnapshotBytes < 1<<10, "snapshot bytes is %d, want at least %d", c.SnapshotBytes, 1<<10)
	bad(c.TrailingEntries < 1, "trailing entries is 0, want at least 1")

	bad(c.MaxRequestBytes < 1<<10 || c.MaxRequestBytes > maxMaxRequestBytes, "maximum request size is %d bytes, want %d to %d", c.MaxRequestBytes, 1<<10, maxMaxRequestBytes)
	bad(c.MemoryLimit < 0, "memory limit is %d, want 0 (none) or more", c.MemoryLimit)
	bad(c.HistoryAge < 0, "history age is %v, want 0 (no bound) or more", c.HistoryAge)
	bad(c.HistoryCommits < 0, "history commits is %d, want 0 (no bound) or more", c.HistoryCommits)
	bad(c.CompactInterval <= 0, "compact interval is %v, want more than 0", c.CompactInterval)

	l := c.Leases
	bad(l.Tick <= 0 || l.Tick > time.Second, "lease clock tick is %v, want above 0 and at most 1s", l.Tick)
	bad(l.MaxStep < l.Tick, "lease clock maximum step %v is below its tick %v: leases would never end in time", l.MaxStep, l.Tick)
	bad(l.ExpiryBatch < 1, "lease expiry batch is %d, want at least 1", l.ExpiryBatch)
	bad(l.CheckpointInterval < 0, "lease checkpoint interval is %v, want 0 (never) or more", l.CheckpointInterval)
	bad(c.Log == nil, "no logger")

	if err := checkHostPort("peer address", c.PeerAddress); err != nil {
		errs = append(errs, err)
	} else if c.AdvertiseAddress == "" {
		host, _, _ := net.SplitHostPort(c.PeerAddress)
		ip := net.ParseIP(host)
		bad(host == "" || ip != nil && ip.IsUnspecified(),
			"peer address %q binds every interface, so the address that other servers dial must be given", c.PeerAddress)
	} else if err := checkHostPort("advertised peer address", c.AdvertiseAddress); err != nil {
		errs = append(errs, err)
	}
	for _, a := range c.Join {
		if err := checkHostPort("peer address to join", a); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func checkHostPort(what, addr string) error {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return fmt.Errorf("%w: %s %q: want host:port: %v", registry.ErrInvalid, what, addr, err)
	}
	return nil
}
