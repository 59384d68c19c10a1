package grpcserver

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"herald/registry"
	"herald/registry/plugin"
)

// core is what the door's services share. It is safe for concurrent use.
type core struct {
	config   Config
	store    registry.Store
	cluster  registry.Cluster
	operator registry.Operator // nil where the store cannot
	version  string            // Herald's own
	tempDir  string            // as plugin.Host has it
	log      *slog.Logger
	// requestBytes is how large a write may be, see checkSize.
	requestBytes int

	leaders      *leaderWatch
	calls        *callMetrics
	versions     *versionCounts
	counts       kvCounts
	alarms       *alarms
	member       uint64
	record       memberRecord // what this server says of itself
	clusterKnown atomic.Uint64
	wasListed    atomic.Bool // see Door.Ready

	// stopping ends when the door does, and with it every stream that would not by itself; its
	// cause is what their clients are told.
	stopping context.Context
	stop     context.CancelCauseFunc
	// background are the goroutines that live as long as the door.
	background sync.WaitGroup
}

func newCore(config Config, h *plugin.Host) *core {
	c := &core{
		config: config, store: h.Store, cluster: h.Cluster, operator: h.Operator, version: h.Version, tempDir: h.TempDir, log: h.Log,
		requestBytes: maxRequestBytes(h.Store),

		leaders: newLeaderWatch(h.Cluster),
		calls:   newCallMetrics(h.Metrics),
		alarms:  newAlarms(h.Store),

		versions: newVersionCounts(),
		member:   memberID(h.Cluster.Status().ID),
	}
	c.stopping, c.stop = context.WithCancelCause(context.Background())
	return c
}

// start starts the goroutines that live as long as the door.
func (c *core) start() {
	for _, run := range []func(context.Context){c.leaders.run, c.runAlarms, c.runMembers} {
		c.background.Go(func() { run(c.stopping) })
	}
}
