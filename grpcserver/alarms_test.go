package grpcserver

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"pgregory.net/rapid"

	"herald/grpcserver/electionpb"
	"herald/grpcserver/lockpb"
	"herald/registry"
	"herald/registry/storetest"
)

// calls makes the calls that alarms are about, on keys and leases of their own, and returns
// what each was answered.
func (h *harness) calls(lease int64) map[string]error {
	h.t.Helper()
	ctx := h.t.Context()
	kv, leases := pb.NewKVClient(h.conn), pb.NewLeaseClient(h.conn)
	put := &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: []byte("k")}}}
	get := &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: []byte("k")}}}
	del := &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: &pb.DeleteRangeRequest{Key: []byte("k")}}}
	txn := func(then, otherwise *pb.RequestOp) error {
		_, err := kv.Txn(ctx, &pb.TxnRequest{Success: []*pb.RequestOp{then}, Failure: []*pb.RequestOp{otherwise}})
		return err
	}
	nested := &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: &pb.TxnRequest{Failure: []*pb.RequestOp{put}}}}
	answers := map[string]error{
		"txn that reads":           txn(get, get),
		"txn that deletes":         txn(del, get),
		"txn that puts":            txn(put, get),
		"txn that might have put":  txn(get, put),
		"txn with a put within it": txn(get, nested),
	}
	_, answers["put"] = kv.Put(ctx, &pb.PutRequest{Key: []byte("k")})
	_, answers["range"] = kv.Range(ctx, &pb.RangeRequest{Key: []byte("k")})
	_, answers["delete"] = kv.DeleteRange(ctx, &pb.DeleteRangeRequest{Key: []byte("k")})
	_, answers["grant"] = leases.LeaseGrant(ctx, &pb.LeaseGrantRequest{TTL: 100})
	_, answers["time to live"] = leases.LeaseTimeToLive(ctx, &pb.LeaseTimeToLiveRequest{ID: lease})
	_, answers["revoke"] = leases.LeaseRevoke(ctx, &pb.LeaseRevokeRequest{ID: lease})
	_, answers["compact"] = kv.Compact(ctx, &pb.CompactionRequest{Revision: h.store.Status().Revisions[registry.SpaceKV]})
	locks, elections := lockpb.NewLockClient(h.conn), electionpb.NewElectionClient(h.conn)
	_, answers["lock"] = locks.Lock(ctx, &lockpb.LockRequest{Name: []byte("l")})
	_, answers["unlock"] = locks.Unlock(ctx, &lockpb.UnlockRequest{Key: []byte("l/1")})
	_, answers["campaign"] = elections.Campaign(ctx, &electionpb.CampaignRequest{Name: []byte("e")})
	_, answers["resign"] = elections.Resign(ctx, &electionpb.ResignRequest{Leader: &electionpb.LeaderKey{Key: []byte("e/1"), Rev: 2}})
	return answers
}

func TestAlarmsRefuse(t *testing.T) {
	grows := []string{"put", "txn that puts", "txn that might have put", "txn with a put within it", "grant", "lock", "campaign"}
	changes := append([]string{"delete", "txn that deletes", "revoke", "compact", "unlock", "resign"}, grows...)
	for _, c := range []struct {
		name    string
		armed   []pb.AlarmType
		refused []string
		with    error
	}{
		{"none", nil, nil, nil},
		{"no space", []pb.AlarmType{pb.AlarmType_NOSPACE}, grows, rpctypes.ErrGRPCNoSpace},
		{"corrupt", []pb.AlarmType{pb.AlarmType_CORRUPT}, changes, rpctypes.ErrGRPCCorrupt},
		{"both", []pb.AlarmType{pb.AlarmType_NOSPACE, pb.AlarmType_CORRUPT}, changes, rpctypes.ErrGRPCCorrupt},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := open(t)
			granted, err := pb.NewLeaseClient(h.conn).LeaseGrant(t.Context(), &pb.LeaseGrantRequest{TTL: 100})
			if err != nil {
				t.Fatal(err)
			}
			m := pb.NewMaintenanceClient(h.conn)
			for _, kind := range c.armed {
				if _, err := m.Alarm(t.Context(), &pb.AlarmRequest{Action: pb.AlarmRequest_ACTIVATE, MemberID: 7, Alarm: kind}); err != nil {
					t.Fatal(err)
				}
			}
			for call, err := range h.calls(granted.ID) {
				var want error
				if slices.Contains(c.refused, call) {
					want = c.with
				}
				if rpctypes.ErrorDesc(err) != rpctypes.ErrorDesc(want) {
					t.Errorf("%s: %v, want %v", call, err, want)
				}
			}
			// What is wrong with a lease in itself is told when there is nothing else.
			tooLong := cmp.Or(c.with, rpctypes.ErrGRPCLeaseTTLTooLarge)
			_, err = pb.NewLeaseClient(h.conn).LeaseGrant(t.Context(), &pb.LeaseGrantRequest{TTL: maxTTL + 1})
			if rpctypes.ErrorDesc(err) != rpctypes.ErrorDesc(tooLong) {
				t.Errorf("a grant of a lease that is too long: %v, want %v", err, tooLong)
			}
			for _, kind := range c.armed {
				if _, err := m.Alarm(t.Context(), &pb.AlarmRequest{Action: pb.AlarmRequest_DEACTIVATE, MemberID: 7, Alarm: kind}); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := pb.NewKVClient(h.conn).Put(t.Context(), &pb.PutRequest{Key: []byte("k")}); err != nil {
				t.Errorf("a put after all were disarmed: %v", err)
			}
		})
	}
}

