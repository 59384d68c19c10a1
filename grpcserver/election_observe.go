package grpcserver

import (
	"context"

	"google.golang.org/grpc"

	"herald/grpcserver/electionpb"
	"herald/registry"
)

// Observe says who leads now and, until the client ends it, whenever that or the leader's
// value has changed. Who led for a moment only may be left out; who leads is not.
func (s *electionService) Observe(r *electionpb.LeaderRequest, stream grpc.ServerStreamingServer[electionpb.LeaderResponse]) error {
	ctx, cancel := s.untilStopped(stream.Context())
	defer cancel()
	prefix := queuePrefix(r.Name)
	var told string // the key that was told last
	var at int64    // the revision that wrote it
	for {
		res, err := s.store.Range(ctx, *first(prefix))
		if err != nil {
			return queueStatus(ctx, err)
		}
		watched := registry.Prefix(prefix)
		if len(res.KVs) > 0 {
			leader := &res.KVs[0]
			if leader.Key != told || leader.ModRevision != at {
				if err := stream.Send(s.leader(leader, res.Revision)); err != nil {
					return err
				}
				told, at = leader.Key, leader.ModRevision
			}
			watched = registry.One(leader.Key)
		}
		err = s.follow(ctx, watched, res.Revision+1, func(e *registry.Event) error {
			at = e.KV.ModRevision
			return stream.Send(s.leader(&e.KV, at))
		})
		if err != nil {
			return queueStatus(ctx, err)
		}
	}
}

// follow tells of a leader's new values, from a revision on, until it no longer leads. If
// nobody leads, and so all keys of the election are watched, it returns when
// somebody may.
func (s *electionService) follow(ctx context.Context, keys registry.KeyRange, from int64, tell func(*registry.Event) error) error {
	w, err := s.store.Watch(ctx, registry.WatchRequest{KeyRange: keys, StartRevision: from})
	if err != nil {
		return watchEnded(err)
	}
	defer w.Close()
	for {
		commits, err := w.Next(ctx)
		if err != nil {
			return watchEnded(err)
		}
		for i := range commits {
			for j := range commits[i].Events {
				e := &commits[i].Events[j]
				if !keys.IsOne() || isAnother(*e) {
					return nil
				}
				if err := tell(e); err != nil {
					return err
				}
			}
		}
	}
}
