package grpcserver

import (
	"context"
	"errors"
	"io"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"

	"herald/registry"
)

// keepAliveQueue is how many requests of one stream may wait for the one before; what is
// more waits in the connection.
const keepAliveQueue = 16

// LeaseKeepAlive answers each request of a stream, in order. A lease that has ended is
// answered with a time to live of 0 and does not end the stream; not to know whether it
// has does.
func (s *leaseService) LeaseKeepAlive(stream grpc.BidiStreamingServer[pb.LeaseKeepAliveRequest, pb.LeaseKeepAliveResponse]) error {
	ctx, cancel := s.untilStopped(stream.Context())
	defer cancel()
	asked := make(chan registry.LeaseID, keepAliveQueue)
	var end error // why there are no more; set before asked is closed
	// Receiving ends only when the client says no more or this method has returned.
	s.background.Go(func() {
		defer close(asked)
		end = receiveKeepAlives(ctx, stream, asked)
	})
	for {
		select {
		case id, ok := <-asked:
			if !ok {
				return end
			}
			a, err := s.keepAlive(ctx, id)
			if err != nil {
				if ctx.Err() != nil {
					err = context.Cause(ctx)
				}
				return err
			}
			if err := stream.Send(a); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// receiveKeepAlives hands on what a stream's client asks for until there is no more, or ctx
// has ended.
func receiveKeepAlives(ctx context.Context, stream grpc.ServerStream, to chan<- registry.LeaseID) error {
	var r pb.LeaseKeepAliveRequest
	for {
		err := stream.RecvMsg(&r)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case to <- registry.LeaseID(r.ID):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (s *leaseService) keepAlive(ctx context.Context, id registry.LeaseID) (*pb.LeaseKeepAliveResponse, error) {
	l, err := s.store.KeepAlive(ctx, id)
	ended := errors.Is(err, registry.ErrLeaseNotFound)
	if err != nil && !ended {
		return nil, err
	}
	answer := new(struct {
		response pb.LeaseKeepAliveResponse
		header   pb.ResponseHeader
	})
	answer.response.Header = s.header(&answer.header, s.cluster.Status().Revisions[registry.SpaceKV])
	answer.response.ID = int64(id)
	if !ended {
		answer.response.TTL = seconds(l.TTL)
	}
	return &answer.response, nil
}
