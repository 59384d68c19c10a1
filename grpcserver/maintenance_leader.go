package grpcserver

import (
	"context"
	"errors"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"herald/registry"
)

// MoveLeader hands on leadership to another member. Only the leader can be asked.
func (s *maintenanceService) MoveLeader(ctx context.Context, r *pb.MoveLeaderRequest) (*pb.MoveLeaderResponse, error) {
	st := s.cluster.Status()
	switch {
	case !st.IsLeader:
		return nil, rpctypes.ErrGRPCNotLeader
	case s.operator == nil:
		return nil, errNoOperator
	}
	to, ok := s.transferee(r.TargetID)
	if !ok {
		return nil, rpctypes.ErrGRPCBadLeaderTransferee
	}
	err := s.operator.Transfer(asOperator(ctx), to)
	if errors.Is(err, registry.ErrMembership) || errors.Is(err, registry.ErrMemberNotFound) {
		return nil, rpctypes.ErrGRPCBadLeaderTransferee // it does not answer, or has gone
	}
	if err != nil {
		return nil, err
	}
	return &pb.MoveLeaderResponse{}, nil
}

// transferee is the server of a number that may lead.
func (s *maintenanceService) transferee(id uint64) (server string, ok bool) {
	for _, m := range s.cluster.Servers() {
		if memberID(m.ID) == id && m.Suffrage == registry.Voter {
			return m.ID, true
		}
	}
	return "", false
}
