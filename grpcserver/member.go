package grpcserver

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"herald/registry"
)

// What clients are told of the servers is in registry.SpaceSystem under memberPrefix: what
// each server says of itself under its ID, a memberRecord as JSON, and beside them, under
// expectedPrefix and a number in hexadecimal, those that were added and are not there
// yet, each an expectedMember as JSON. Who is part of the cluster is not decided there.
const (
	memberPrefix   = "member/"
	expectedPrefix = memberPrefix + "expected/"
)

// memberRecord is what a server says of itself.
type memberRecord struct {
	Name       string   `json:"name"`
	ClientURLs []string `json:"client_urls"`
}

func memberKey(server string) string { return memberPrefix + server }

// expectedMember is a server that was announced and has not come.
type expectedMember struct {
	PeerURLs []string `json:"peer_urls"`
	Learner  bool     `json:"learner,omitempty"`
}

// member is a member as clients know it.
type member struct {
	*pb.Member
	server string // its ID in Herald, "" for one that is expected
	// key is where one that is expected is written down, and written the revision at which that
	// was done.
	key     string
	written int64
}

// expected says that the member is not there yet.
func (m *member) expected() bool { return m.server == "" }

// members are all members as of one moment, by number.
type members struct {
	all []member
	// stale are the keys of records that are nobody's, and of the expected that came.
	stale []string
	// revision is that of registry.SpaceSystem.
	revision int64
}

// members returns who is part of the cluster and who is expected to be.
func (c *core) members(ctx context.Context, how registry.Consistency) (*members, error) {
	res, err := c.store.Range(ctx, registry.RangeRequest{
		Space: registry.SpaceSystem, KeyRange: registry.Prefix(memberPrefix), Consistency: how,
	})
	if err != nil {
		return nil, err
	}
	ms := &members{revision: res.Revision}
	// After the read, which has waited for what was agreed before it if it had to.
	servers := c.cluster.Servers()
	records := make(map[string]memberRecord)
	for i := range res.KVs {
		kv := &res.KVs[i]
		if number, ok := strings.CutPrefix(kv.Key, expectedPrefix); ok {
			ms.addExpected(kv, number, servers)
			continue
		}
		server := strings.TrimPrefix(kv.Key, memberPrefix)
		if !slices.ContainsFunc(servers, func(m registry.Member) bool { return m.ID == server }) {
			ms.stale = append(ms.stale, kv.Key)
			continue
		}
		var r memberRecord
		if json.Unmarshal(kv.Value, &r) == nil { // one that cannot be read is as one that is not there
			records[server] = r
		}
	}
	for _, s := range servers {
		r := records[s.ID]
		ms.all = append(ms.all, member{server: s.ID, Member: &pb.Member{
			ID: memberID(s.ID), Name: r.Name, ClientURLs: r.ClientURLs,
			PeerURLs: []string{peerURL(s.Address)}, IsLearner: s.Suffrage == registry.NonVoter,
		}})
	}
	ms.sort()
	return ms, nil
}

func (ms *members) sort() {
	slices.SortFunc(ms.all, func(a, b member) int { return cmp.Compare(a.ID, b.ID) })
}

func (ms *members) add(m member) {
	ms.all = append(ms.all, m)
	ms.sort()
}

// taken says that a member but the one of that number has one of the peer URLs.
func (ms *members) taken(urls []string, but uint64) bool {
	return slices.ContainsFunc(ms.all, func(m member) bool {
		return m.ID != but && slices.ContainsFunc(m.PeerURLs, func(u string) bool { return slices.Contains(urls, u) })
	})
}

// expected is how many members are not there yet.
func (ms *members) expected() int {
	n := 0
	for i := range ms.all {
		if ms.all[i].expected() {
			n++
		}
	}
	return n
}

// messages are the members as an answer has them.
func (ms *members) messages() []*pb.Member {
	all := make([]*pb.Member, len(ms.all))
	for i := range ms.all {
		all[i] = ms.all[i].Member
	}
	return all
}

// server is a server of the cluster by its ID in Herald, as this one knows it.
func (c *core) server(id string) (registry.Member, bool) {
	for _, m := range c.cluster.Servers() {
		if m.ID == id {
			return m, true
		}
	}
	return registry.Member{}, false
}
