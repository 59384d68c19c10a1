package grpcserver

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"

	"herald/registry"
)

// openCluster opens a door on a cluster of three, the last of which has no vote. It returns
// the number of each member.
func openCluster(t *testing.T) (h *harness, s *servers, c pb.ClusterClient, ids []uint64) {
	s = cluster(t, 3, 3)
	h = openOver(t, s.Memory, s.use)
	own := memberKey(s.Memory.Status().ID)
	until(t, "the server says where it is", func() bool { return s.keys(t, memberPrefix) == own })
	s.put(t, memberKey("id-2"), memberRecord{Name: "n2", ClientURLs: []string{"http://n2:2379"}})
	for _, m := range s.Servers() {
		ids = append(ids, memberID(m.ID))
	}
	return h, s, pb.NewClusterClient(h.conn), ids
}

const nobody = 1234567

func TestMemberAdd(t *testing.T) {
	h, s, c, _ := openCluster(t)
	n1 := "n1|http://10.0.0.1:7400|http://" + h.address
	n2, n3 := "n2|http://10.0.0.2:7400|http://n2:2379", "|http://10.0.0.3:7400||learner"
	n4 := "|http://10.0.0.4:7400,http://n4:7400|"
	a, err := c.MemberAdd(t.Context(), &pb.MemberAddRequest{PeerURLs: []string{"http://n4:7400", "http://10.0.0.4:7400"}})
	if err != nil {
		t.Fatal(err)
	}
	wantMembers(t, "added", a.Members, n1, n2, n3, n4)
	wantMembers(t, "the new one", []*pb.Member{a.Member}, n4)
	if a.Member.ID == 0 || a.Header.Revision != 0 || s.Memory.Status().Revisions[registry.SpaceKV] != 1 {
		t.Errorf("id %d, header %v, want an id and that no revision of the keys moved", a.Member.ID, a.Header)
	}
	listed := func(what string, want ...string) {
		t.Helper()
		l, err := c.MemberList(t.Context(), &pb.MemberListRequest{Linearizable: true})
		if err != nil {
			t.Fatal(err)
		}
		wantMembers(t, what, l.Members, want...)
	}
	listed("then", n1, n2, n3, n4)

	for _, urls := range [][]string{{"http://n4:7400"}, {"http://10.0.0.1:7400"}, {"http://x:1", "http://10.0.0.2:7400"}} {
		for _, learner := range []bool{false, true} {
			_, err := c.MemberAdd(t.Context(), &pb.MemberAddRequest{PeerURLs: urls, IsLearner: learner})
			wantStatus(t, strings.Join(urls, " "), err, codes.FailedPrecondition, "etcdserver: Peer URLs already exists")
		}
	}
	for _, urls := range [][]string{nil, {""}, {"nonsense"}, {"ftp://192.0.2.1:2380"}, {"http://192.0.2.1"}, {"http://192.0.2.1:2380/path"}, {"http://ok:1", "http://:1"}, {"http://[::1"}} {
		_, err := c.MemberAdd(t.Context(), &pb.MemberAddRequest{PeerURLs: urls})
		wantStatus(t, strings.Join(urls, " "), err, codes.InvalidArgument, "etcdserver: given member URLs are invalid")
	}
	_, err = c.MemberAdd(t.Context(), &pb.MemberAddRequest{PeerURLs: []string{"http://n5:7400"}, IsLearner: true})
	wantStatus(t, "a second learner", err, codes.FailedPrecondition, "etcdserver: too many learner members in cluster")

	// It comes, with a name and a number of its own, and nobody waits for it any more.
	s.mu.Lock()
	s.all = append(s.all, registry.Member{ID: "id-4", Name: "n4", Address: "n4:7400", Suffrage: registry.NonVoter})
	s.mu.Unlock()
	listed("when it has come", n1, n2, n3, "|http://n4:7400||learner")
	if err := h.door.core.keepMembers(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := s.keys(t, expectedPrefix); got != "" {
		t.Errorf("there is still %q", got)
	}
}

// Whoever added a member goes on with the number that was told then: it is promoted, moved and
// removed by that once it has come, as by its own.
func TestMemberByTheNumberItWasAddedWith(t *testing.T) {
	_, s, c, _ := openCluster(t)
	added, err := c.MemberAdd(t.Context(), &pb.MemberAddRequest{PeerURLs: []string{"http://n4:7400"}})
	if err != nil {
		t.Fatal(err)
	}
	id := added.Member.ID
	s.mu.Lock()
	s.all[2].Suffrage = registry.Voter
	s.all = append(s.all, registry.Member{ID: "id-4", Name: "n4", Address: "n4:7400", Suffrage: registry.NonVoter})
	s.mu.Unlock()
	if _, err := c.MemberPromote(t.Context(), &pb.MemberPromoteRequest{ID: id}); err != nil || s.Servers()[3].Suffrage != registry.Voter {
		t.Errorf("promoted: %v, %+v", err, s.Servers())
	}
	if _, err := c.MemberUpdate(t.Context(), &pb.MemberUpdateRequest{ID: id, PeerURLs: []string{"http://n4:7400"}}); err != nil {
		t.Errorf("updated: %v", err)
	}
	if _, err := c.MemberRemove(t.Context(), &pb.MemberRemoveRequest{ID: id}); err != nil || len(s.Servers()) != 3 {
		t.Errorf("removed: %v, %+v", err, s.Servers())
	}
}

// Of many that add members with a URL in common, on any server, one succeeds.
func TestMemberAddAtOnce(t *testing.T) {
	_, s, c, _ := openCluster(t)
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			urls := []string{"http://same:1", "http://other:" + string('1'+rune(i))}
			_, errs[i] = c.MemberAdd(t.Context(), &pb.MemberAddRequest{PeerURLs: urls})
		})
	}
	wg.Wait()
	added := 0
	for _, err := range errs {
		if err == nil {
			added++
			continue
		}
		wantStatus(t, "another", err, codes.FailedPrecondition, "etcdserver: Peer URLs already exists")
	}
	if keys := s.keys(t, expectedPrefix); added != 1 || len(strings.Fields(keys)) != 1 {
		t.Errorf("%d were added, there are %q", added, keys)
	}
}

