package grpcserver

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"herald/registry"
)

// clusterService is etcd's Cluster service, on the servers that there really are.
type clusterService struct {
	pb.UnimplementedClusterServer
	*core
}

// clusterHeader is the header of the service's answers, which show no revision.
func (s *clusterService) clusterHeader() *pb.ResponseHeader {
	return s.header(new(pb.ResponseHeader), 0)
}

// MemberList lists the members. One that has no name has not said yet where clients reach
// it, and clients pass over it.
func (s *clusterService) MemberList(ctx context.Context, r *pb.MemberListRequest) (*pb.MemberListResponse, error) {
	how := registry.Stale
	if r.Linearizable {
		how = registry.Linearizable
	}
	ms, err := s.members(ctx, how)
	if err != nil {
		return nil, err
	}
	return &pb.MemberListResponse{Header: s.clusterHeader(), Members: ms.messages()}, nil
}