// showAlarms are alarms as "NOSPACE/1 CORRUPT/2".
func showAlarms(all []*pb.AlarmMember) string {
	var words []string
	for _, a := range all {
		words = append(words, a.Alarm.String()+"/"+string('0'+rune(a.MemberID)))
	}
	return strings.Join(words, " ")
}

func TestAlarmCalls(t *testing.T) {
	h := open(t)
	m := pb.NewMaintenanceClient(h.conn)
	const get, arm, disarm = pb.AlarmRequest_GET, pb.AlarmRequest_ACTIVATE, pb.AlarmRequest_DEACTIVATE
	const none, noSpace, corrupt = pb.AlarmType_NONE, pb.AlarmType_NOSPACE, pb.AlarmType_CORRUPT
	for i, step := range []struct {
		action pb.AlarmRequest_AlarmAction
		member uint64
		alarm  pb.AlarmType
		want   string
	}{
		{get, 0, none, ""},
		{disarm, 1, noSpace, ""},
		{arm, 1, none, ""},
		{arm, 1, noSpace, "NOSPACE/1"},
		{arm, 1, noSpace, "NOSPACE/1"},
		{arm, 2, noSpace, "NOSPACE/2"},
		{arm, 0, corrupt, "CORRUPT/0"},
		{get, 0, none, "CORRUPT/0 NOSPACE/1 NOSPACE/2"},
		{get, 1, none, "CORRUPT/0 NOSPACE/1 NOSPACE/2"},
		{get, 9, noSpace, "NOSPACE/1 NOSPACE/2"},
		{disarm, 0, none, ""},
		{disarm, 0, noSpace, ""},
		{disarm, 1, noSpace, "NOSPACE/1"},
		{disarm, 1, noSpace, ""},
		{get, 0, none, "CORRUPT/0 NOSPACE/2"},
	} {
		a, err := m.Alarm(t.Context(), &pb.AlarmRequest{Action: step.action, MemberID: step.member, Alarm: step.alarm})
		if err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		if got := showAlarms(a.Alarms); got != step.want || a.Header.Revision != 1 {
			t.Errorf("step %d, %v %v of %d: %q at revision %d, want %q at 1", i, step.action, step.alarm, step.member, got, a.Header.Revision, step.want)
		}
	}
	status, err := m.Status(t.Context(), &pb.StatusRequest{})
	if want := []string{"memberID:0 alarm:CORRUPT ", "memberID:2 alarm:NOSPACE "}; err != nil || !slices.Equal(status.Errors, want) {
		t.Errorf("Status: errors %q, %v, want %q", status.GetErrors(), err, want)
	}
	for _, bad := range []*pb.AlarmRequest{{Action: 3, Alarm: noSpace}, {Action: -1}, {Action: arm, Alarm: 9}, {Action: arm, Alarm: -1}} {
		_, err := m.Alarm(t.Context(), bad)
		wantStatus(t, bad.String(), err, codes.InvalidArgument, "")
	}
}