func TestMemberRemove(t *testing.T) {
	h, s, c, ids := openCluster(t)
	n1, n2 := "n1|http://10.0.0.1:7400|http://"+h.address, "n2|http://10.0.0.2:7400|http://n2:2379"
	remove := func(id uint64) (*pb.MemberRemoveResponse, error) {
		return c.MemberRemove(t.Context(), &pb.MemberRemoveRequest{ID: id})
	}
	_, err := remove(nobody)
	wantStatus(t, "nobody", err, codes.NotFound, "etcdserver: member not found")

	added, err := c.MemberAdd(t.Context(), &pb.MemberAddRequest{PeerURLs: []string{"http://n4:7400"}})
	if err != nil {
		t.Fatal(err)
	}
	a, err := remove(added.Member.ID)
	if err != nil {
		t.Fatal(err)
	}
	wantMembers(t, "without the one that was expected", a.Members, n1, n2, "|http://10.0.0.3:7400||learner")
	_, err = remove(added.Member.ID)
	wantStatus(t, "again", err, codes.NotFound, "etcdserver: member not found")

	if a, err = remove(ids[2]); err != nil {
		t.Fatal(err)
	}
	wantMembers(t, "without the third", a.Members, n1, n2)
	s.mu.Lock()
	s.dead = []string{"id-2"}
	s.mu.Unlock()
	_, err = remove(ids[0])
	wantStatus(t, "the only one that is alive", err, codes.Unavailable, "etcdserver: unhealthy cluster")
	if a, err = remove(ids[1]); err != nil {
		t.Fatal(err)
	}
	wantMembers(t, "without the second", a.Members, n1)
	_, err = remove(ids[0])
	wantStatus(t, "the last", err, codes.FailedPrecondition, "etcdserver: re-configuration failed due to not enough started members")
}

