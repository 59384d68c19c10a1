package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"herald/agent"
	"herald/client"
	"herald/internal/node"
	"herald/raftstore"
	"herald/registry"
)

// settings are the process's own; doors and sources bring theirs. The tags give each
// setting its name in files, its flag if that is not the name with hyphens,
// and its line in the help.
type settings struct {
	Datacenter   string          `config:"datacenter" usage:"name of this datacenter, in DNS names and the HTTP API"`
	DataDir      string          `config:"data_dir" usage:"directory for everything that must survive a restart"`
	DrainTimeout time.Duration   `config:"drain_timeout" usage:"how long requests under way may take to finish when the process stops"`
	Join         []string        `config:"join" usage:"servers to join: HTTP addresses for an agent, peer addresses for a server; repeatable"`
	Node         nodeSettings    `config:"node"`
	Log          logSettings     `config:"log"`
	Peer         peerSettings    `config:"peer"`
	Raft         raftSettings    `config:"raft"`
	Limits       limitSettings   `config:"limits"`
	History      historySettings `config:"history"`
	Agent        agentSettings   `config:"agent"`
	Doors        map[string]any  `config:"doors"`
	Sources      map[string]any  `config:"sources"`
}

type nodeSettings struct {
	Name    string   `config:"name" usage:"this node's name in the catalog (default: the host's name)"`
	Address string   `config:"address" usage:"address that others reach this node's services at (default: the first private address)"`
	Meta    []string `config:"meta" usage:"metadata of this node, key=value, repeatable"`
}

type logSettings struct {
	Level  string `config:"level" usage:"debug, info, warn or error"`
	Format string `config:"format" usage:"text or json"`
}

type peerSettings struct {
	Address   string `config:"address" usage:"address servers talk to each other on"`
	Advertise string `config:"advertise" usage:"peer address that other servers use to reach this one (default: peer.address)"`
}

type raftSettings struct {
	NodeID          string `config:"node_id" usage:"this server's id in the cluster (default: made up once and kept in the data directory)"`
	LogStore        string `config:"log_store" usage:"wal, or boltdb"`
	BootstrapExpect int    `config:"bootstrap_expect" flag:"bootstrap-expect" usage:"start a new cluster of so many servers if the data directory is empty; 0 waits to be let into one"`
	// The two that follow are the leader's to act on; give every server the same.
	StabilizationTime time.Duration `config:"stabilization_time" usage:"how long a server that has joined must have kept up before it votes"`
	DeadServerAfter   time.Duration `config:"dead_server_after" usage:"how long a server may be silent before it is taken out of the cluster, where three voters remain; 0 is for ever"`
	SegmentBytes      int           `config:"segment_bytes" usage:"size of one file of the write-ahead log, allocated ahead, in bytes"`
	DiskStallTimeout  time.Duration `config:"disk_stall_timeout" usage:"how long a write to the log may hang before a leader gives leadership away"`
	SnapshotEntries   uint64        `config:"snapshot_entries" usage:"log entries after which a snapshot is taken"`
	SnapshotInterval  time.Duration `config:"snapshot_interval" usage:"how often to look whether a snapshot is due"`
	ProposeTimeout    time.Duration `config:"propose_timeout" usage:"how long a write may take before its outcome is reported as unknown"`
}

type limitSettings struct {
	RequestBytes     int   `config:"request_bytes" usage:"largest request that the store takes, in bytes"`
	DiskReserveBytes int64 `config:"disk_reserve_bytes" usage:"free space on the data directory's disk below which writes are refused, in bytes; 0 does not look"`
	MemoryBytes      int64 `config:"memory_bytes" usage:"size of the state above which puts are refused, in bytes; 0 is no limit"`
}

type historySettings struct {
	Age     time.Duration `config:"age" usage:"how long old revisions can be read and watched from; 0 keeps them"`
	Commits int64         `config:"commits" usage:"how many commits of history a space keeps at most; 0 is no bound"`
}

type agentSettings struct {
	ConfigDirs []string      `config:"config_dirs" flag:"config-dir" usage:"directory of service definitions (*.json), repeatable"`
	LeaseTTL   time.Duration `config:"lease_ttl" flag:"ttl" usage:"how long what this agent advertises outlives it"`
	AllowExec  bool          `config:"allow_exec" usage:"let services registered over the API bring checks that run commands (kinds exec and docker); files always may"`
}

