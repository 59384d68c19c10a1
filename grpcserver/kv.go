package grpcserver

import pb "go.etcd.io/etcd/api/v3/etcdserverpb"

// kvService is etcd's KV service.
type kvService struct {
	pb.UnimplementedKVServer
	*core
}
