package raftstore

import (
	"fmt"
	"slices"

	"github.com/hashicorp/raft"
)

// charter is which cluster a server is part of, or is about to be. It is kept in
// herald.json: what it promises holds over restarts. See DESIGN.md, "A new cluster".
type charter struct {
	// ClusterID never changes once it is set: the raft log beside it is of that cluster.
	ClusterID string `json:"cluster_id,omitempty"`
	// Left says that the server is not part of the cluster any more. It has the cluster's
	// data and the same id, so it may be taken in again.
	Left bool `json:"left,omitempty"`
	// Promise is the new cluster that the server will become part of, and of no other, while
	// it is part of none.
	Promise *promise `json:"promise,omitempty"`
	// Founders is what the server, as the coordinator of a new cluster, has yet to write to
	// its log.
	Founders []founder `json:"founders,omitempty"`
}

// promise is given to the coordinator of a new cluster. The coordinator gives it to itself
// before it asks anybody else, and alone can release others from theirs: by having none.
type promise struct {
	ClusterID   string `json:"cluster_id"`
	Coordinator string `json:"coordinator"`
	Address     string `json:"address"` // the coordinator's
}

// founder is one of the first servers of a cluster.
type founder struct {
	ID      string `json:"id"`
	Address string `json:"address"`
}

func (c *charter) equal(o *charter) bool {
	return c.ClusterID == o.ClusterID && c.Left == o.Left && slices.Equal(c.Founders, o.Founders) &&
		(c.Promise == nil) == (o.Promise == nil) && (c.Promise == nil || *c.Promise == *o.Promise)
}

// founders is the charter's as raft has them.
func (c *charter) founders() []raft.Server {
	servers := make([]raft.Server, len(c.Founders))
	for i, f := range c.Founders {
		servers[i] = raft.Server{ID: raft.ServerID(f.ID), Address: raft.ServerAddress(f.Address)}
	}
	return servers
}

// charter is a copy of what the data directory says, by any goroutine.
func (d *dataDir) charter() charter {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.id.charter
}

// recharter makes a change durable and then visible. from is what the change was decided by:
// if the charter is another meanwhile, nothing happens and it returns false. After
// an error the change may be durable, and comes to light with a restart.
func (d *dataDir) recharter(from, to charter) (bool, error) {
	d.changing.Lock()
	defer d.changing.Unlock()
	if now := d.charter(); !now.equal(&from) {
		return false, nil
	}
	id := d.id // only changed here
	id.charter = to
	if err := d.writeIdentity(&id); err != nil {
		return false, fmt.Errorf("record this server's cluster: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.id.charter = to
	return true, nil
}