func TestMemberUpdate(t *testing.T) {
	h, s, c, ids := openCluster(t)
	update := func(id uint64, urls ...string) (*pb.MemberUpdateResponse, error) {
		return c.MemberUpdate(t.Context(), &pb.MemberUpdateRequest{ID: id, PeerURLs: urls})
	}
	_, err := update(nobody, "http://10.0.0.2:7400")
	wantStatus(t, "nobody", err, codes.NotFound, "etcdserver: member not found")
	_, err = update(ids[1])
	wantStatus(t, "to no URL", err, codes.InvalidArgument, "etcdserver: given member URLs are invalid")
	_, err = update(ids[1], "http://10.0.0.1:7400")
	wantStatus(t, "to another's", err, codes.FailedPrecondition, "etcdserver: Peer URLs already exists")
	if _, err = update(ids[1], "http://10.0.0.2:7400"); err != nil {
		t.Errorf("to what it is: %v", err)
	}
	added, err := c.MemberAdd(t.Context(), &pb.MemberAddRequest{PeerURLs: []string{"http://n4:7400"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = update(ids[1], "http://elsewhere:7400", "http://n2:7400"); err != nil {
		t.Fatal(err)
	}
	a, err := update(added.Member.ID, "http://n5:7400", "http://n4:7400")
	if err != nil {
		t.Fatal(err)
	}
	wantMembers(t, "moved", a.Members, "n1|http://10.0.0.1:7400|http://"+h.address, "|http://10.0.0.3:7400||learner",
		"n2|http://elsewhere:7400|http://n2:2379", "|http://n4:7400,http://n5:7400|")
	l, err := c.MemberList(t.Context(), &pb.MemberListRequest{})
	if err != nil || show(l.Members) != show(a.Members) {
		t.Errorf("listed then: %v\n%s", err, show(l.GetMembers()))
	}
	if m := s.Servers()[1]; m.Address != "elsewhere:7400" {
		t.Errorf("the second is at %s", m.Address)
	}
}

// A server that answers stays where it is, and that is what is told.
func TestMemberUpdateOfOneThatAnswers(t *testing.T) {
	h, s, c, ids := openCluster(t)
	s.mu.Lock()
	s.settled = []string{"id-2"}
	s.mu.Unlock()
	a, err := c.MemberUpdate(t.Context(), &pb.MemberUpdateRequest{ID: ids[1], PeerURLs: []string{"http://elsewhere:7400"}})
	if err != nil {
		t.Fatal(err)
	}
	wantMembers(t, "the answer", a.Members, "n1|http://10.0.0.1:7400|http://"+h.address,
		"n2|http://10.0.0.2:7400|http://n2:2379", "|http://10.0.0.3:7400||learner")
}

// Who changes a member that is expected does not bring back one that was removed meanwhile, nor
// undoes another's change.
func TestMemberUpdateComesTooLate(t *testing.T) {
	h, s, c, _ := openCluster(t)
	service := &clusterService{core: h.door.core}
	for what, meanwhile := range map[string]func(id uint64) error{
		"removed": func(id uint64) error {
			_, err := c.MemberRemove(t.Context(), &pb.MemberRemoveRequest{ID: id})
			return err
		},
		"changed": func(id uint64) error {
			_, err := c.MemberUpdate(t.Context(), &pb.MemberUpdateRequest{ID: id, PeerURLs: []string{"http://n5:1"}})
			return err
		},
		"another": func(uint64) error {
			_, err := c.MemberAdd(t.Context(), &pb.MemberAddRequest{PeerURLs: []string{"http://n6:1"}})
			return err
		},
	} {
		added, err := c.MemberAdd(t.Context(), &pb.MemberAddRequest{PeerURLs: []string{"http://" + what + ":1"}})
		if err != nil {
			t.Fatal(err)
		}
		ms, i, err := service.find(t.Context(), added.Member.ID)
		if err != nil {
			t.Fatal(err)
		}
		if err := meanwhile(added.Member.ID); err != nil {
			t.Fatal(err)
		}
		before := s.keys(t, expectedPrefix)
		ms.all[i].PeerURLs = []string{"http://late:1"}
		if ok, err := service.expectAt(t.Context(), &ms.all[i], ms.revision); ok || err != nil {
			t.Errorf("%s meanwhile: %v, %v, want that it does not", what, ok, err)
		}
		if after := s.keys(t, expectedPrefix); after != before {
			t.Errorf("%s meanwhile: there are %q, then %q", what, before, after)
		}
	}
}

// What clients say of servers to come is bounded.
func TestMembersThatNeverCome(t *testing.T) {
	_, s, c, _ := openCluster(t)
	add := func(urls ...string) (uint64, error) {
		a, err := c.MemberAdd(t.Context(), &pb.MemberAddRequest{PeerURLs: urls})
		return a.GetMember().GetID(), err
	}
	var last uint64
	for i := range maxExpected {
		var err error
		if last, err = add(fmt.Sprintf("http://n%d:1", i)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := add("http://more:1")
	wantStatus(t, "one more", err, codes.ResourceExhausted, "")
	if n := len(strings.Fields(s.keys(t, expectedPrefix))); n != maxExpected {
		t.Errorf("%d are expected", n)
	}
	if _, err := c.MemberUpdate(t.Context(), &pb.MemberUpdateRequest{ID: last, PeerURLs: []string{"http://moved:1"}}); err != nil {
		t.Errorf("one of them moves: %v", err)
	}
	if _, err := c.MemberRemove(t.Context(), &pb.MemberRemoveRequest{ID: last}); err != nil {
		t.Fatal(err)
	}
	var many []string
	for i := range maxPeerURLs + 1 {
		many = append(many, fmt.Sprintf("http://m%d:1", i))
	}
	_, err = add(many...)
	wantStatus(t, "many URLs", err, codes.InvalidArgument, "etcdserver: given member URLs are invalid")
	_, err = add("http://" + strings.Repeat("x", maxURLBytes) + ":1")
	wantStatus(t, "a long URL", err, codes.InvalidArgument, "etcdserver: given member URLs are invalid")
	if _, err = add(many[1:]...); err != nil {
		t.Errorf("in the place of one that was removed: %v", err)
	}
}

func TestMemberPromote(t *testing.T) {
	_, s, c, ids := openCluster(t)
	promote := func(id uint64) (*pb.MemberPromoteResponse, error) {
		return c.MemberPromote(t.Context(), &pb.MemberPromoteRequest{ID: id})
	}
	_, err := promote(nobody)
	wantStatus(t, "nobody", err, codes.NotFound, "etcdserver: member not found")
	_, err = promote(ids[1])
	wantStatus(t, "no learner", err, codes.FailedPrecondition, "etcdserver: can only promote a learner member")
	s.mu.Lock()
	s.dead = []string{"id-3"}
	s.mu.Unlock()
	_, err = promote(ids[2])
	wantStatus(t, "one that is behind", err, codes.FailedPrecondition, "etcdserver: can only promote a learner member which is in sync with leader")
	s.mu.Lock()
	s.dead = nil
	s.mu.Unlock()
	a, err := promote(ids[2])
	if err != nil || slices.ContainsFunc(a.Members, func(m *pb.Member) bool { return m.IsLearner }) || s.Servers()[2].Suffrage != registry.Voter {
		t.Errorf("promoted: %v, %v", a, err)
	}

	for learner, want := range map[bool]string{
		true:  "etcdserver: can only promote a learner member which is in sync with leader",
		false: "etcdserver: can only promote a learner member",
	} {
		url := "http://n4:7400"
		if learner {
			url = "http://n5:7400"
		}
		added, err := c.MemberAdd(t.Context(), &pb.MemberAddRequest{PeerURLs: []string{url}, IsLearner: learner})
		if err != nil {
			t.Fatal(err)
		}
		_, err = promote(added.Member.ID)
		wantStatus(t, "one that has not come", err, codes.FailedPrecondition, want)
	}
}

// What clients' own library makes of the errors is what its users look for.
func TestMemberErrorsAreTheClients(t *testing.T) {
	h, _, _, ids := openCluster(t)
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{h.address}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.MemberAdd(t.Context(), []string{"http://10.0.0.1:7400"}); !errors.Is(err, rpctypes.ErrPeerURLExist) {
		t.Errorf("MemberAdd: %v", err)
	}
	if _, err := client.MemberRemove(t.Context(), nobody); !errors.Is(err, rpctypes.ErrMemberNotFound) {
		t.Errorf("MemberRemove: %v", err)
	}
	if _, err := client.MemberPromote(t.Context(), ids[0]); !errors.Is(err, rpctypes.ErrMemberNotLearner) {
		t.Errorf("MemberPromote: %v", err)
	}
}

func TestMembersWithoutAnOperator(t *testing.T) {
	h := open(t)
	id := memberID(h.store.Status().ID)
	c := pb.NewClusterClient(h.conn)
	_, err := c.MemberRemove(t.Context(), &pb.MemberRemoveRequest{ID: id})
	wantStatus(t, "remove", err, codes.Unimplemented, "")
	_, err = c.MemberUpdate(t.Context(), &pb.MemberUpdateRequest{ID: id, PeerURLs: []string{"http://x:1"}})
	wantStatus(t, "update", err, codes.Unimplemented, "")
}

func TestMemberChangesWithoutALeader(t *testing.T) {
	_, s, c, ids := openCluster(t)
	s.SetOutage(registry.ErrNoLeader)
	_, add := c.MemberAdd(t.Context(), &pb.MemberAddRequest{PeerURLs: []string{"http://x:1"}})
	_, remove := c.MemberRemove(t.Context(), &pb.MemberRemoveRequest{ID: ids[1]})
	for what, err := range map[string]error{"add": add, "remove": remove} {
		wantStatus(t, what, err, codes.Unavailable, "etcdserver: no leader")
	}
}
