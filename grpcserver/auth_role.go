package grpcserver

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"go.etcd.io/etcd/api/v3/authpb"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// RoleAdd adds a role that may do nothing yet.
func (s *authService) RoleAdd(ctx context.Context, r *pb.AuthRoleAddRequest) (*pb.AuthRoleAddResponse, error) {
	if r.Name == "" {
		return nil, rpctypes.ErrGRPCRoleEmpty
	}
	h, err := s.change(ctx, func(a *accounts) error {
		if a.has(roleKey(r.Name)) {
			return rpctypes.ErrGRPCRoleAlreadyExist
		}
		return a.put(roleKey(r.Name), &authpb.Role{Name: []byte(r.Name)})
	})
	if err != nil {
		return nil, err
	}
	return &pb.AuthRoleAddResponse{Header: h}, nil
}

// RoleGet tells what a role may do. The role root may do everything, whatever it was
// granted.
func (s *authService) RoleGet(ctx context.Context, r *pb.AuthRoleGetRequest) (*pb.AuthRoleGetResponse, error) {
	a, err := s.accounts(ctx)
	if err != nil {
		return nil, err
	}
	role, err := a.role(r.Role)
	if err != nil {
		return nil, err
	}
	perm := role.KeyPermission
	if r.Role == rootName {
		perm = []*authpb.Permission{{PermType: authpb.READWRITE, RangeEnd: []byte{0}}}
	}
	return &pb.AuthRoleGetResponse{Header: s.headerNow(), Perm: perm}, nil
}

// RoleList tells the names of all roles, in order.
func (s *authService) RoleList(ctx context.Context, _ *pb.AuthRoleListRequest) (*pb.AuthRoleListResponse, error) {
	a, err := s.accounts(ctx)
	if err != nil {
		return nil, err
	}
	return &pb.AuthRoleListResponse{Header: s.headerNow(), Roles: a.names(authRolePrefix)}, nil
}

// RoleDelete removes a role, and takes it from every user that has it.
func (s *authService) RoleDelete(ctx context.Context, r *pb.AuthRoleDeleteRequest) (*pb.AuthRoleDeleteResponse, error) {
	h, err := s.change(ctx, func(a *accounts) error {
		if !a.has(roleKey(r.Role)) {
			return rpctypes.ErrGRPCRoleNotFound
		}
		a.delete(roleKey(r.Role))
		for _, name := range a.names(authUserPrefix) {
			u, err := a.user(name)
			if err != nil {
				return err
			}
			if !dropRole(u, r.Role) {
				continue
			}
			if err := a.put(userKey(name), u); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &pb.AuthRoleDeleteResponse{Header: h}, nil
}

// RoleGrantPermission lets a role do something with a range of keys. What it was granted for
// just that range before is replaced.
func (s *authService) RoleGrantPermission(ctx context.Context, r *pb.AuthRoleGrantPermissionRequest) (*pb.AuthRoleGrantPermissionResponse, error) {
	if r.Perm == nil {
		return nil, rpctypes.ErrGRPCPermissionNotGiven
	}
	if len(r.Perm.Key) == 0 || keyRange(r.Perm.Key, r.Perm.RangeEnd).Empty() {
		return nil, rpctypes.ErrGRPCInvalidAuthMgmt
	}
	h, err := s.changeRole(ctx, r.Name, func(role *authpb.Role) error {
		i, granted := findPermission(role, r.Perm.Key, r.Perm.RangeEnd)
		if granted {
			role.KeyPermission[i].PermType = r.Perm.PermType
		} else {
			role.KeyPermission = slices.Insert(role.KeyPermission, i, r.Perm)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &pb.AuthRoleGrantPermissionResponse{Header: h}, nil
}

// RoleRevokePermission takes back what was granted for just that range of keys.
func (s *authService) RoleRevokePermission(ctx context.Context, r *pb.AuthRoleRevokePermissionRequest) (*pb.AuthRoleRevokePermissionResponse, error) {
	h, err := s.changeRole(ctx, r.Role, func(role *authpb.Role) error {
		i, granted := findPermission(role, r.Key, r.RangeEnd)
		if !granted {
			return rpctypes.ErrGRPCPermissionNotGranted
		}
		role.KeyPermission = slices.Delete(role.KeyPermission, i, i+1)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &pb.AuthRoleRevokePermissionResponse{Header: h}, nil
}

// changeRole edits a role that exists.
func (s *authService) changeRole(ctx context.Context, name string, edit func(*authpb.Role) error) (*pb.ResponseHeader, error) {
	return s.change(ctx, func(a *accounts) error {
		role, err := a.role(name)
		if err != nil {
			return err
		}
		if err := edit(role); err != nil {
			return err
		}
		return a.put(roleKey(name), role)
	})
}

// findPermission says where among a role's permissions, which are in order, that of a range
// is or would be.
func findPermission(r *authpb.Role, key, end []byte) (int, bool) {
	return slices.BinarySearchFunc(r.KeyPermission, key, func(p *authpb.Permission, key []byte) int {
		return cmp.Or(bytes.Compare(p.Key, key), bytes.Compare(p.RangeEnd, end))
	})
}
