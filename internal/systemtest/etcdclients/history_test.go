//go:build e2e

package etcdclients

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// step is one operation of a history, and what it answers: an error, or what show makes of
// the answer.
type step struct {
	what string
	op   clientv3.Op
	want string
	err  error
}

// play does the steps of a history in order, and stops at the first that goes otherwise.
func play(t *testing.T, c *clientv3.Client, steps []step) {
	t.Helper()
	for _, s := range steps {
		r, err := c.Do(soon(t), s.op)
		switch {
		case s.err != nil:
			if !errors.Is(err, s.err) {
				t.Fatalf("%s: %v, want %v", s.what, err, s.err)
			}
		case err != nil:
			t.Fatalf("%s: %v", s.what, err)
		default:
			if got := show(r); got != s.want {
				t.Fatalf("%s:\n got %s\nwant %s", s.what, got, s.want)
			}
		}
	}
}

// show writes an answer down: the header's revision, and what there is to say.
func show(r clientv3.OpResponse) string {
	switch {
	case r.Put() != nil:
		return fmt.Sprintf("@%d%s", r.Put().Header.Revision, showPrevious(r.Put().PrevKv))
	case r.Get() != nil:
		return fmt.Sprintf("@%d %s", r.Get().Header.Revision, showRange(r.Get().Kvs, r.Get().Count, r.Get().More))
	case r.Del() != nil:
		return fmt.Sprintf("@%d deleted %d%s", r.Del().Header.Revision, r.Del().Deleted, showPrevious(r.Del().PrevKvs...))
	case r.Txn() != nil:
		return fmt.Sprintf("@%d %s", r.Txn().Header.Revision, showTxn(r.Txn()))
	}
	return "no answer"
}

func showRange(kvs []*mvccpb.KeyValue, count int64, more bool) string {
	s := fmt.Sprintf("%d:%s", count, showKeys(kvs))
	if more {
		s += " and more"
	}
	return s
}

func showPrevious(kvs ...*mvccpb.KeyValue) string {
	if len(kvs) == 0 || kvs[0] == nil {
		return ""
	}
	return " was" + showKeys(kvs)
}

// showKeys writes keys as key=value(create,mod,version), with the lease behind it if there is one.
func showKeys(kvs []*mvccpb.KeyValue) string {
	var b strings.Builder
	for _, kv := range kvs {
		fmt.Fprintf(&b, " %s=%s(%d,%d,%d", kv.Key, kv.Value, kv.CreateRevision, kv.ModRevision, kv.Version)
		if kv.Lease != 0 {
			fmt.Fprintf(&b, ",lease %d", kv.Lease)
		}
		b.WriteByte(')')
	}
	return b.String()
}

func showTxn(r *clientv3.TxnResponse) string {
	branch := map[bool]string{true: "then", false: "else"}[r.Succeeded]
	var all []string
	for _, one := range r.Responses {
		switch {
		case one.GetResponsePut() != nil:
			all = append(all, "put"+showPrevious(one.GetResponsePut().PrevKv))
		case one.GetResponseRange() != nil:
			g := one.GetResponseRange()
			all = append(all, showRange(g.Kvs, g.Count, g.More))
		case one.GetResponseDeleteRange() != nil:
			d := one.GetResponseDeleteRange()
			all = append(all, fmt.Sprintf("deleted %d%s", d.Deleted, showPrevious(d.PrevKvs...)))
		case one.GetResponseTxn() != nil:
			all = append(all, showTxn((*clientv3.TxnResponse)(one.GetResponseTxn())))
		}
	}
	return branch + " [" + strings.Join(all, "; ") + "]"
}
