package grpcserver

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// maintenanceService is etcd's Maintenance service. All but alarms and the leader is about
// the server that is asked.
type maintenanceService struct {
	pb.UnimplementedMaintenanceServer
	*core
	// saving is held while a snapshot is sent: there is one at a time, so that clients
	// cannot fill the disk with them.
	saving chan struct{}
}

func newMaintenanceService(c *core) *maintenanceService {
	return &maintenanceService{core: c, saving: make(chan struct{}, 1)}
}

// Defragment has nothing to do: space that is freed is used again, or given back.
func (s *maintenanceService) Defragment(context.Context, *pb.DefragmentRequest) (*pb.DefragmentResponse, error) {
	return &pb.DefragmentResponse{}, nil
}
