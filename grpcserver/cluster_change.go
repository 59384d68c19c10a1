package grpcserver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"herald/registry"
)

const (
	// maxAddAttempts is how often a member, or an alarm, is tried to be added that others came before.
	maxAddAttempts = 16
	// maxExpected is how many members may be expected at a time. They are in every server's memory
	// until they come, and nobody has to answer for them.
	maxExpected = 64
)

// errNoOperator is the answer where the store cannot change who the servers are.
var errNoOperator = status.Error(codes.Unimplemented, "herald: who the servers are cannot be changed here")

// MemberAdd says that a server will come. It comes by itself, when it is started with the
// address of another one to join; until then it is listed without a name, and costs no
// quorum.
func (s *clusterService) MemberAdd(ctx context.Context, r *pb.MemberAddRequest) (*pb.MemberAddResponse, error) {
	if err := checkPeerURLs(r.PeerURLs); err != nil {
		return nil, err
	}
	urls := slices.Sorted(slices.Values(r.PeerURLs))
	id := expectedID(urls...)
	m := member{
		Member: &pb.Member{ID: id, PeerURLs: urls, IsLearner: r.IsLearner},
		key:    fmt.Sprintf("%s%016x", expectedPrefix, id),
	}
	for range maxAddAttempts {
		ms, err := s.members(ctx, registry.Linearizable)
		switch {
		case err != nil:
			return nil, err
		case ms.taken(urls, 0):
			return nil, rpctypes.ErrGRPCPeerURLExist
		case r.IsLearner && slices.ContainsFunc(ms.all, func(m member) bool { return m.IsLearner }):
			return nil, rpctypes.ErrGRPCTooManyLearners // one at a time, as in etcd
		case ms.expected() >= maxExpected:
			return nil, status.Errorf(codes.ResourceExhausted, "herald: %d members are expected already; remove those that will not come", maxExpected)
		}
		ok, err := s.expect(asOperator(ctx), &m, ms.revision)
		if err != nil {
			return nil, err
		}
		if ok {
			ms.add(m)
			return &pb.MemberAddResponse{Header: s.clusterHeader(), Member: m.Member, Members: ms.messages()}, nil
		}
	}
	return nil, rpctypes.ErrGRPCRequestTooManyRequests
}

// MemberRemove takes a server out of the cluster, or says that one will not come after all.
func (s *clusterService) MemberRemove(ctx context.Context, r *pb.MemberRemoveRequest) (*pb.MemberRemoveResponse, error) {
	ms, i, err := s.find(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	ctx = asOperator(ctx)
	if m := &ms.all[i]; m.expected() {
		err = s.unexpect(ctx, m)
	} else {
		err = s.operate(func(o registry.Operator) error { return o.Remove(ctx, m.server) })
	}
	if errors.Is(err, registry.ErrMembership) && !errors.Is(err, registry.ErrQuorum) { // it is the last
		return nil, rpctypes.ErrGRPCMemberNotEnoughStarted
	}
	if err != nil {
		return nil, err
	}
	ms.all = slices.Delete(ms.all, i, i+1)
	return &pb.MemberRemoveResponse{Header: s.clusterHeader(), Members: ms.messages()}, nil
}

// MemberUpdate says where a server is. It has one address, the first; the others look for it
// there until it says otherwise itself.
func (s *clusterService) MemberUpdate(ctx context.Context, r *pb.MemberUpdateRequest) (*pb.MemberUpdateResponse, error) {
	ms, i, err := s.find(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	if err := checkPeerURLs(r.PeerURLs); err != nil {
		return nil, err
	}
	if ms.taken(r.PeerURLs, ms.all[i].ID) {
		return nil, rpctypes.ErrGRPCPeerURLExist
	}
	ctx = asOperator(ctx)
	m := &ms.all[i]
	if m.expected() {
		m.PeerURLs = slices.Sorted(slices.Values(r.PeerURLs))
		var ok bool
		if ok, err = s.expectAt(ctx, m, ms.revision); err == nil && !ok {
			err = rpctypes.ErrGRPCRequestTooManyRequests // who asks again sees what came first
		}
	} else {
		address := peerAddress(r.PeerURLs[0])
		err = s.operate(func(o registry.Operator) error { return o.Readdress(ctx, m.server, address) })
		if errors.Is(err, registry.ErrMembership) { // another is there
			err = rpctypes.ErrGRPCPeerURLExist
		}
	}
	if err != nil {
		return nil, err
	}
	// As it is now: a server that answers where it was stays there.
	if ms, err = s.members(ctx, registry.Linearizable); err != nil {
		return nil, err
	}
	return &pb.MemberUpdateResponse{Header: s.clusterHeader(), Members: ms.messages()}, nil
}

// MemberPromote gives a server a vote that has caught up with the leader. It would get one
// by itself a little later.
func (s *clusterService) MemberPromote(ctx context.Context, r *pb.MemberPromoteRequest) (*pb.MemberPromoteResponse, error) {
	ms, i, err := s.find(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	m := &ms.all[i]
	switch {
	case !m.IsLearner:
		return nil, rpctypes.ErrGRPCMemberNotLearner
	case m.expected():
		return nil, rpctypes.ErrGRPCLearnerNotReady
	}
	ctx = asOperator(ctx)
	if err := s.operate(func(o registry.Operator) error { return o.Promote(ctx, m.server) }); err != nil {
		return nil, err
	}
	m.IsLearner = false
	return &pb.MemberPromoteResponse{Header: s.clusterHeader(), Members: ms.messages()}, nil
}

// expectedID is the number of a member that is expected, by its sorted peer URLs.
func expectedID(urls ...string) uint64 { return number("expected member", strings.Join(urls, ",")) }

// find returns the members, and where among them the one of a number is. One that has come is
// also found by the number that it was expected under: that was told to whoever added it. The
// caller may change them.
func (s *clusterService) find(ctx context.Context, id uint64) (*members, int, error) {
	ms, err := s.members(ctx, registry.Linearizable)
	if err != nil {
		return nil, 0, err
	}
	i := slices.IndexFunc(ms.all, func(m member) bool { return m.ID == id })
	if i < 0 {
		i = slices.IndexFunc(ms.all, func(m member) bool { return !m.expected() && expectedID(m.PeerURLs...) == id })
	}
	if i < 0 {
		return nil, 0, rpctypes.ErrGRPCMemberNotFound
	}
	return ms, i, nil
}

// operate does what changes who the servers are.
func (s *clusterService) operate(do func(registry.Operator) error) error {
	if s.operator == nil {
		return errNoOperator
	}
	return do(s.operator)
}
