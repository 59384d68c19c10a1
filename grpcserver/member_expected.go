package grpcserver

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"herald/registry"
)

// addExpected adds a member that is expected, unless a server has come that is at one of its
// addresses.
func (ms *members) addExpected(kv *registry.KeyValue, number string, servers []registry.Member) {
	id, err := strconv.ParseUint(number, 16, 64)
	var e expectedMember
	if err != nil || json.Unmarshal(kv.Value, &e) != nil {
		return // of a newer version, perhaps, which will know what to do with it
	}
	if slices.ContainsFunc(servers, func(s registry.Member) bool { return slices.Contains(e.PeerURLs, peerURL(s.Address)) }) {
		ms.stale = append(ms.stale, kv.Key)
		return
	}
	ms.all = append(ms.all, member{key: kv.Key, written: kv.ModRevision, Member: &pb.Member{ID: id, PeerURLs: e.PeerURLs, IsLearner: e.Learner}})
}

// expect writes down a new member that is expected, and reports whether it could: not if any that
// is expected was written down, or changed, after revision.
func (c *core) expect(ctx context.Context, m *member, revision int64) (bool, error) {
	return c.writeExpected(ctx, m, unwrittenSince(expectedPrefix, revision))
}

// expectAt is expect for a member that is expected already, and will be elsewhere. It could not
// either if nobody expects it any more.
func (c *core) expectAt(ctx context.Context, m *member, revision int64) (bool, error) {
	return c.writeExpected(ctx, m, unwrittenSince(expectedPrefix, revision), registry.Compare{
		Space: registry.SpaceSystem, KeyRange: registry.One(m.key),
		Target: registry.CompareMod, Result: registry.Equal, Int: m.written,
	})
}

func (c *core) writeExpected(ctx context.Context, m *member, provided ...registry.Compare) (bool, error) {
	value, err := json.Marshal(expectedMember{PeerURLs: m.PeerURLs, Learner: m.IsLearner})
	if err != nil {
		return false, err
	}
	res, err := c.store.Txn(ctx, registry.Txn{
		Compare: provided,
		Then:    []registry.Op{{Put: &registry.PutRequest{Space: registry.SpaceSystem, Key: m.key, Value: value, IfChanged: true}}},
	})
	return res.Succeeded, err
}

// unexpect deletes what was written down of a member.
func (c *core) unexpect(ctx context.Context, m *member) error {
	res, err := registry.Delete(ctx, c.store, registry.DeleteRequest{Space: registry.SpaceSystem, KeyRange: registry.One(m.key)})
	if err == nil && res.Deleted == 0 {
		err = rpctypes.ErrGRPCMemberNotFound
	}
	return err
}
