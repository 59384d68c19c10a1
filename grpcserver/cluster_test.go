package grpcserver

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"

	"herald/registry"
	"herald/registry/plugin"
)

// put writes a key of the system's.
func (s *servers) put(t testing.TB, key string, value any) {
	t.Helper()
	b, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := registry.Put(t.Context(), s.Memory, registry.PutRequest{Space: registry.SpaceSystem, Key: key, Value: b}); err != nil {
		t.Fatal(err)
	}
}

// keys are the system's keys under a prefix, as "a b".
func (s *servers) keys(t testing.TB, prefix string) string {
	t.Helper()
	res, err := s.Range(t.Context(), registry.RangeRequest{Space: registry.SpaceSystem, KeyRange: registry.Prefix(prefix), Consistency: registry.Stale})
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, kv := range res.KVs {
		keys = append(keys, kv.Key)
	}
	return strings.Join(keys, " ")
}

// show are members one a line, by their peer URLs: "name peers clients", with "learner" for one that
// is.
func show(all []*pb.Member) string {
	var lines []string
	for _, m := range all {
		line := fmt.Sprintf("%s|%s|%s", m.Name, strings.Join(m.PeerURLs, ","), strings.Join(m.ClientURLs, ","))
		if m.IsLearner {
			line += "|learner"
		}
		lines = append(lines, line)
	}
	slices.SortFunc(lines, func(a, b string) int {
		return strings.Compare(strings.Split(a, "|")[1], strings.Split(b, "|")[1])
	})
	return strings.Join(lines, "\n")
}

// wantMembers fails the test unless those are the members, as show says them.
func wantMembers(t testing.TB, what string, got []*pb.Member, want ...string) {
	t.Helper()
	if is := show(got); is != strings.Join(want, "\n") {
		t.Errorf("%s: members are\n%s\nwant\n%s", what, is, strings.Join(want, "\n"))
	}
	if !slices.IsSortedFunc(got, func(a, b *pb.Member) int { return int(int64(a.ID>>1) - int64(b.ID>>1)) }) {
		t.Errorf("%s: members are not in the order of their numbers: %v", what, got)
	}
}

func TestMemberList(t *testing.T) {
	s := cluster(t, 3, 3)
	h := openOver(t, s.Memory, s.use)
	own := memberKey(s.Memory.Status().ID)
	until(t, "the server says where it is", func() bool { return s.keys(t, memberPrefix) == own })
	s.put(t, memberKey("id-2"), memberRecord{Name: "n2", ClientURLs: []string{"https://n2:2379", "http://n2:80"}})

	c := pb.NewClusterClient(h.conn)
	want := []string{
		"n1|http://10.0.0.1:7400|http://" + h.address,
		"n2|http://10.0.0.2:7400|https://n2:2379,http://n2:80",
		"|http://10.0.0.3:7400||learner",
	}
	for _, linearizable := range []bool{false, true} {
		a, err := c.MemberList(t.Context(), &pb.MemberListRequest{Linearizable: linearizable})
		if err != nil {
			t.Fatal(err)
		}
		wantMembers(t, fmt.Sprint("linearizable ", linearizable), a.Members, want...)
		if hd := a.Header; hd.Revision != 0 || hd.ClusterId != clusterID(s.Memory.Status().ClusterID) || hd.RaftTerm != 1 ||
			!slices.ContainsFunc(a.Members, func(m *pb.Member) bool { return m.ID == hd.MemberId && m.Name == "n1" }) {
			t.Errorf("header %v", hd)
		}
	}

	s.SetOutage(registry.ErrNoLeader)
	_, err := c.MemberList(t.Context(), &pb.MemberListRequest{Linearizable: true})
	wantStatus(t, "without a leader", err, codes.Unavailable, "etcdserver: no leader")
	a, err := c.MemberList(t.Context(), &pb.MemberListRequest{})
	if err != nil {
		t.Fatal(err)
	}
	wantMembers(t, "without a leader", a.Members, want...)
}

