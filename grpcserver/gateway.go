package grpcserver

import (
	"context"
	"errors"
	"net"
	"net/http"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"go.etcd.io/etcd/api/v3/etcdserverpb/gw"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
)

// gateway is the door's HTTP side: etcd's JSON gateway. It is a client of the gRPC server, over
// connections within the process.
type gateway struct {
	http.Handler
	listener *bufconn.Listener
	conn     *grpc.ClientConn
}

func newGateway(c *core, _ *grpc.Server) (*gateway, error) {
	g := &gateway{listener: bufconn.Listen(64 << 10)}
	conn, err := grpc.NewClient("passthrough:///gateway",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return g.listener.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	g.conn = conn
	mux := runtime.NewServeMux()
	g.Handler = mux
	return g, errors.Join(
		gw.RegisterKVHandler(c.stopping, mux, conn),
	)
}

// Close ends the gateway's connections.
func (g *gateway) Close() error { return errors.Join(g.conn.Close(), g.listener.Close()) }
