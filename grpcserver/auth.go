package grpcserver

import (
	"context"
	"errors"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// rootName is the name of the user, and of the role, that may do everything.
const rootName = "root"

// maxConflicts is how often a change is tried again because other servers came first.
// Each time one of them has succeeded.
const maxConflicts = 16

// authService is etcd's Auth service while access control is off: users and roles are kept,
// and nobody is asked who they are.
type authService struct {
	pb.UnimplementedAuthServer
	*core
	// changing is held by the one change that this server makes at a time, so that only
	// those of other servers get in its way.
	changing chan struct{}
	// hashing is held while a password is hashed, which takes a core for a while: never
	// more than one, whatever is asked.
	hashing chan struct{}
}

func newAuthService(c *core) *authService {
	return &authService{core: c, changing: make(chan struct{}, 1), hashing: make(chan struct{}, 1)}
}

// Authenticate refuses with the words upon which clients that have a password go on
// without a token. Any others would keep them from connecting.
func (s *authService) Authenticate(context.Context, *pb.AuthenticateRequest) (*pb.AuthenticateResponse, error) {
	return nil, rpctypes.ErrGRPCAuthNotEnabled
}

// AuthEnable says what is missing for access control: at last, that Herald has none. To say
// that it is on would be to promise what nothing keeps.
func (s *authService) AuthEnable(ctx context.Context, _ *pb.AuthEnableRequest) (*pb.AuthEnableResponse, error) {
	a, err := s.accounts(ctx)
	if err != nil {
		return nil, err
	}
	u, err := a.user(rootName)
	switch {
	case errors.Is(err, rpctypes.ErrGRPCUserNotFound):
		return nil, rpctypes.ErrGRPCRootUserNotExist
	case err != nil:
		return nil, err
	case !hasRole(u, rootName):
		return nil, rpctypes.ErrGRPCRootRoleNotExist
	}
	return nil, status.Error(codes.Unimplemented,
		"herald: access control cannot be turned on, for there is none yet: users and roles are kept and nothing is enforced")
}

// AuthDisable has nothing to do: access control is off.
func (s *authService) AuthDisable(context.Context, *pb.AuthDisableRequest) (*pb.AuthDisableResponse, error) {
	return &pb.AuthDisableResponse{Header: s.headerNow()}, nil
}

// AuthStatus says that access control is off, and how often users and roles have changed.
func (s *authService) AuthStatus(ctx context.Context, _ *pb.AuthStatusRequest) (*pb.AuthStatusResponse, error) {
	a, err := s.accounts(ctx)
	if err != nil {
		return nil, err
	}
	return &pb.AuthStatusResponse{Header: s.headerNow(), AuthRevision: a.revision()}, nil
}

// change edits users and roles in one transaction, and returns the header of the answer. edit
// runs on what there is, and again if that has changed meanwhile; its error ends it, and if
// it changes nothing, nothing is written.
func (s *authService) change(ctx context.Context, edit func(*accounts) error) (*pb.ResponseHeader, error) {
	select {
	case s.changing <- struct{}{}:
		defer func() { <-s.changing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for range maxConflicts {
		a, err := s.accounts(ctx)
		if err != nil {
			return nil, err
		}
		if err := edit(a); err != nil {
			return nil, err
		}
		if len(a.changes) == 0 {
			return s.headerNow(), nil
		}
		res, err := s.store.Txn(ctx, a.txn())
		if err != nil {
			return nil, err
		}
		if res.Succeeded {
			return s.headerNow(), nil
		}
	}
	return nil, rpctypes.ErrGRPCRequestTooManyRequests
}
