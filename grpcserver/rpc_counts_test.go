package grpcserver

import (
	"context"
	"fmt"
	"strings"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

func TestCallsAreCountedByTheNamesOfGRPCsMiddleware(t *testing.T) {
	h := open(t)
	kv := pb.NewKVClient(h.conn)
	for _, key := range []string{"a", "b", ""} {
		kv.Put(t.Context(), &pb.PutRequest{Key: []byte(key)}) // one of them fails
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if _, err := pb.NewWatchClient(h.conn).Watch(ctx); err != nil {
		t.Fatal(err)
	}
	want := func(lines ...string) {
		t.Helper()
		for _, line := range lines {
			// What a client was answered may be counted an instant later.
			until(t, line, func() bool {
				_, body := h.ask("GET", "/metrics", "")
				return strings.Contains(body, "\n"+line+"\n")
			})
		}
	}
	const put = `grpc_method="Put",grpc_service="etcdserverpb.KV",grpc_type="unary"`
	const watch = `grpc_method="Watch",grpc_service="etcdserverpb.Watch",grpc_type="bidi_stream"`
	want("# TYPE grpc_server_started_total counter", "# TYPE grpc_server_handled_total counter",
		fmt.Sprintf("grpc_server_started_total{%s} 3", put),
		fmt.Sprintf(`grpc_server_handled_total{grpc_code="OK",%s} 2`, put),
		fmt.Sprintf(`grpc_server_handled_total{grpc_code="InvalidArgument",%s} 1`, put),
		fmt.Sprintf(`grpc_server_handled_total{grpc_code="Unavailable",%s} 0`, put),
		fmt.Sprintf("grpc_server_started_total{%s} 1", watch),
		fmt.Sprintf(`grpc_server_handled_total{grpc_code="Canceled",%s} 0`, watch),
		`grpc_server_started_total{grpc_method="RangeStream",grpc_service="etcdserverpb.KV",grpc_type="server_stream"} 0`)
	cancel()
	want(fmt.Sprintf(`grpc_server_handled_total{grpc_code="Canceled",%s} 1`, watch))
}