func defaultSettings() settings {
	store := raftstore.DefaultConfig()
	a := agent.DefaultConfig()
	s := settings{
		Datacenter:   "dc1",
		DrainTimeout: node.DefaultDrainTimeout,
		Log:          logSettings{Level: "info", Format: "text"},
		Peer:         peerSettings{Address: "127.0.0.1:7400"},
		Raft: raftSettings{
			LogStore: store.LogStore, BootstrapExpect: 1, SegmentBytes: store.SegmentBytes,
			StabilizationTime: store.StabilizationTime, DeadServerAfter: store.DeadServerAfter,
			DiskStallTimeout: store.DiskStallTimeout,
			SnapshotEntries:  store.SnapshotEntries, SnapshotInterval: store.SnapshotInterval,
			ProposeTimeout: store.ProposeTimeout,
		},
		Limits:  limitSettings{RequestBytes: store.MaxRequestBytes, MemoryBytes: store.MemoryLimit, DiskReserveBytes: store.DiskReserve},
		History: historySettings{Age: store.HistoryAge, Commits: store.HistoryCommits},
		Agent:   agentSettings{LeaseTTL: a.LeaseTTL},
	}
	s.Node.Address = hostAddress()
	if host, err := os.Hostname(); err == nil {
		s.Node.Name = strings.ToLower(strings.SplitN(host, ".", 2)[0])
	}
	return s
}

// storeConfig is the store's part of the settings.
func (s *settings) storeConfig() raftstore.Config {
	c := raftstore.DefaultConfig()
	c.DataDir = s.DataDir
	c.NodeID, c.NodeName = s.Raft.NodeID, s.Node.Name
	c.PeerAddress, c.AdvertiseAddress = s.Peer.Address, s.Peer.Advertise
	c.LogStore, c.SegmentBytes = s.Raft.LogStore, s.Raft.SegmentBytes
	c.StabilizationTime, c.DeadServerAfter = s.Raft.StabilizationTime, s.Raft.DeadServerAfter
	c.BootstrapExpect, c.Join, c.Version = s.Raft.BootstrapExpect, s.Join, Version()
	c.DiskStallTimeout, c.DiskReserve = s.Raft.DiskStallTimeout, s.Limits.DiskReserveBytes
	c.SnapshotEntries, c.SnapshotInterval = s.Raft.SnapshotEntries, s.Raft.SnapshotInterval
	c.ProposeTimeout = s.Raft.ProposeTimeout
	c.MaxRequestBytes, c.MemoryLimit = s.Limits.RequestBytes, s.Limits.MemoryBytes
	c.HistoryAge, c.HistoryCommits = s.History.Age, s.History.Commits
	return c
}

// agentConfig is the local agent's part of the settings.
func (s *settings) agentConfig() (agent.Config, error) {
	c := agent.DefaultConfig()
	meta, err := parsePairs(s.Node.Meta)
	if err != nil {
		return c, fmt.Errorf("node.meta: %w", err)
	}
	c.Node = registry.Node{Name: s.Node.Name, Address: s.Node.Address, Meta: meta}
	c.LeaseTTL = s.Agent.LeaseTTL
	c.ConfigDirs = s.Agent.ConfigDirs
	c.AllowExec = s.Agent.AllowExec
	c.DataDir = s.DataDir
	return c, nil
}

// validate asks every package whether its part of the settings makes sense.
func (s *settings) validate() []error {
	var errs []error
	if s.Datacenter == "" {
		errs = append(errs, errors.New("datacenter is empty"))
	}
	if s.DrainTimeout < 0 {
		errs = append(errs, fmt.Errorf("drain_timeout is %v: it cannot be negative", s.DrainTimeout))
	}
	if n := s.Raft.BootstrapExpect; n < 0 {
		errs = append(errs, fmt.Errorf("raft.bootstrap_expect is %d: it cannot be negative", n))
	}
	store := s.storeConfig()
	if store.DataDir == "" {
		store.DataDir = "." // which commands need one is for them to say
	}
	if len(s.Join) > 0 { // an agent's are not peer addresses
		store.Join, store.BootstrapExpect = nil, 0
	}
	if err := store.Validate(); err != nil {
		errs = append(errs, err)
	}
	if a, err := s.agentConfig(); err != nil {
		errs = append(errs, err)
	} else if err := a.Validate(); err != nil {
		errs = append(errs, err)
	}
	if len(s.Join) > 0 {
		if _, err := client.New(client.Config{Addresses: s.Join}); err != nil {
			errs = append(errs, fmt.Errorf("join: %w", err))
		}
	}
	return errs
}

// parsePairs reads key=value words.
func parsePairs(words []string) (map[string]string, error) {
	if len(words) == 0 {
		return nil, nil
	}
	pairs := make(map[string]string, len(words))
	for _, w := range words {
		k, v, ok := strings.Cut(w, "=")
		if !ok || k == "" {
			return nil, fmt.Errorf("%q is not of the form key=value", w)
		}
		pairs[k] = v
	}
	return pairs, nil
}
