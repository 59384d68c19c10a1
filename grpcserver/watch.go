package grpcserver

import (
	"context"
	"errors"
	"io"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
)

// watchService is etcd's Watch service. A stream has two goroutines, however many watches
// are on it: one receives what the client asks for, and the call's own does all else, so
// that what it sends is in order by construction.
type watchService struct {
	pb.UnimplementedWatchServer
	*core
	encodings eventCache
}

// watchRequestQueue is how many requests of one stream may wait for the one before; what is
// more waits in the connection.
const watchRequestQueue = 16

// Watch serves the watches of one stream until its client or the door ends it. A client that
// has said that it asks for no more is still told what it asked for.
func (s *watchService) Watch(stream grpc.BidiStreamingServer[pb.WatchRequest, pb.WatchResponse]) error {
	ctx, cancel := s.untilStopped(stream.Context())
	defer cancel()
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	w := newWatchStream(s, stream)
	defer w.close()
	asked := make(chan *pb.WatchRequest, watchRequestQueue)
	// Receiving ends when the client says no more, or when this method has returned.
	s.background.Go(func() {
		if err := receiveWatches(ctx, stream, asked); err != nil {
			fail(err)
		}
	})
	return w.run(ctx, asked)
}

// receiveWatches hands on what a stream's client asks for until there is no more, or ctx
// has ended.
func receiveWatches(ctx context.Context, stream grpc.ServerStream, to chan<- *pb.WatchRequest) error {
	for {
		r := new(pb.WatchRequest)
		err := stream.RecvMsg(r)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case to <- r:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
