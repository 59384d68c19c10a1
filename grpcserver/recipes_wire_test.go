package grpcserver

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"herald/grpcserver/electionpb"
	"herald/grpcserver/lockpb"
)

// Clients bring their own code for these messages: names and numbers are etcd's.
func TestLockAndElectionAsEtcdWritesThem(t *testing.T) {
	want := map[protoreflect.FullName]string{
		"v3lockpb.LockRequest":          "1 name bytes, 2 lease int64",
		"v3lockpb.LockResponse":         "1 header etcdserverpb.ResponseHeader, 2 key bytes",
		"v3lockpb.UnlockRequest":        "1 key bytes",
		"v3lockpb.UnlockResponse":       "1 header etcdserverpb.ResponseHeader",
		"v3electionpb.CampaignRequest":  "1 name bytes, 2 lease int64, 3 value bytes",
		"v3electionpb.CampaignResponse": "1 header etcdserverpb.ResponseHeader, 2 leader v3electionpb.LeaderKey",
		"v3electionpb.LeaderKey":        "1 name bytes, 2 key bytes, 3 rev int64, 4 lease int64",
		"v3electionpb.LeaderRequest":    "1 name bytes",
		"v3electionpb.LeaderResponse":   "1 header etcdserverpb.ResponseHeader, 2 kv mvccpb.KeyValue",
		"v3electionpb.ResignRequest":    "1 leader v3electionpb.LeaderKey",
		"v3electionpb.ResignResponse":   "1 header etcdserverpb.ResponseHeader",
		"v3electionpb.ProclaimRequest":  "1 leader v3electionpb.LeaderKey, 2 value bytes",
		"v3electionpb.ProclaimResponse": "1 header etcdserverpb.ResponseHeader",
	}
	methods := map[protoreflect.FullName]string{
		"v3lockpb.Lock.Lock":             "v3lockpb.LockRequest v3lockpb.LockResponse",
		"v3lockpb.Lock.Unlock":           "v3lockpb.UnlockRequest v3lockpb.UnlockResponse",
		"v3electionpb.Election.Campaign": "v3electionpb.CampaignRequest v3electionpb.CampaignResponse",
		"v3electionpb.Election.Proclaim": "v3electionpb.ProclaimRequest v3electionpb.ProclaimResponse",
		"v3electionpb.Election.Leader":   "v3electionpb.LeaderRequest v3electionpb.LeaderResponse",
		"v3electionpb.Election.Observe":  "v3electionpb.LeaderRequest v3electionpb.LeaderResponse, streamed",
		"v3electionpb.Election.Resign":   "v3electionpb.ResignRequest v3electionpb.ResignResponse",
	}
	for _, f := range []protoreflect.FileDescriptor{lockpb.File_grpcserver_lockpb_lock_proto, electionpb.File_grpcserver_electionpb_election_proto} {
		for i := range f.Messages().Len() {
			m := f.Messages().Get(i)
			if got := shownFields(m); got != want[m.FullName()] {
				t.Errorf("%s: %s, want %s", m.FullName(), got, want[m.FullName()])
			}
			delete(want, m.FullName())
		}
		for i := range f.Services().Len() {
			for j := range f.Services().Get(i).Methods().Len() {
				m := f.Services().Get(i).Methods().Get(j)
				got := fmt.Sprintf("%s %s", m.Input().FullName(), m.Output().FullName())
				if m.IsStreamingServer() {
					got += ", streamed"
				}
				if got != methods[m.FullName()] || m.IsStreamingClient() {
					t.Errorf("%s: %s, want %s", m.FullName(), got, methods[m.FullName()])
				}
				delete(methods, m.FullName())
			}
		}
	}
	if len(want) > 0 || len(methods) > 0 {
		t.Errorf("missing: %v %v", want, methods)
	}
}

func shownFields(m protoreflect.MessageDescriptor) string {
	var s string
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		kind := f.Kind().String()
		if f.Message() != nil {
			kind = string(f.Message().FullName())
		}
		if i > 0 {
			s += ", "
		}
		s += fmt.Sprintf("%d %s %s", f.Number(), f.Name(), kind)
	}
	return s
}
