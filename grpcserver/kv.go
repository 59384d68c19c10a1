package grpcserver

import (
	"context"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
)

// kvService is etcd's KV service. Its hot methods answer in a form of their own, see
// encoded, so it is described in kvMethods and not by the generated code.
type kvService struct {
	pb.UnimplementedKVServer
	*core
}

// registerKV offers the service.
func registerKV(s *grpc.Server, c *core) {
	desc := pb.KV_ServiceDesc
	desc.Methods = slices.Clone(desc.Methods)
	for i := range desc.Methods {
		switch m := &desc.Methods[i]; m.MethodName {
		case "Range":
			m.Handler = direct(pb.KV_Range_FullMethodName, (*kvService).answerRange)
		case "Put":
			m.Handler = direct(pb.KV_Put_FullMethodName, (*kvService).answerPut)
		}
	}
	s.RegisterService(&desc, &kvService{core: c})
}

// direct is the handler of a method that answers in a form of its own.
func direct[Request, Answer any](method string, answer func(*kvService, context.Context, *Request) (*Answer, error)) grpc.MethodHandler {
	call := &grpc.UnaryServerInfo{FullMethod: method}
	return func(srv any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
		s := srv.(*kvService)
		r := new(Request)
		if err := decode(r); err != nil {
			return nil, err
		}
		return intercept(ctx, r, call, func(ctx context.Context, req any) (any, error) {
			a, err := answer(s, ctx, req.(*Request))
			if err != nil {
				return nil, err // not a nil *Answer
			}
			return a, nil
		})
	}
}
