package grpcserver

import (
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

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
	case a.Version != "3.7.3" || a.StorageVersion != "3.7.0" || a.DowngradeInfo.GetEnabled() || a.DbSizeQuota != 0:
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
