package grpcserver

import (
	"context"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// maxSnapshots is how many snapshots are sent at a time. Each is on the disk meanwhile; clients
// beyond that wait, and one that does not read on makes room for them.
const maxSnapshots = 4

// maintenanceService is etcd's Maintenance service. All but alarms and the leader is about
// the server that is asked. Its goroutines are those of sendSnapshot, by core.background.
type maintenanceService struct {
	pb.UnimplementedMaintenanceServer
	*core
	// saving has an element for each snapshot that is being sent.
	saving chan struct{}
	// patience is how long a client may take to receive snapshotFloor bytes of a snapshot.
	patience time.Duration
}

func newMaintenanceService(c *core) *maintenanceService {
	return &maintenanceService{core: c, saving: make(chan struct{}, maxSnapshots), patience: chunkTimeout}
}

// Defragment has nothing to do: space that is freed is used again, or given back.
func (s *maintenanceService) Defragment(context.Context, *pb.DefragmentRequest) (*pb.DefragmentResponse, error) {
	return &pb.DefragmentResponse{}, nil
}