// Alarms may be of any member, and are bounded all the same, whoever arms them at once.
func TestAlarmsAreBounded(t *testing.T) {
	store := storetest.NewMemory(t)
	h := openOver(t, store)
	m := pb.NewMaintenanceClient(h.conn)
	arm := func(member uint64) error {
		_, err := m.Alarm(t.Context(), &pb.AlarmRequest{Action: pb.AlarmRequest_ACTIVATE, MemberID: member, Alarm: pb.AlarmType_NOSPACE})
		return err
	}
	const begun = maxAlarms - 4
	for i := range uint64(begun) {
		put := registry.PutRequest{Space: registry.SpaceSystem, Key: alarmKey(&pb.AlarmMember{MemberID: i, Alarm: pb.AlarmType_NOSPACE})}
		if _, err := registry.Put(t.Context(), store, put); err != nil {
			t.Fatal(err)
		}
	}
	var arming sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		arming.Go(func() { errs[i] = arm(begun + uint64(i)) })
	}
	arming.Wait()
	refused := 0
	for _, err := range errs {
		if err != nil {
			refused++
			wantStatus(t, "too many", err, codes.ResourceExhausted, "")
		}
	}
	armed, err := readAlarms(t.Context(), store, registry.Linearizable)
	if err != nil || len(armed) != maxAlarms || refused != len(errs)-4 {
		t.Errorf("%d alarms, %d refused, %v", len(armed), refused, err)
	}
	if err := arm(0); err != nil {
		t.Errorf("one that is armed: %v", err)
	}
	if _, err := m.Alarm(t.Context(), &pb.AlarmRequest{Action: pb.AlarmRequest_DEACTIVATE, MemberID: 0, Alarm: pb.AlarmType_NOSPACE}); err != nil {
		t.Fatal(err)
	}
	if err := arm(1 << 60); err != nil {
		t.Errorf("in the place of one that was disarmed: %v", err)
	}
}

// An alarm that another server armed holds here too, and so after the store was restored.
func TestAlarmsAreHeardOf(t *testing.T) {
	store := storetest.NewMemory(t)
	h := openOver(t, store)
	a := h.door.core.alarms
	heard := func(what string, want error) {
		t.Helper()
		until(t, what, func() bool { return rpctypes.ErrorDesc(a.refuseGrowth()) == rpctypes.ErrorDesc(want) })
	}
	quiet, err := store.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	put := registry.PutRequest{Space: registry.SpaceSystem, Key: alarmKey(&pb.AlarmMember{MemberID: 5, Alarm: pb.AlarmType_NOSPACE})}
	if _, err := registry.Put(t.Context(), store, put); err != nil {
		t.Fatal(err)
	}
	heard("armed elsewhere", rpctypes.ErrGRPCNoSpace)
	armed, err := store.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Restore(quiet); err != nil {
		t.Fatal(err)
	}
	heard("restored to before", nil)
	if err := store.Restore(armed); err != nil {
		t.Fatal(err)
	}
	heard("restored to after", rpctypes.ErrGRPCNoSpace)
}

func TestAlarmsWithoutALeader(t *testing.T) {
	h := open(t)
	h.store.SetOutage(registry.ErrNoLeader)
	m := pb.NewMaintenanceClient(h.conn)
	for _, action := range []pb.AlarmRequest_AlarmAction{pb.AlarmRequest_GET, pb.AlarmRequest_ACTIVATE, pb.AlarmRequest_DEACTIVATE} {
		_, err := m.Alarm(t.Context(), &pb.AlarmRequest{Action: action, Alarm: pb.AlarmType_NOSPACE}, grpc.WaitForReady(true))
		wantStatus(t, action.String(), err, codes.Unavailable, "etcdserver: no leader")
	}
	if err := h.door.core.alarms.refuseGrowth(); err != nil {
		t.Errorf("an alarm that was not armed: %v", err)
	}
}

func TestAlarmKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := &pb.AlarmMember{MemberID: rapid.Uint64().Draw(t, "member"), Alarm: rapid.SampledFrom([]pb.AlarmType{pb.AlarmType_NOSPACE, pb.AlarmType_CORRUPT}).Draw(t, "alarm")}
		got := parseAlarmKey(alarmKey(a))
		if got == nil || got.MemberID != a.MemberID || got.Alarm != a.Alarm {
			t.Fatalf("%s is read as %v", alarmKey(a), got)
		}
	})
	for _, key := range []string{"", "alarm/", "alarm/NOSPACE", "alarm/NOSPACE/", "alarm/NOSPACE/x", "alarm/NOSPACE/1", "alarm/FIRE/0000000000000001", "alarm/NOSPACE/00000000000000001"} {
		if a := parseAlarmKey(key); a != nil {
			t.Errorf("%q is read as %v", key, a)
		}
	}
}
