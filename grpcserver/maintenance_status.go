package grpcserver

import (
	"context"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"herald/registry"
)

// defaultQuota is what etcd reports as its quota unless it is given another: 2 GiB.
const defaultQuota = 2 << 30

// Status says how this server is. The size of its database is the memory that its state
// takes, all of which is in use. The quota is told for dashboards that divide by it; nothing
// enforces it.
func (s *maintenanceService) Status(context.Context, *pb.StatusRequest) (*pb.StatusResponse, error) {
	st := s.cluster.Status()
	self, member := s.server(st.ID)
	a := &pb.StatusResponse{
		Header:           s.header(new(pb.ResponseHeader), st.Revisions[registry.SpaceKV]),
		Version:          apiVersion,
		StorageVersion:   storageVersion,
		DbSize:           st.Bytes,
		DbSizeInUse:      st.Bytes,
		DbSizeQuota:      defaultQuota,
		Leader:           memberID(st.Leader),
		RaftIndex:        st.Committed,
		RaftTerm:         st.Term,
		RaftAppliedIndex: st.Applied,
		IsLearner:        member && self.Suffrage == registry.NonVoter,
		DowngradeInfo:    &pb.DowngradeInfo{},
	}
	if st.Leader == "" {
		a.Errors = append(a.Errors, rpctypes.ErrorDesc(rpctypes.ErrGRPCNoLeader))
	}
	for _, m := range s.alarms.known.Load().armed {
		a.Errors = append(a.Errors, fmt.Sprintf("memberID:%d alarm:%v ", m.MemberID, m.Alarm))
	}
	return a, nil
}
