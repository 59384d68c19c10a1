package grpcserver

import (
	"context"
	"fmt"
	"strings"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"herald/registry"
)

// kvText runs lines of calls of the KV service, each a word and the request as protobuf's text,
// and says in short what each answered.
type kvText struct {
	ctx    context.Context
	kv     pb.KVClient
	leases pb.LeaseClient
}

func (k kvText) run(line string) (answer string) {
	call, request, _ := strings.Cut(line, " ")
	var err error
	switch call {
	case "put":
		answer, err = kvCall(k.ctx, request, k.kv.Put, showPut)
	case "range":
		answer, err = kvCall(k.ctx, request, k.kv.Range, showRange)
	case "delete":
		answer, err = kvCall(k.ctx, request, k.kv.DeleteRange, showDelete)
	case "txn":
		answer, err = kvCall(k.ctx, request, k.kv.Txn, showTxn)
	case "compact":
		answer, err = kvCall(k.ctx, request, k.kv.Compact, func(r *pb.CompactionResponse) string { return showHeader(r.Header) })
	case "grant":
		answer, err = kvCall(k.ctx, request, k.leases.LeaseGrant, func(r *pb.LeaseGrantResponse) string { return showHeader(r.Header) })
	case "revoke":
		answer, err = kvCall(k.ctx, request, k.leases.LeaseRevoke, func(r *pb.LeaseRevokeResponse) string { return showHeader(r.Header) })
	default:
		return "no such call"
	}
	if err != nil {
		s, _ := status.FromError(err)
		return fmt.Sprintf("%v: %s", s.Code(), strings.TrimPrefix(s.Message(), "etcdserver: "))
	}
	return answer
}

// kvCall makes a call of a request in text.
func kvCall[R any, A any, P interface {
	*R
	proto.Message
}](ctx context.Context, request string, call func(context.Context, P, ...grpc.CallOption) (*A, error), show func(*A) string) (string, error) {
	r := P(new(R))
	if err := prototext.Unmarshal([]byte(request), r); err != nil {
		return "", err
	}
	a, err := call(ctx, r)
	if err != nil {
		return "", err
	}
	return show(a), nil
}

func showHeader(h *pb.ResponseHeader) string {
	if h == nil {
		return "no header"
	}
	return fmt.Sprintf("@%d", h.Revision)
}

// showKV is key=value, the revisions of its creation and last write, its version, and its lease.
func showKV(kv *mvccpb.KeyValue) string {
	s := fmt.Sprintf("%s=%s %d/%d/%d", kv.Key, kv.Value, kv.CreateRevision, kv.ModRevision, kv.Version)
	if kv.Lease != 0 {
		s += fmt.Sprintf(" lease %d", kv.Lease)
	}
	return s
}

func showKVs(kvs []*mvccpb.KeyValue) string {
	var all []string
	for _, kv := range kvs {
		all = append(all, showKV(kv))
	}
	return "[" + strings.Join(all, ", ") + "]"
}

func showPut(r *pb.PutResponse) string {
	s := showHeader(r.Header)
	if r.PrevKv != nil {
		s += " was " + showKV(r.PrevKv)
	}
	return s
}

func showRange(r *pb.RangeResponse) string {
	s := fmt.Sprintf("%s %d %s", showHeader(r.Header), r.Count, showKVs(r.Kvs))
	if r.More {
		s += " more"
	}
	return s
}

func showDelete(r *pb.DeleteRangeResponse) string {
	s := fmt.Sprintf("%s %d", showHeader(r.Header), r.Deleted)
	if len(r.PrevKvs) > 0 {
		s += " were " + showKVs(r.PrevKvs)
	}
	return s
}

func showTxn(r *pb.TxnResponse) string {
	all := []string{}
	for _, op := range r.Responses {
		switch op := op.Response.(type) {
		case *pb.ResponseOp_ResponsePut:
			all = append(all, showPut(op.ResponsePut))
		case *pb.ResponseOp_ResponseRange:
			all = append(all, showRange(op.ResponseRange))
		case *pb.ResponseOp_ResponseDeleteRange:
			all = append(all, showDelete(op.ResponseDeleteRange))
		case *pb.ResponseOp_ResponseTxn:
			all = append(all, showTxn(op.ResponseTxn))
		}
	}
	return fmt.Sprintf("%s %v {%s}", showHeader(r.Header), r.Succeeded, strings.Join(all, "; "))
}

// The answers are etcd's, but for the sort options that do not exist, which etcd refuses since
// 3.6, a nested deletion of a key that an earlier nested transaction puts, a limit to keys that are
// sorted without an order, and a negative revision in a transaction.
func TestKVAnswersAsEtcd(t *testing.T) {
	for _, name := range []string{"range", "put", "delete", "txn", "compact"} {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			k := kvText{t.Context(), pb.NewKVClient(h.conn), pb.NewLeaseClient(h.conn)}
			file := "testdata/kv_" + name + ".txt"
			lines := historyLines(t, file)
			if len(lines) < 10 {
				t.Errorf("%s: %d lines", file, len(lines))
			}
			for _, l := range lines {
				if got := k.run(l.call); got != l.answer {
					t.Errorf("%s:%d: %s\n got %s\nwant %s", file, l.number, l.call, got, l.answer)
				}
			}
		})
	}
}

// What a server can tell by itself is told without a leader, if the client says that it takes that.
func TestKVWithoutALeader(t *testing.T) {
	h := open(t)
	k := kvText{t.Context(), pb.NewKVClient(h.conn), pb.NewLeaseClient(h.conn)}
	put(t, h.store, "a", []byte("1"))
	h.store.SetOutage(registry.ErrNoLeader)
	const none = "Unavailable: no leader"
	for _, c := range []struct{ call, want string }{
		{`range key:"a"`, none},
		{`range key:"a" serializable:true`, "@2 1 [a=1 2/2/1]"},
		{`txn success:{request_range:{key:"a"}}`, none},
		{`txn success:{request_range:{key:"a" serializable:true}}`, "@2 true {@2 1 [a=1 2/2/1]}"},
		{`txn success:{request_range:{key:"a" serializable:true}} success:{request_range:{key:"a"}}`, none},
		{`put key:"a"`, none},
		{`delete key:"a"`, none},
		{`compact revision:2`, none},
	} {
		if got := k.run(c.call); got != c.want {
			t.Errorf("%s: %s, want %s", c.call, got, c.want)
		}
	}
}
