package grpcserver

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"go.etcd.io/etcd/api/v3/authpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/protobuf/proto"

	"herald/registry"
)

// Users and roles are protobuf messages of authpb in registry.SpaceSystem, each under its
// name. Every change writes authRevisionKey too, and only if nobody has since what it
// rests on was read: so changes are made one after another, whichever servers make them.
const (
	authPrefix      = "auth/"
	authRevisionKey = authPrefix + "revision"
	authUserPrefix  = authPrefix + "user/"
	authRolePrefix  = authPrefix + "role/"
)

func userKey(name string) string { return authUserPrefix + name }

func roleKey(name string) string { return authRolePrefix + name }

// accounts are all users and roles as they stood at one moment, and changes to be made to
// them. Changes are not seen by what is read from it.
type accounts struct {
	kvs     []registry.KeyValue // by key
	changes []registry.Op
}

// accounts reads all users and roles.
func (s *authService) accounts(ctx context.Context) (*accounts, error) {
	res, err := s.store.Range(ctx, registry.RangeRequest{Space: registry.SpaceSystem, KeyRange: registry.Prefix(authPrefix)})
	if err != nil {
		return nil, err
	}
	return &accounts{kvs: res.KVs}, nil
}

// get is a key as it stood, nil if it was not there.
func (a *accounts) get(key string) *registry.KeyValue {
	i, ok := slices.BinarySearchFunc(a.kvs, key, func(kv registry.KeyValue, key string) int { return strings.Compare(kv.Key, key) })
	if !ok {
		return nil
	}
	return &a.kvs[i]
}

func (a *accounts) has(key string) bool { return a.get(key) != nil }

// revision is how often users and roles have changed, counted from 1 as etcd does.
func (a *accounts) revision() uint64 {
	if kv := a.get(authRevisionKey); kv != nil {
		return uint64(kv.Version) + 1
	}
	return 1
}

// user is a user, rpctypes.ErrGRPCUserNotFound if there is none of that name.
func (a *accounts) user(name string) (*authpb.User, error) {
	u := new(authpb.User)
	return u, a.read(userKey(name), u, rpctypes.ErrGRPCUserNotFound)
}

// role is a role, rpctypes.ErrGRPCRoleNotFound if there is none of that name.
func (a *accounts) role(name string) (*authpb.Role, error) {
	r := new(authpb.Role)
	return r, a.read(roleKey(name), r, rpctypes.ErrGRPCRoleNotFound)
}

func (a *accounts) read(key string, into proto.Message, missing error) error {
	kv := a.get(key)
	if kv == nil {
		return missing
	}
	if err := proto.Unmarshal(kv.Value, into); err != nil {
		return fmt.Errorf("%w: %s in space %v is not a %s: %w", registry.ErrCorrupt, key, registry.SpaceSystem, into.ProtoReflect().Descriptor().Name(), err)
	}
	return nil
}

// names are the names under a prefix, in order.
func (a *accounts) names(prefix string) []string {
	var all []string
	for i := range a.kvs {
		if name, ok := strings.CutPrefix(a.kvs[i].Key, prefix); ok {
			all = append(all, name)
		}
	}
	return all
}

// put changes a user or role.
func (a *accounts) put(key string, m proto.Message) error {
	b, err := proto.Marshal(m)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", registry.ErrInvalid, key, err)
	}
	a.write(key, b)
	return nil
}

func (a *accounts) write(key string, value []byte) {
	a.changes = append(a.changes, registry.Op{Put: &registry.PutRequest{Space: registry.SpaceSystem, Key: key, Value: value}})
}

// delete removes a user or role.
func (a *accounts) delete(key string) {
	a.changes = append(a.changes, registry.Op{Delete: &registry.DeleteRequest{Space: registry.SpaceSystem, KeyRange: registry.One(key)}})
}

// txn makes the changes, if nothing else has changed.
func (a *accounts) txn() registry.Txn {
	unchanged := registry.Compare{Space: registry.SpaceSystem, KeyRange: registry.One(authRevisionKey), Target: registry.CompareMod}
	if kv := a.get(authRevisionKey); kv != nil {
		unchanged.Int = kv.ModRevision
	}
	a.write(authRevisionKey, nil)
	return registry.Txn{Compare: []registry.Compare{unchanged}, Then: a.changes}
}
