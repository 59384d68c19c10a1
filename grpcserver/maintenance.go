package grpcserver

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// maxSnapshots is how many snapshots are sent at a time. Each is on the disk meanwhile; clients
// beyond that wait.
const maxSnapshots = 4

// maintenanceService is etcd's Maintenance service. All but alarms and the leader is about
// the server that is asked.
type maintenanceService struct {
	pb.UnimplementedMaintenanceServer
	*core
	// saving has an element for each snapshot that is being sent.
	saving chan struct{}
}

func newMaintenanceService(c *core) *maintenanceService {
	return &maintenanceService{core: c, saving: make(chan struct{}, maxSnapshots)}
}

// Defragment has nothing to do: space that is freed is used again, or given back.
func (s *maintenanceService) Defragment(context.Context, *pb.DefragmentRequest) (*pb.DefragmentResponse, error) {
	return &pb.DefragmentResponse{}, nil
}
