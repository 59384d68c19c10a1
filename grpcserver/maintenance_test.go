package grpcserver

import (
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/codes"

	"herald/registry"
)

func TestStatus(t *testing.T) {
	s := cluster(t, 2, 0)
	h := openOver(t, s.Memory, s.use)
	m := pb.NewMaintenanceClient(h.conn)
	if _, err := pb.NewKVClient(h.conn).Put(t.Context(), &pb.PutRequest{Key: []byte("a"), Value: make([]byte, 1000)}); err != nil {
		t.Fatal(err)
	}
	a, err := m.Status(t.Context(), &pb.StatusRequest{})
	if err != nil {
		t.Fatal(err)
	}
	me := memberID(s.Memory.Status().ID)
	switch {
	case a.Header.Revision != 2 || a.Header.MemberId != me || a.Leader != me || a.RaftTerm != a.Header.RaftTerm || a.RaftTerm != 1:
		t.Errorf("who and when: %v", a)
	case a.Version != "3.7.3" || a.StorageVersion != "3.7.0" || a.DowngradeInfo.GetEnabled() || a.DbSizeQuota != 2147483648:
		t.Errorf("what: %v", a)
	case a.DbSize < 1000 || a.DbSizeInUse != a.DbSize || a.RaftIndex == 0 || a.RaftAppliedIndex != a.RaftIndex:
		t.Errorf("how much: %v", a)
	case len(a.Errors) > 0 || a.IsLearner:
		t.Errorf("how: %v", a)
	}

	s.mu.Lock()
	s.leader, s.all[0].Suffrage = "id-2", registry.NonVoter
	s.mu.Unlock()
	if a, err = m.Status(t.Context(), &pb.StatusRequest{}); err != nil || a.Leader != memberID("id-2") || !a.IsLearner {
		t.Errorf("as a learner beside another leader: %v, %v", a, err)
	}

	s.SetOutage(registry.ErrNoLeader)
	a, err = m.Status(t.Context(), &pb.StatusRequest{})
	if err != nil || a.Leader != 0 || len(a.Errors) != 1 || a.Errors[0] != "etcdserver: no leader" {
		t.Errorf("without a leader: %v, %v", a, err)
	}
}

func TestDefragmentIsDoneAtOnce(t *testing.T) {
	h := open(t)
	h.store.SetOutage(registry.ErrNoLeader)
	a, err := pb.NewMaintenanceClient(h.conn).Defragment(t.Context(), &pb.DefragmentRequest{})
	if err != nil || a.Header != nil {
		t.Errorf("%v, %v, want an answer without a header", a, err)
	}
}

func TestMoveLeader(t *testing.T) {
	s := cluster(t, 4, 4)
	s.dead = []string{"id-3"}
	h := openOver(t, s.Memory, s.use)
	m := pb.NewMaintenanceClient(h.conn)
	move := func(id uint64) (*pb.MoveLeaderResponse, error) {
		return m.MoveLeader(t.Context(), &pb.MoveLeaderRequest{TargetID: id})
	}
	for what, id := range map[string]uint64{"nobody": 0, "no member": nobody, "one without a vote": memberID("id-4"), "one that does not answer": memberID("id-3")} {
		_, err := move(id)
		wantStatus(t, what, err, codes.FailedPrecondition, "etcdserver: bad leader transferee")
	}
	if _, err := move(memberID(s.Memory.Status().ID)); err != nil || !s.Status().IsLeader {
		t.Errorf("to itself: %v", err)
	}
	if a, err := move(memberID("id-2")); err != nil || a.Header != nil || s.Status().Leader != "id-2" {
		t.Errorf("to the second: %v, %v, and %s leads", a, err, s.Status().Leader)
	}
	_, err := move(memberID("id-2"))
	wantStatus(t, "of one that does not lead", err, codes.FailedPrecondition, "etcdserver: not leader")
}

func TestMoveLeaderWithoutAnOperator(t *testing.T) {
	_, err := pb.NewMaintenanceClient(open(t).conn).MoveLeader(t.Context(), &pb.MoveLeaderRequest{})
	wantStatus(t, "move", err, codes.Unimplemented, "")
}

func TestDowngradeIsRefused(t *testing.T) {
	m := pb.NewMaintenanceClient(open(t).conn)
	const validate, enable = pb.DowngradeRequest_VALIDATE, pb.DowngradeRequest_ENABLE
	const format, target = "etcdserver: wrong downgrade target version format", "etcdserver: invalid downgrade target version"
	for _, c := range []struct {
		action  pb.DowngradeRequest_DowngradeAction
		version string
		code    codes.Code
		text    string
	}{
		{validate, "nonsense", codes.InvalidArgument, format},
		{enable, "", codes.InvalidArgument, format},
		{enable, "3", codes.InvalidArgument, format},
		{enable, "3.6.0.0", codes.InvalidArgument, format},
		{validate, "3.6", codes.InvalidArgument, target},
		{enable, "3.6.0", codes.InvalidArgument, target},
		{enable, "3.6.0-rc.1", codes.InvalidArgument, target},
		{7, "3.6.0", codes.InvalidArgument, ""},
	} {
		_, err := m.Downgrade(t.Context(), &pb.DowngradeRequest{Action: c.action, Version: c.version})
		wantStatus(t, c.action.String()+" "+c.version, err, c.code, c.text)
	}
}

// Scripts give up a downgrade without looking whether one is under way.
func TestNoDowngradeIsGivenUp(t *testing.T) {
	m := pb.NewMaintenanceClient(open(t).conn)
	for _, version := range []string{"", "nonsense", "3.6.0"} {
		a, err := m.Downgrade(t.Context(), &pb.DowngradeRequest{Action: pb.DowngradeRequest_CANCEL, Version: version})
		if err != nil || a.Version != "3.7" || a.Header.GetRevision() != 1 {
			t.Errorf("%q: %v, %v, want version 3.7 at revision 1", version, a, err)
		}
	}
}
