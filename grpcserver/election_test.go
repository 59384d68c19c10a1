package grpcserver

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"herald/grpcserver/electionpb"
	"herald/registry"
)

type campaignResult struct {
	answer *electionpb.CampaignResponse
	err    error
}

// campaignLater campaigns beside the test, and returns once the candidacy is known.
func campaignLater(ctx context.Context, t testing.TB, h *harness, name, value string, lease int64) <-chan campaignResult {
	t.Helper()
	before := len(inQueue(t, h.store, name))
	done := make(chan campaignResult, 1)
	go func() {
		r := &electionpb.CampaignRequest{Name: []byte(name), Lease: lease, Value: []byte(value)}
		a, err := electionpb.NewElectionClient(h.conn).Campaign(ctx, r)
		done <- campaignResult{a, err}
	}()
	awaitQueue(t, h.store, name, before+1)
	return done
}

func TestElection(t *testing.T) {
	h := open(t)
	elections := electionpb.NewElectionClient(h.conn)
	grantLease(t, h.store, 0xa, time.Hour)
	grantLease(t, h.store, 0xb, time.Hour)
	name := []byte("e")
	won, err := elections.Campaign(t.Context(), &electionpb.CampaignRequest{Name: name, Lease: 0xa, Value: []byte("one")})
	if err != nil || string(won.Leader.GetKey()) != "e/a" || string(won.Leader.Name) != "e" || won.Leader.Rev != 2 || won.Leader.Lease != 0xa {
		t.Fatalf("campaign: %v, %v", won, err)
	}
	leads := func(key, value string, revision int64) {
		t.Helper()
		l, err := elections.Leader(t.Context(), &electionpb.LeaderRequest{Name: name})
		if err != nil || string(l.Kv.Key) != key || string(l.Kv.Value) != value || l.Header.Revision != revision {
			t.Errorf("leader: %v, %v; want %s=%s at %d", l, err, key, value, revision)
		}
	}
	leads("e/a", "one", 2)
	if _, err = elections.Proclaim(t.Context(), &electionpb.ProclaimRequest{Leader: won.Leader, Value: []byte("uno")}); err != nil {
		t.Error(err)
	}
	leads("e/a", "uno", 3)
	// Campaigning again with another value changes it, with the same writes nothing.
	for range 2 {
		again, err := elections.Campaign(t.Context(), &electionpb.CampaignRequest{Name: name, Lease: 0xa, Value: []byte("un")})
		if err != nil || again.Leader.Rev != 2 {
			t.Errorf("campaign of the leader: %v, %v", again, err)
		}
		leads("e/a", "un", 4)
	}
	if kv := inQueue(t, h.store, "e")[0]; kv.Lease != 0xa {
		t.Errorf("the leader's key: %+v, want it on its lease", kv)
	}
	second := campaignLater(t.Context(), t, h, "e", "two", 0xb)
	leads("e/a", "un", 5)
	if r, err := elections.Resign(t.Context(), &electionpb.ResignRequest{Leader: won.Leader}); err != nil || r.Header.Revision != 6 {
		t.Errorf("resign: %v, %v", r, err)
	}
	r := <-second
	if r.err != nil || string(r.answer.Leader.Key) != "e/b" || r.answer.Leader.Rev != 5 || r.answer.Header.Revision != 6 {
		t.Fatalf("the second: %v, %v", r.answer, r.err)
	}
	leads("e/b", "two", 6)
	_, err = elections.Proclaim(t.Context(), &electionpb.ProclaimRequest{Leader: won.Leader, Value: []byte("old")})
	wantStatus(t, "proclaim after resigning", err, codes.Unknown, "election: not leader")
	if r, err := elections.Resign(t.Context(), &electionpb.ResignRequest{Leader: won.Leader}); err != nil || r.Header.Revision != 6 {
		t.Errorf("resign again: %v, %v", r, err)
	}
	if _, err := h.store.RevokeLease(t.Context(), 0xb); err != nil {
		t.Fatal(err)
	}
	_, err = elections.Leader(t.Context(), &electionpb.LeaderRequest{Name: name})
	wantStatus(t, "leader of none", err, codes.Unknown, "election: no leader")
}

