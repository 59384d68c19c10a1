package grpcserver

import (
	"context"
	"errors"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"herald/grpcserver/electionpb"
	"herald/registry"
)

// electionService is etcd's Election service: queues whose first place leads. It starts no
// goroutines; whoever waits does so in its own call.
type electionService struct {
	electionpb.UnimplementedElectionServer
	*core
}

// The texts that clients know.
var (
	errNotLeader   = status.Error(codes.Unknown, "election: not leader")
	errNoLeader    = status.Error(codes.Unknown, "election: no leader")
	errLeaderUnset = status.Error(codes.Unknown, `"leader" field must be provided`)
)

// Leader says who leads.
func (s *electionService) Leader(ctx context.Context, r *electionpb.LeaderRequest) (*electionpb.LeaderResponse, error) {
	res, err := s.store.Range(ctx, *first(queuePrefix(r.Name)))
	if err != nil {
		return nil, queueStatus(ctx, err)
	}
	if len(res.KVs) == 0 {
		return nil, errNoLeader
	}
	return s.leader(&res.KVs[0], res.Revision), nil
}

// leader is the leader's key as of a revision.
func (s *electionService) leader(kv *registry.KeyValue, revision int64) *electionpb.LeaderResponse {
	return &electionpb.LeaderResponse{Header: s.headerAt(revision), Kv: fillKV(new(mvccpb.KeyValue), kv)}
}

// Proclaim changes the leader's value. Its key stays with the lease that it has.
func (s *electionService) Proclaim(ctx context.Context, r *electionpb.ProclaimRequest) (*electionpb.ProclaimResponse, error) {
	if r.Leader == nil {
		return nil, errLeaderUnset
	}
	revision, err := s.proclaim(ctx, string(r.Leader.Key), r.Leader.Rev, r.Value)
	if err != nil {
		return nil, queueStatus(ctx, err)
	}
	return &electionpb.ProclaimResponse{Header: s.headerAt(revision)}, nil
}

// proclaim gives a place another value. errNotLeader if the place is gone.
func (s *electionService) proclaim(ctx context.Context, key string, created int64, value []byte) (revision int64, err error) {
	if key == "" {
		return 0, registry.ErrEmptyKey
	}
	if created <= 0 { // of a key that does not exist it would hold
		return 0, errNotLeader
	}
	if err := s.alarms.refuseGrowth(); err != nil {
		return 0, err
	}
	res, err := s.store.Txn(ctx, registry.Txn{
		Compare: []registry.Compare{createdAt(key, created)},
		Then:    []registry.Op{{Put: &registry.PutRequest{Key: key, Value: value, KeepLease: true}}},
	})
	if err == nil && !res.Succeeded {
		err = errNotLeader
	}
	return res.Revisions[registry.SpaceKV], err
}

// Resign gives leadership up. Who does not lead has nothing to give up, which is no error.
func (s *electionService) Resign(ctx context.Context, r *electionpb.ResignRequest) (*electionpb.ResignResponse, error) {
	if r.Leader == nil {
		return nil, errLeaderUnset
	}
	if err := s.alarms.refuseChange(); err != nil {
		return nil, queueStatus(ctx, err)
	}
	revision, err := s.remove(ctx, string(r.Leader.Key), r.Leader.Rev)
	if err != nil {
		return nil, queueStatus(ctx, err)
	}
	return &electionpb.ResignResponse{Header: s.headerAt(revision)}, nil
}

// Campaign answers once the caller leads. While it waits, the end of the call or of the lease
// ends it, and the candidacy.
func (s *electionService) Campaign(ctx context.Context, r *electionpb.CampaignRequest) (*electionpb.CampaignResponse, error) {
	ctx, cancel := s.untilStopped(ctx)
	defer cancel()
	p, err := s.campaign(ctx, r)
	if errors.Is(err, errNoPlace) {
		return nil, errNotLeader
	}
	if err != nil {
		return nil, queueStatus(ctx, err)
	}
	return &electionpb.CampaignResponse{
		Header: s.headerAt(p.turn),
		Leader: &electionpb.LeaderKey{Name: r.Name, Key: []byte(p.key), Rev: p.created, Lease: int64(p.lease)},
	}, nil
}

func (s *electionService) campaign(ctx context.Context, r *electionpb.CampaignRequest) (*place, error) {
	p, err := s.queueUp(ctx, r.Name, r.Lease, r.Value)
	if err != nil {
		return nil, err
	}
	if p.found != nil && string(p.found.Value) != string(r.Value) {
		if _, err := s.proclaim(ctx, p.key, p.created, r.Value); err != nil {
			p.leave(ctx)
			return nil, err
		}
	}
	return p, p.await(ctx)
}
