package grpcserver

import (
	"context"
	"slices"

	"go.etcd.io/etcd/api/v3/authpb"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// UserAdd adds a user, with a password unless it asks for none.
func (s *authService) UserAdd(ctx context.Context, r *pb.AuthUserAddRequest) (*pb.AuthUserAddResponse, error) {
	if r.Name == "" {
		return nil, rpctypes.ErrGRPCUserEmpty
	}
	u := &authpb.User{Name: []byte(r.Name), Options: r.Options}
	if !r.Options.GetNoPassword() {
		var err error
		if u.Password, err = s.passwordHash(ctx, r.Password, r.HashedPassword); err != nil {
			return nil, err
		}
	}
	h, err := s.change(ctx, func(a *accounts) error {
		if a.has(userKey(r.Name)) {
			return rpctypes.ErrGRPCUserAlreadyExist
		}
		return a.put(userKey(r.Name), u)
	})
	if err != nil {
		return nil, err
	}
	return &pb.AuthUserAddResponse{Header: h}, nil
}

// UserGet tells a user's roles.
func (s *authService) UserGet(ctx context.Context, r *pb.AuthUserGetRequest) (*pb.AuthUserGetResponse, error) {
	a, err := s.accounts(ctx)
	if err != nil {
		return nil, err
	}
	u, err := a.user(r.Name)
	if err != nil {
		return nil, err
	}
	return &pb.AuthUserGetResponse{Header: s.headerNow(), Roles: u.Roles}, nil
}

// UserList tells the names of all users, in order.
func (s *authService) UserList(ctx context.Context, _ *pb.AuthUserListRequest) (*pb.AuthUserListResponse, error) {
	a, err := s.accounts(ctx)
	if err != nil {
		return nil, err
	}
	return &pb.AuthUserListResponse{Header: s.headerNow(), Users: a.names(authUserPrefix)}, nil
}

// UserDelete removes a user.
func (s *authService) UserDelete(ctx context.Context, r *pb.AuthUserDeleteRequest) (*pb.AuthUserDeleteResponse, error) {
	h, err := s.change(ctx, func(a *accounts) error {
		if !a.has(userKey(r.Name)) {
			return rpctypes.ErrGRPCUserNotFound
		}
		a.delete(userKey(r.Name))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &pb.AuthUserDeleteResponse{Header: h}, nil
}

// UserChangePassword gives a user another password; "" leaves it without one. A user that
// was added to have none goes on without.
func (s *authService) UserChangePassword(ctx context.Context, r *pb.AuthUserChangePasswordRequest) (*pb.AuthUserChangePasswordResponse, error) {
	var hash []byte
	if r.Password != "" || r.HashedPassword != "" {
		var err error
		if hash, err = s.passwordHash(ctx, r.Password, r.HashedPassword); err != nil {
			return nil, err
		}
	}
	h, err := s.changeUser(ctx, r.Name, func(_ *accounts, u *authpb.User) (bool, error) {
		if !u.Options.GetNoPassword() {
			u.Password = hash
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	return &pb.AuthUserChangePasswordResponse{Header: h}, nil
}

// UserGrantRole gives a user a role, if it does not have it yet. The role root need not
// exist.
func (s *authService) UserGrantRole(ctx context.Context, r *pb.AuthUserGrantRoleRequest) (*pb.AuthUserGrantRoleResponse, error) {
	h, err := s.changeUser(ctx, r.User, func(a *accounts, u *authpb.User) (bool, error) {
		if r.Role != rootName && !a.has(roleKey(r.Role)) {
			return false, rpctypes.ErrGRPCRoleNotFound
		}
		if hasRole(u, r.Role) {
			return false, nil
		}
		u.Roles = append(u.Roles, r.Role)
		slices.Sort(u.Roles)
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	return &pb.AuthUserGrantRoleResponse{Header: h}, nil
}

// UserRevokeRole takes a role from a user.
func (s *authService) UserRevokeRole(ctx context.Context, r *pb.AuthUserRevokeRoleRequest) (*pb.AuthUserRevokeRoleResponse, error) {
	h, err := s.changeUser(ctx, r.Name, func(_ *accounts, u *authpb.User) (bool, error) {
		if !dropRole(u, r.Role) {
			return false, rpctypes.ErrGRPCRoleNotGranted
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	return &pb.AuthUserRevokeRoleResponse{Header: h}, nil
}

// changeUser edits a user that exists, if edit says so.
func (s *authService) changeUser(ctx context.Context, name string, edit func(*accounts, *authpb.User) (bool, error)) (*pb.ResponseHeader, error) {
	return s.change(ctx, func(a *accounts) error {
		u, err := a.user(name)
		if err != nil {
			return err
		}
		changed, err := edit(a, u)
		if err != nil || !changed {
			return err
		}
		return a.put(userKey(name), u)
	})
}

func hasRole(u *authpb.User, role string) bool { return slices.Contains(u.Roles, role) }

// dropRole takes a role from a user, and says whether it had it.
func dropRole(u *authpb.User, role string) bool {
	had := len(u.Roles)
	u.Roles = slices.DeleteFunc(u.Roles, func(r string) bool { return r == role })
	return len(u.Roles) < had
}
