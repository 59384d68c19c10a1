package grpcserver

import (
	"math"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"

	"herald/grpcserver/electionpb"
	"herald/grpcserver/lockpb"
	"herald/registry"
)

const (
	// defaultRequestBytes is the largest write unless the store says otherwise, 1.5 MiB as
	// in etcd.
	defaultRequestBytes = 3 << 19
	// overheadBytes is how much larger a message may be than the write in it.
	overheadBytes = 512 << 10
	// minPingInterval is how often a client may ping; one that does so more often is sent away.
	minPingInterval = 5 * time.Second
	// streamWorkers is how many goroutines wait for calls. A call beyond them gets one of
	// its own, whose stack has to grow anew: a tenth of what a put costs.
	streamWorkers = 512
	// maxHeaderBytes bounds the headers of a request; a token is the largest there is.
	maxHeaderBytes = 64 << 10
)

// newServer makes the gRPC server with every service of the door.
func newServer(c *core) *grpc.Server {
	s := grpc.NewServer(
		grpc.MaxRecvMsgSize(maxMessageBytes(c.store)),
		grpc.MaxSendMsgSize(math.MaxInt32),
		grpc.MaxConcurrentStreams(math.MaxUint32),
		grpc.MaxHeaderListSize(maxHeaderBytes),
		grpc.ConnectionTimeout(speakTimeout),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPingInterval}),
		grpc.UnaryInterceptor(c.unary),
		grpc.StreamInterceptor(c.stream),
		grpc.WaitForHandlers(true),
		grpc.NumStreamWorkers(streamWorkers),
		grpc.ForceServerCodecV2(newCodec()),
	)
	registerKV(s, c)
	pb.RegisterLeaseServer(s, &leaseService{core: c})
	pb.RegisterClusterServer(s, &clusterService{core: c})
	pb.RegisterMaintenanceServer(s, newMaintenanceService(c))
	pb.RegisterAuthServer(s, newAuthService(c))
	lockpb.RegisterLockServer(s, &lockService{core: c})
	electionpb.RegisterElectionServer(s, &electionService{core: c})
	healthpb.RegisterHealthServer(s, newHealthService(c))
	pb.RegisterWatchServer(s, &watchService{core: c})
	c.calls.know(s.GetServiceInfo())
	return s
}

// maxMessageBytes is how large a message may be that the gRPC server takes: what the store
// would refuse is refused by the store, which says so as etcd does, up to a little above.
func maxMessageBytes(s registry.Store) int {
	return maxRequestBytes(s) + overheadBytes
}
