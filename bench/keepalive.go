package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// leaseSeconds is long enough that no lease of a round ends in it.
const leaseSeconds = 600

// keepalives keeps one lease for each client alive, over a stream of its own. The stream is used
// below clientv3, which sends one keepalive in a third of the time to live and no more.
func keepalives(round context.Context, conn *clientv3.Client, _ int) (asker, error) {
	lease, err := conn.Grant(round, leaseSeconds)
	if err != nil {
		return nil, err
	}
	request := &pb.LeaseKeepAliveRequest{ID: int64(lease.ID)}
	var stream pb.Lease_LeaseKeepAliveClient
	return func(context.Context) error {
		if stream == nil {
			if stream, err = pb.NewLeaseClient(conn.ActiveConnection()).LeaseKeepAlive(round); err != nil {
				return err
			}
		}
		answer, err := keepAlive(stream, request)
		if err != nil {
			stream = nil // one that failed once is of no more use
			return err
		}
		if answer.TTL <= 0 {
			return fmt.Errorf("lease %x has ended", request.ID)
		}
		return nil
	}, nil
}

func keepAlive(stream pb.Lease_LeaseKeepAliveClient, request *pb.LeaseKeepAliveRequest) (*pb.LeaseKeepAliveResponse, error) {
	if err := stream.Send(request); err != nil && !errors.Is(err, io.EOF) { // of which Recv knows the reason
		return nil, err
	}
	return stream.Recv()
}
