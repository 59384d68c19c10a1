//go:build e2e

package etcdclients

import (
	"errors"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/namespace"

	"herald/internal/systemtest/process"
)

// TestKV is a history of every option that puts, gets and deletes have.
func TestKV(t *testing.T) {
	t.Parallel()
	c := connect(t, one(t).Etcd)
	if _, err := c.Grant(soon(t), 1000); err != nil {
		t.Fatal(err)
	}
	lease, err := c.Grant(soon(t), 1000)
	if err != nil {
		t.Fatal(err)
	}
	id := int64(lease.ID)
	leased := func(key string) clientv3.Op { return clientv3.OpPut(key, "l", clientv3.WithLease(lease.ID)) }
	noValue := func(key string, opts ...clientv3.OpOption) clientv3.Op { return clientv3.OpPut(key, "", opts...) }
	get, put, del := clientv3.OpGet, clientv3.OpPut, clientv3.OpDelete
	prefix := clientv3.WithPrefix()
	sorted := func(by clientv3.SortTarget, order clientv3.SortOrder) clientv3.OpOption {
		return clientv3.WithSort(by, order)
	}

	play(t, c, []step{
		{"leases do not move the revision, nothing is there", get("", clientv3.WithFromKey()), "@1 0:", nil},
		{"the first write", put("k/a", "3"), "@2", nil},
		{"another key", put("k/c", "1"), "@3", nil},
		{"and another", put("k/b", "2"), "@4", nil},
		{"a key again", put("k/a", "9", clientv3.WithPrevKV()), "@5 was k/a=3(2,2,1)", nil},
		{"the same value is a write", put("k/a", "9"), "@6", nil},
		{"beside them", put("z", ""), "@7", nil},

		{"one", get("k/a"), "@7 1: k/a=9(2,6,3)", nil},
		{"none", get("k"), "@7 0:", nil},
		{"a prefix, in the keys' order", get("k/", prefix), "@7 3: k/a=9(2,6,3) k/b=2(4,4,1) k/c=1(3,3,1)", nil},
		{"a range", get("k/a", clientv3.WithRange("k/c")), "@7 2: k/a=9(2,6,3) k/b=2(4,4,1)", nil},
		{"from a key", get("k/c", clientv3.WithFromKey()), "@7 2: k/c=1(3,3,1) z=(7,7,1)", nil},
		{"a range that ends before it begins", get("k/c", clientv3.WithRange("k/a")), "@7 0:", nil},
		{"a limit, and how many there are", get("k/", prefix, clientv3.WithLimit(2)), "@7 3: k/a=9(2,6,3) k/b=2(4,4,1) and more", nil},
		{"a limit that is not reached", get("k/", prefix, clientv3.WithLimit(3)), "@7 3: k/a=9(2,6,3) k/b=2(4,4,1) k/c=1(3,3,1)", nil},
		{"the count", get("k/", prefix, clientv3.WithCountOnly()), "@7 3:", nil},
		{"the keys", get("k/", prefix, clientv3.WithKeysOnly()), "@7 3: k/a=(2,6,3) k/b=(4,4,1) k/c=(3,3,1)", nil},
		{"serializable", get("k/a", clientv3.WithSerializable()), "@7 1: k/a=9(2,6,3)", nil},

		{"by key, down", get("k/", prefix, sorted(clientv3.SortByKey, clientv3.SortDescend), clientv3.WithLimit(1)), "@7 3: k/c=1(3,3,1) and more", nil},
		{"by version", get("k/", prefix, sorted(clientv3.SortByVersion, clientv3.SortDescend), clientv3.WithLimit(1)), "@7 3: k/a=9(2,6,3) and more", nil},
		{"by creation", get("k/", prefix, sorted(clientv3.SortByCreateRevision, clientv3.SortAscend)), "@7 3: k/a=9(2,6,3) k/c=1(3,3,1) k/b=2(4,4,1)", nil},
		{"by modification", get("k/", prefix, sorted(clientv3.SortByModRevision, clientv3.SortDescend)), "@7 3: k/a=9(2,6,3) k/b=2(4,4,1) k/c=1(3,3,1)", nil},
		{"by value", get("k/", prefix, sorted(clientv3.SortByValue, clientv3.SortAscend)), "@7 3: k/c=1(3,3,1) k/b=2(4,4,1) k/a=9(2,6,3)", nil},
		{"the first created", get("k/", clientv3.WithFirstCreate()...), "@7 3: k/a=9(2,6,3) and more", nil},
		{"the last revision", get("k/", clientv3.WithLastRev()...), "@7 3: k/a=9(2,6,3) and more", nil},

		{"modified since", get("k/", prefix, clientv3.WithMinModRev(4)), "@7 3: k/a=9(2,6,3) k/b=2(4,4,1)", nil},
		{"modified until", get("k/", prefix, clientv3.WithMaxModRev(4)), "@7 3: k/b=2(4,4,1) k/c=1(3,3,1)", nil},
		{"created since", get("k/", prefix, clientv3.WithMinCreateRev(3)), "@7 3: k/b=2(4,4,1) k/c=1(3,3,1)", nil},
		{"created until", get("k/", prefix, clientv3.WithMaxCreateRev(3)), "@7 3: k/a=9(2,6,3) k/c=1(3,3,1)", nil},

		{"as it was", get("k/", prefix, clientv3.WithRev(4)), "@7 3: k/a=3(2,2,1) k/b=2(4,4,1) k/c=1(3,3,1)", nil},
		{"before anything was", get("k/a", clientv3.WithRev(1)), "@7 0:", nil},
		{"as it will be", get("k/a", clientv3.WithRev(8)), "", rpctypes.ErrFutureRev},

		{"a lease", leased("k/b"), "@8", nil},
		{"is kept where it is ignored", put("k/b", "5", clientv3.WithIgnoreLease()), "@9", nil},
		{"and seen", get("k/b"), "@9 1: k/b=5(4,9,3,lease " + itoa(id) + ")", nil},
		{"a value that is kept, and a lease that goes", noValue("k/b", clientv3.WithIgnoreValue()), "@10", nil},
		{"", get("k/b"), "@10 1: k/b=5(4,10,4)", nil},
		{"ignore_value of what is not there", noValue("none", clientv3.WithIgnoreValue()), "", rpctypes.ErrKeyNotFound},
		{"ignore_lease of what is not there", put("none", "v", clientv3.WithIgnoreLease()), "", rpctypes.ErrKeyNotFound},
		{"a value beside ignore_value", put("k/b", "v", clientv3.WithIgnoreValue()), "", rpctypes.ErrValueProvided},
		{"a lease that is not there", put("k/b", "v", clientv3.WithLease(4711)), "", rpctypes.ErrLeaseNotFound},
		{"no key", put("", "v"), "", rpctypes.ErrEmptyKey},
		{"no key to get", get(""), "", rpctypes.ErrEmptyKey},
		{"no key to delete", del(""), "", rpctypes.ErrEmptyKey},

		{"delete", del("k/a", clientv3.WithPrevKV()), "@11 deleted 1 was k/a=9(2,6,3)", nil},
		{"delete nothing", del("k/a", clientv3.WithPrevKV()), "@11 deleted 0", nil},
		{"a key that comes again is new", put("k/a", "1"), "@12", nil},
		{"", get("k/a"), "@12 1: k/a=1(12,12,1)", nil},
		{"delete a prefix, in one revision", del("k/", prefix, clientv3.WithPrevKV()), "@13 deleted 3 was k/a=1(12,12,1) k/b=5(4,10,4) k/c=1(3,3,1)", nil},
		{"delete all", del("", clientv3.WithFromKey()), "@14 deleted 1", nil},
		{"all of the past", get("", clientv3.WithFromKey(), clientv3.WithRev(12), clientv3.WithCountOnly()), "@14 4:", nil},
	})

	if _, err := c.Put(soon(t), "big", strings.Repeat("x", 3<<19)); !errors.Is(err, rpctypes.ErrRequestTooLarge) {
		t.Errorf("a value of 1.5 MiB: %v", err)
	}
	put14 := strings.Repeat("y", 3<<19-1<<10)
	if r, err := c.Put(soon(t), "big", put14); err != nil || r.Header.Revision != 15 {
		t.Errorf("a value of nearly that: %v, %v", r, err)
	}
	if r, err := c.Get(soon(t), "big"); err != nil || string(r.Kvs[0].Value) != put14 {
		t.Errorf("it is not what was put: %v", err)
	}
}