// A client that follows the member list goes on working: what it is told is where the door is.
func TestClientFollowsTheMemberList(t *testing.T) {
	s := cluster(t, 3, 0)
	h := openOver(t, s.Memory, s.use)
	until(t, "the server says where it is", func() bool { return s.keys(t, memberPrefix) != "" })
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{h.address}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := client.Endpoints(), []string{"http://" + h.address}; !slices.Equal(got, want) {
		t.Errorf("endpoints %q, want %q", got, want)
	}
	if _, err := client.Put(t.Context(), "a", "1"); err != nil {
		t.Error(err)
	}
	if s, err := client.Status(t.Context(), h.address); err != nil || s.Version != apiVersion {
		t.Errorf("Status: %v, %v", s, err)
	}
}

// What a server says of itself comes back when it was deleted, changed or lost with a restore,
// and is not written when it is there.
func TestServerSaysWhereItIs(t *testing.T) {
	s := cluster(t, 1, 0)
	before, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	key := memberKey(s.Memory.Status().ID)
	advertise := func(c *Config, _ *plugin.Host) { c.Advertise = []string{"http://a.example:1", "http://b.example:2"} }
	h := openOver(t, s.Memory, s.use, advertise)
	there := func() bool {
		res, err := s.Range(t.Context(), registry.RangeRequest{Space: registry.SpaceSystem, KeyRange: registry.One(key), Consistency: registry.Stale})
		if err != nil {
			t.Fatal(err)
		}
		return len(res.KVs) == 1 && string(res.KVs[0].Value) == `{"name":"n1","client_urls":["http://a.example:1","http://b.example:2"]}`
	}
	until(t, "it is written", there)

	if _, err := registry.Delete(t.Context(), s.Memory, registry.DeleteRequest{Space: registry.SpaceSystem, KeyRange: registry.One(key)}); err != nil {
		t.Fatal(err)
	}
	until(t, "it comes back", there)
	s.put(t, key, "nonsense")
	until(t, "it is put right", there)
	if err := s.Restore(before); err != nil {
		t.Fatal(err)
	}
	until(t, "it comes back after a restore", there)

	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	applied := s.Memory.Status().Applied
	h = openOver(t, s.Memory, s.use, advertise)
	if err := h.door.core.keepMembers(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.Memory.Status().Applied; got != applied {
		t.Errorf("%d entries were written of what is there", got-applied)
	}
}

// The leader's door deletes what is said of servers that are none; others do not.
func TestRecordsOfNobodyAreDeleted(t *testing.T) {
	s := cluster(t, 2, 0)
	s.leader = "id-2"
	h := openOver(t, s.Memory, s.use)
	own := memberKey(s.Memory.Status().ID)
	until(t, "the server says where it is", func() bool { return s.keys(t, memberPrefix) == own })
	s.put(t, memberKey("id-9"), memberRecord{Name: "n9"})
	s.put(t, memberKey("id-2"), memberRecord{Name: "n2"})
	if err := h.door.core.keepMembers(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := s.keys(t, memberPrefix), "member/id-2 member/id-9 "+own; got != want {
		t.Errorf("on a follower: %q, want %q", got, want)
	}
	s.mu.Lock()
	s.leader = s.all[0].ID
	s.mu.Unlock()
	if err := h.door.core.keepMembers(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := s.keys(t, memberPrefix), "member/id-2 "+own; got != want {
		t.Errorf("on the leader: %q, want %q", got, want)
	}
}

// A server that is part of no cluster, or of another by now, says nothing.
func TestStrangerSaysNothing(t *testing.T) {
	s := cluster(t, 2, 0)
	s.all = s.all[1:]
	h := openOver(t, s.Memory, s.use)
	if err := h.door.core.keepMembers(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.keys(t, memberPrefix); got != "" {
		t.Errorf("there is %q", got)
	}
}
