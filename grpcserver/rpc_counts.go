package grpcserver

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

// rpcCounts are the calls of one method as the usual middleware of gRPC counts them, by whose
// names the dashboards and alerts made for etcd ask. It is safe for concurrent use.
type rpcCounts struct {
	service, method, kind string
	started               atomic.Uint64
	handled               [codes.Unauthenticated + 1]atomic.Uint64
}

// rpcKind is what that middleware calls a method's kind.
func rpcKind(m grpc.MethodInfo) string {
	switch {
	case m.IsClientStream && m.IsServerStream:
		return "bidi_stream"
	case m.IsClientStream:
		return "client_stream"
	case m.IsServerStream:
		return "server_stream"
	}
	return "unary"
}

// open is how many calls of a method have begun and not ended.
func (c *callMetrics) open(method string) int64 {
	m := c.methods[method]
	if m == nil {
		return 0
	}
	ended := uint64(0)
	for code := range m.rpc.handled { // before what has begun, so that there are never less than none
		ended += m.rpc.handled[code].Load()
	}
	return int64(m.rpc.started.Load() - ended)
}

// writeRPCCounts writes the counts of every method in Prometheus's text form. Those that are
// 0 are written too, as etcd does: the rate of an error that comes for the first time would
// otherwise be unknown.
func (c *callMetrics) writeRPCCounts(w io.Writer) {
	methods := slices.SortedFunc(maps.Values(c.methods), func(a, b *methodMetrics) int {
		return cmp.Or(cmp.Compare(a.rpc.service, b.rpc.service), cmp.Compare(a.rpc.method, b.rpc.method))
	})
	const started, handled = "grpc_server_started_total", "grpc_server_handled_total"
	fmt.Fprintf(w, "# HELP %s Calls of etcd's API that have begun.\n# TYPE %s counter\n", started, started)
	for _, m := range methods {
		r := &m.rpc
		fmt.Fprintf(w, "%s{grpc_method=%q,grpc_service=%q,grpc_type=%q} %d\n", started, r.method, r.service, r.kind, r.started.Load())
	}
	fmt.Fprintf(w, "# HELP %s Calls of etcd's API that have ended, by code.\n# TYPE %s counter\n", handled, handled)
	for _, m := range methods {
		r := &m.rpc
		for code := range r.handled {
			fmt.Fprintf(w, "%s{grpc_code=%q,grpc_method=%q,grpc_service=%q,grpc_type=%q} %d\n",
				handled, codes.Code(code), r.method, r.service, r.kind, r.handled[code].Load())
		}
	}
}