// TestKVInANamespace puts a prefix before all keys of a client, and off those that come back.
func TestKVInANamespace(t *testing.T) {
	t.Parallel()
	c := connect(t, one(t).Etcd)
	kv, watch, lease := namespace.NewKV(c.KV, "ns/"), namespace.NewWatcher(c.Watcher, "ns/"), namespace.NewLease(c.Lease, "ns/")
	seen := watch.Watch(t.Context(), "", clientv3.WithPrefix(), clientv3.WithRev(2))
	put(t, c, "other", "0")
	granted, err := lease.Grant(soon(t), 100)
	if err != nil {
		t.Fatal(err)
	}
	put(t, kv, "a", "1", clientv3.WithLease(granted.ID))
	if value, mod := get(t, c, "ns/a"); value != "1" || mod != 3 {
		t.Errorf("ns/a is %q at %d", value, mod)
	}
	r, err := kv.Get(soon(t), "", clientv3.WithFromKey())
	if err != nil || showRange(r.Kvs, r.Count, r.More) != "1: a=1(3,3,1,lease "+itoa(int64(granted.ID))+")" {
		t.Errorf("the namespace holds %v, %v", r, err)
	}
	if w := <-seen; len(w.Events) != 1 || string(w.Events[0].Kv.Key) != "a" {
		t.Errorf("seen in it: %v", w)
	}
	left, err := lease.TimeToLive(soon(t), granted.ID, clientv3.WithAttachedKeys())
	if err != nil || len(left.Keys) != 1 || string(left.Keys[0]) != "a" {
		t.Errorf("the lease's keys: %v, %v", left, err)
	}
}

// TestLargestPut is that every server takes the same writes, whoever leads, and those that etcd takes.
func TestLargestPut(t *testing.T) {
	t.Parallel()
	trio := three(t)
	most := 1_572_836 // with a key of 4 bytes
	above := most + 1
	if realEtcd != nil {
		above++ // the numbers that some members give requests are a byte shorter
	}
	for i, address := range trio.Etcd {
		c := connect(t, address)
		if _, err := c.Put(soon(t), "kkkk", strings.Repeat("v", most)); err != nil {
			t.Errorf("%s: %v", process.Name(i), err)
		}
		if _, err := c.Put(soon(t), "kkkk", strings.Repeat("v", above)); !errors.Is(err, rpctypes.ErrRequestTooLarge) {
			t.Errorf("%s, of %d bytes: %v", process.Name(i), above, err)
		}
	}
}
