package grpcserver

import (
	"context"
	"errors"
	"math"
	"net"
	"net/http"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"go.etcd.io/etcd/api/v3/etcdserverpb/gw"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	"herald/grpcserver/electionpb"
	"herald/grpcserver/lockpb"
)

// gateway is etcd's JSON gateway. It is a client of the gRPC server, over connections
// within the process, so that a call goes the same way whatever it is written in.
type gateway struct {
	http.Handler
	listener *handedOn // of the gRPC server
	conn     *grpc.ClientConn
}

// metadataClient names the client that the gateway calls for, in the metadata of its
// calls. It is believed on the gateway's own connections and nowhere else.
const metadataClient = "herald-client"

// metadataHeader begins the headers that become a call's metadata.
const metadataHeader = "Grpc-Metadata-"

func newGateway(c *core) (*gateway, error) {
	g := &gateway{listener: newHandedOn(gatewayAddr{})}
	conn, err := grpc.NewClient("passthrough:///gateway",
		grpc.WithContextDialer(g.dial),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		// What may be sent is for the server to say, as it does to every client.
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(math.MaxInt32), grpc.MaxCallSendMsgSize(math.MaxInt32)))
	if err != nil {
		return nil, err
	}
	g.conn = conn
	mux := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, newMarshaler(maxMessageBytes(c.store))),
		runtime.WithErrorHandler(answerError),
		runtime.WithIncomingHeaderMatcher(headerToMetadata),
		runtime.WithMetadata(callMetadata),
		runtime.WithDisableHTTPMethodOverride(),
	)
	g.Handler = mux
	for _, register := range []func(context.Context, *runtime.ServeMux, *grpc.ClientConn) error{
		gw.RegisterKVHandler,
		gw.RegisterLeaseHandler,
		gw.RegisterClusterHandler,
		gw.RegisterMaintenanceHandler,
		gw.RegisterAuthHandler,
		lockpb.RegisterLockHandler,
		electionpb.RegisterElectionHandler,
		gw.RegisterWatchHandler,
	} {
		if err := register(c.stopping, mux, conn); err != nil {
			return nil, errors.Join(err, g.Close())
		}
	}
	return g, nil
}

// dial connects to the gRPC server.
func (g *gateway) dial(ctx context.Context, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	if err := g.listener.hand(ctx, gatewayConn{server}); err != nil {
		return nil, errors.Join(err, client.Close())
	}
	return client, nil
}

// Close ends the gateway's connections.
func (g *gateway) Close() error { return errors.Join(g.conn.Close(), g.listener.Close()) }

// gatewayConn is the gRPC server's end of a connection of the gateway.
type gatewayConn struct{ net.Conn }

// RemoteAddr is a gatewayAddr.
func (gatewayConn) RemoteAddr() net.Addr { return gatewayAddr{} }

// gatewayAddr is where the gateway's connections come from.
type gatewayAddr struct{}

// Network implements net.Addr.
func (gatewayAddr) Network() string { return "pipe" }

func (gatewayAddr) String() string { return "gateway" }

// headerToMetadata says which headers become metadata, and by what name.
func headerToMetadata(header string) (string, bool) {
	key, ok := strings.CutPrefix(header, metadataHeader)
	return key, ok && !strings.EqualFold(key, metadataClient)
}

// callMetadata is what the gateway says of a call by itself: for whom it calls, and
// the token, which HTTP has a header of its own for.
func callMetadata(_ context.Context, r *http.Request) metadata.MD {
	md := metadata.Pairs(metadataClient, hostOf(r.RemoteAddr))
	if token := r.Header.Get("Authorization"); token != "" {
		md.Set(rpctypes.TokenFieldNameGRPC, token)
	}
	return md
}