func TestElectionErrors(t *testing.T) {
	h := open(t)
	elections := electionpb.NewElectionClient(h.conn)
	const unset = `"leader" field must be provided`
	for _, c := range []struct {
		what string
		call func(context.Context) error
		text string
	}{
		{"proclaim for nobody", func(ctx context.Context) error {
			_, err := elections.Proclaim(ctx, &electionpb.ProclaimRequest{})
			return err
		}, unset},
		{"resign of nobody", func(ctx context.Context) error {
			_, err := elections.Resign(ctx, &electionpb.ResignRequest{})
			return err
		}, unset},
		{"proclaim without a key", func(ctx context.Context) error {
			_, err := elections.Proclaim(ctx, &electionpb.ProclaimRequest{Leader: &electionpb.LeaderKey{Rev: 2}})
			return err
		}, "etcdserver: key is not provided"},
		{"resign without a key", func(ctx context.Context) error {
			_, err := elections.Resign(ctx, &electionpb.ResignRequest{Leader: &electionpb.LeaderKey{}})
			return err
		}, "etcdserver: key is not provided"},
		{"proclaim of a key that never was", func(ctx context.Context) error {
			_, err := elections.Proclaim(ctx, &electionpb.ProclaimRequest{Leader: &electionpb.LeaderKey{Key: []byte("k")}})
			return err
		}, "election: not leader"},
		{"campaign with an unknown lease", func(ctx context.Context) error {
			_, err := elections.Campaign(ctx, &electionpb.CampaignRequest{Name: []byte("e"), Lease: 99})
			return err
		}, leaseNotFound},
	} {
		wantStatus(t, c.what, c.call(t.Context()), codes.Unknown, c.text)
	}
	if r := h.store.Status().Revisions[registry.SpaceKV]; r != 1 {
		t.Errorf("revision %d, want nothing written", r)
	}
}

// To etcd a candidate whose lease has ended is the winner when its turn would have come.
func TestCampaignOfALeaseThatEnds(t *testing.T) {
	h := open(t)
	for id := registry.LeaseID(1); id <= 2; id++ {
		grantLease(t, h.store, id, time.Hour)
	}
	<-campaignLater(t.Context(), t, h, "e", "", 1)
	second := campaignLater(t.Context(), t, h, "e", "", 2)
	if _, err := h.store.RevokeLease(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, "the second", (<-second).err, codes.Unknown, "election: not leader")
}

func TestCampaignThatIsGivenUp(t *testing.T) {
	h := open(t)
	grantLease(t, h.store, 1, time.Hour)
	<-campaignLater(t.Context(), t, h, "e", "", 1)
	ctx, cancel := context.WithCancel(t.Context())
	second := campaignLater(ctx, t, h, "e", "", 0)
	cancel()
	wantStatus(t, "the second", (<-second).err, codes.Canceled, "")
	awaitQueue(t, h.store, "e", 1)
}

func TestObserve(t *testing.T) {
	h := open(t)
	for id := registry.LeaseID(1); id <= 2; id++ {
		grantLease(t, h.store, id, time.Hour)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	elections := electionpb.NewElectionClient(h.conn)
	stream, err := elections.Observe(ctx, &electionpb.LeaderRequest{Name: []byte("e")})
	if err != nil {
		t.Fatal(err)
	}
	sees := func(key, value string, written int64) {
		t.Helper()
		r, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if string(r.Kv.GetKey()) != key || string(r.Kv.Value) != value || r.Kv.ModRevision != written || r.Header.Revision < written {
			t.Errorf("observed %v, want %s=%s written at %d", r, key, value, written)
		}
	}
	put(t, h.store, "e", nil) // not a key of the election
	first := <-campaignLater(t.Context(), t, h, "e", "one", 1)
	sees("e/1", "one", 3)
	second := campaignLater(t.Context(), t, h, "e", "two", 2) // nobody's business yet
	for i, value := range []string{"uno", "un"} {
		if _, err := elections.Proclaim(t.Context(), &electionpb.ProclaimRequest{Leader: first.answer.Leader, Value: []byte(value)}); err != nil {
			t.Fatal(err)
		}
		sees("e/1", value, int64(5+i))
	}
	// Neither compaction nor a restore makes it say anything twice, or stop.
	if err := h.store.Compact(t.Context(), registry.SpaceKV, 6); err != nil {
		t.Fatal(err)
	}
	snapshot, err := h.store.Snapshot()
	if err == nil {
		err = h.store.Restore(snapshot)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.store.RevokeLease(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	<-second
	sees("e/2", "two", 4)
	if _, err := h.store.RevokeLease(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	grantLease(t, h.store, 3, time.Hour)
	<-campaignLater(t.Context(), t, h, "e", "three", 3)
	sees("e/3", "three", 9)
	// A key that goes and comes back in one transaction is another leader's.
	_, err = h.store.Txn(t.Context(), registry.Txn{Then: []registry.Op{
		{Delete: &registry.DeleteRequest{KeyRange: registry.One("e/3")}},
		{Put: &registry.PutRequest{Key: "e/3", Value: []byte("four")}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	sees("e/3", "four", 10)
	cancel()
	_, err = stream.Recv()
	wantStatus(t, "after the client's end", err, codes.Canceled, "")
}

func TestObserveEndsWithTheDoor(t *testing.T) {
	h := open(t)
	stream, err := electionpb.NewElectionClient(h.conn).Observe(t.Context(), &electionpb.LeaderRequest{Name: []byte("e")})
	if err != nil {
		t.Fatal(err)
	}
	// The call has begun once something was observed.
	grantLease(t, h.store, 1, time.Hour)
	<-campaignLater(t.Context(), t, h, "e", "", 1)
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	if err := h.stop(); err != nil {
		t.Error(err)
	}
	_, err = stream.Recv()
	wantStatus(t, "after the door's end", err, codes.Unavailable, "etcdserver: server stopped")
}
