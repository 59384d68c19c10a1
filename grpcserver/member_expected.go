package grpcserver

import (
	"encoding/json"
	"slices"
	"strconv"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

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
	ms.all = append(ms.all, member{key: kv.Key, Member: &pb.Member{ID: id, PeerURLs: e.PeerURLs, IsLearner: e.Learner}})
}
