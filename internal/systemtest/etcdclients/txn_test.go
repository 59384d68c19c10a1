//go:build e2e

package etcdclients

import (
	"errors"
	"strconv"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// TestTxn is a history of transactions.
func TestTxn(t *testing.T) {
	t.Parallel()
	c := connect(t, one(t).Etcd)
	get, put, del, txn := clientv3.OpGet, clientv3.OpPut, clientv3.OpDelete, clientv3.OpTxn
	type cmps = []clientv3.Cmp
	type ops = []clientv3.Op
	compare := clientv3.Compare
	yes, no := ops{get("yes")}, ops{get("no")}
	steps := []step{
		{"no compare holds", txn(nil, ops{put("a", "1"), put("b", "2"), get("a")}, nil), "@2 then [put; put; 1: a=1(2,2,1)]", nil},
		{"all in one revision", txn(nil, ops{put("a", "2", clientv3.WithPrevKV()), del("b", clientv3.WithPrevKV()), get("", clientv3.WithFromKey())}, nil),
			"@3 then [put was a=1(2,2,1); deleted 1 was b=2(2,2,1); 1: a=2(2,3,2)]", nil},
		{"what writes nothing has no revision", txn(cmps{compare(clientv3.Value("a"), "=", "2")}, ops{del("none"), get("a")}, nil), "@3 then [deleted 0; 1: a=2(2,3,2)]", nil},
		{"the other branch", txn(cmps{compare(clientv3.Version("a"), ">", 2)}, ops{put("a", "x")}, ops{put("c", "3")}), "@4 else [put]", nil},
		{"nested", txn(nil, ops{put("d", "1"), txn(cmps{compare(clientv3.CreateRevision("d"), "=", 0)}, ops{put("e", "was not there")}, ops{put("f", "")})}, nil),
			"@5 then [put; then [put]]", nil},
		{"the same key twice", txn(nil, ops{put("a", "1"), put("a", "2")}, nil), "", rpctypes.ErrDuplicateKey},
		{"put and deleted with a range", txn(nil, ops{put("a", "1"), del("a", clientv3.WithRange("b"))}, nil), "", rpctypes.ErrDuplicateKey},
		{"too many", txn(nil, many(129, func(i int) clientv3.Op { return put("k"+strconv.Itoa(i), "") }), nil), "", rpctypes.ErrTooManyOps},
		{"a lease that is not there", txn(nil, ops{put("a", "lost"), put("b", "", clientv3.WithLease(4711))}, nil), "", rpctypes.ErrLeaseNotFound},
		{"a revision that is not there", txn(nil, ops{put("a", "lost"), get("a", clientv3.WithRev(99))}, nil), "", rpctypes.ErrFutureRev},
		{"nothing of those is left", get("", clientv3.WithFromKey()), "@5 4: a=2(2,3,2) c=3(4,4,1) d=1(5,5,1) e=was not there(5,5,1)", nil},
		{"as many as allowed", txn(nil, many(128, func(i int) clientv3.Op { return put("k"+strconv.Itoa(i), "") }), many(128, func(int) clientv3.Op { return get("a") })),
			"@6 then [" + join(128, "put") + "]", nil},
	}
	for _, c := range []struct {
		what string
		cmp  clientv3.Cmp
		want bool
	}{
		{"mod", compare(clientv3.ModRevision("a"), "=", 3), true},
		{"mod <", compare(clientv3.ModRevision("a"), "<", 3), false},
		{"create !=", compare(clientv3.CreateRevision("a"), "!=", 3), true},
		{"version >", compare(clientv3.Version("a"), ">", 1), true},
		{"lease", compare(clientv3.LeaseValue("a"), "=", 0), true},
		{"value <", compare(clientv3.Value("a"), "<", "3"), true},
		{"value of none", compare(clientv3.Value("none"), "!=", "x"), false},
		{"none was never created", compare(clientv3.CreateRevision("none"), "=", 0), true},
		{"each of a range", compare(clientv3.ModRevision("c").WithRange("f"), ">", 3), true},
		{"not each of a range", compare(clientv3.ModRevision("a").WithRange("f"), ">", 3), false},
		{"a prefix", compare(clientv3.CreateRevision("k").WithPrefix(), "=", 6), true},
	} {
		want := "@6 else [0:]"
		if c.want {
			want = "@6 then [0:]"
		}
		steps = append(steps, step{"compare " + c.what, txn(cmps{c.cmp}, yes, no), want, nil})
	}
	play(t, c, steps)
}

func many(n int, make func(i int) clientv3.Op) []clientv3.Op {
	all := []clientv3.Op{}
	for i := range n {
		all = append(all, make(i))
	}
	return all
}

func join(n int, one string) string {
	s := one
	for range n - 1 {
		s += "; " + one
	}
	return s
}

// TestCompact is what is left of the past, and what is said of what is not.
func TestCompact(t *testing.T) {
	t.Parallel()
	c := connect(t, one(t).Etcd)
	for _, value := range []string{"2", "3", "4", "5"} {
		put(t, c, "k", value)
	}
	if _, err := c.Delete(soon(t), "k"); err != nil {
		t.Fatal(err)
	}
	put(t, c, "k", "7")
	for _, s := range []struct {
		rev  int64
		want error
	}{{8, rpctypes.ErrFutureRev}, {4, nil}, {4, rpctypes.ErrCompacted}, {3, rpctypes.ErrCompacted}, {5, nil}} {
		if _, err := c.Compact(soon(t), s.rev, clientv3.WithCompactPhysical()); (err == nil) != (s.want == nil) || s.want != nil && !errors.Is(err, s.want) {
			t.Errorf("compact to %d: %v, want %v", s.rev, err, s.want)
		}
	}
	play(t, c, []step{
		{"below", clientv3.OpGet("k", clientv3.WithRev(4)), "", rpctypes.ErrCompacted},
		{"at it", clientv3.OpGet("k", clientv3.WithRev(5)), "@7 1: k=5(2,5,4)", nil},
		{"when it was deleted", clientv3.OpGet("k", clientv3.WithRev(6)), "@7 0:", nil},
		{"now", clientv3.OpGet("k"), "@7 1: k=7(7,7,1)", nil},
		{"in a transaction, which writes nothing then", clientv3.OpTxn(nil, []clientv3.Op{clientv3.OpPut("x", ""), clientv3.OpGet("k", clientv3.WithRev(4))}, nil), "", rpctypes.ErrCompacted},
		{"", clientv3.OpGet("x"), "@7 0:", nil},
	})
	if w := <-c.Watch(soon(t), "k", clientv3.WithRev(4)); w.CompactRevision != 5 || !errors.Is(w.Err(), rpctypes.ErrCompacted) {
		t.Errorf("a watch from before it: %+v", w)
	}
}
