//go:build e2e

package etcdclients

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/leasing"
	"go.etcd.io/etcd/client/v3/mirror"
	"go.etcd.io/etcd/client/v3/ordering"

	"herald/internal/systemtest/process"
)

// TestLeasing has two clients that keep what they own: who writes what another keeps takes it away first.
func TestLeasing(t *testing.T) {
	t.Parallel()
	p := one(t)
	c := connect(t, p.Etcd)
	put(t, c, "k", "1")
	open := func() clientv3.KV {
		t.Helper()
		kv, closeKV, err := leasing.NewKV(connect(t, p.Etcd), "leases/")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(closeKV)
		return kv
	}
	one, two := open(), open()
	expect := func(who string, kv clientv3.KV, want string) {
		t.Helper()
		if got, _ := get(t, kv, "k"); got != want {
			t.Errorf("%s reads %q, want %q", who, got, want)
		}
	}
	expect("one", one, "1") // and keeps it
	if r, err := c.Get(soon(t), "leases/k"); err != nil || r.Count != 1 || r.Kvs[0].Lease == 0 {
		t.Errorf("what says that it is kept: %v, %v", r, err)
	}
	put(t, c, "k", "behind its back")
	expect("one, of what it keeps,", one, "1")
	expect("two", two, "behind its back")
	put(t, two, "k", "2")
	expect("one, after two has written it,", one, "2")
	if r, err := one.Txn(soon(t)).If(clientv3.Compare(clientv3.Value("k"), "=", "2")).Then(clientv3.OpPut("k", "3")).Commit(); err != nil || !r.Succeeded {
		t.Errorf("one's transaction: %v, %v", r, err)
	}
	expect("two", two, "3")
	if _, err := two.Delete(soon(t), "k"); err != nil {
		t.Error(err)
	}
	expect("one, of what is deleted,", one, "")
}

// TestLeasingWithoutItsLeader kills the leader of three while a client keeps a key: it answers of what it keeps, and
// another takes it away by way of those that are left.
func TestLeasingWithoutItsLeader(t *testing.T) {
	t.Parallel()
	trio := three(t)
	c := connect(t, trio.Etcd[:]...)
	put(t, c, "k", "1")
	open := func() clientv3.KV {
		t.Helper()
		kv, closeKV, err := leasing.NewKV(connect(t, trio.Etcd[:]...), "leases/")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(closeKV)
		return kv
	}
	one, two := open(), open()
	if got, _ := get(t, one, "k"); got != "1" {
		t.Fatalf("one reads %q", got)
	}
	trio.Servers[leaderOf(t, trio)].Kill()
	if got, _ := get(t, one, "k"); got != "1" {
		t.Errorf("one reads %q of what it keeps", got)
	}
	process.Eventually(t, 30*time.Second, "a put by another", func() error {
		_, err := two.Put(soon(t), "k", "2") // one that was under way is not repeated by clientv3
		return err
	})
	process.Eventually(t, 30*time.Second, "one, after two has written it", func() error {
		r, err := one.Get(soon(t), "k")
		if err == nil && string(r.Kvs[0].Value) != "2" {
			t.Errorf("one reads %q", r.Kvs[0].Value)
		}
		return err
	})
}

// TestOrdering reads serializably from one server that is ahead and one that hangs behind: the client
// says so rather than go back.
func TestOrdering(t *testing.T) {
	t.Parallel()
	ahead, behind := one(t), one(t)
	put(t, connect(t, ahead.Etcd), "k", "1")
	put(t, connect(t, ahead.Etcd), "k", "2")
	c := connect(t, ahead.Etcd)
	back := errors.New("the answer is older than one before")
	kv := ordering.NewKV(c.KV, func(clientv3.Op, clientv3.OpResponse, int64) error { return back })
	if got, _ := get(t, kv, "k", clientv3.WithSerializable()); got != "2" {
		t.Errorf("k is %q", got)
	}
	c.SetEndpoints(behind.Etcd)
	process.Eventually(t, 20*time.Second, "the one behind", func() error {
		if _, err := kv.Get(soon(t), "k", clientv3.WithSerializable()); !errors.Is(err, back) {
			return fmt.Errorf("answered: %v", err)
		}
		return nil
	})
}

// TestMirror copies what there is, and then what happens.
func TestMirror(t *testing.T) {
	t.Parallel()
	c := connect(t, one(t).Etcd)
	const base = 2500 // more than twice what the mirror asks for at once
	for n := 0; n < base; n += 100 {
		if _, err := c.Txn(soon(t)).Then(many(100, func(i int) clientv3.Op { return clientv3.OpPut(fmt.Sprintf("k/%04d", n+i), "v") })...).Commit(); err != nil {
			t.Fatal(err)
		}
	}
	syncer := mirror.NewSyncer(c, "k/", 0)
	got, errs := syncer.SyncBase(soon(t))
	put(t, c, "k/later", "1")
	var keys []string
	for r := range got {
		for _, kv := range r.Kvs {
			keys = append(keys, string(kv.Key))
		}
	}
	if err := <-errs; err != nil {
		t.Fatal(err)
	}
	if len(keys) < base || !slices.IsSorted(keys) {
		t.Errorf("%d keys of %d, sorted: %v", len(keys), base, slices.IsSorted(keys))
	}
	updates := syncer.SyncUpdates(t.Context())
	if _, err := c.Delete(soon(t), "k/0000"); err != nil {
		t.Fatal(err)
	}
	want := []string{fmt.Sprintf("PUT k/later=1(%[1]d,%[1]d,1)", 2+base/100), fmt.Sprintf("DELETE k/0000=(0,%d,0)", 3+base/100)}
	if got := seen(t, updates, 2); !slices.Equal(got, want) {
		t.Errorf("updates %q, want %q", got, want)
	}
}

// TestSync gives a client one address of three: it asks for the others, and goes on without the first.
func TestSync(t *testing.T) {
	t.Parallel()
	trio := three(t)
	asked := connect(t, trio.Etcd[0])
	auto := connectWith(t, clientv3.Config{Endpoints: trio.Etcd[:1], AutoSyncInterval: 100 * time.Millisecond})
	var want []string
	for _, a := range trio.Etcd {
		want = append(want, "http://"+a)
	}
	slices.Sort(want)
	for who, c := range map[string]*clientv3.Client{"Sync": asked, "AutoSync": auto} {
		process.Eventually(t, 20*time.Second, who, func() error {
			// A server is ready a moment before it is listed with its address.
			if c == asked {
				if err := c.Sync(soon(t)); err != nil {
					return err
				}
			}
			got := c.Endpoints()
			if slices.Sort(got); !slices.Equal(got, want) {
				return fmt.Errorf("the client knows %s, want %s", strings.Join(got, " "), strings.Join(want, " "))
			}
			return nil
		})
	}
	trio.Servers[0].Kill()
	for who, c := range map[string]*clientv3.Client{"Sync": asked, "AutoSync": auto} {
		process.Eventually(t, 30*time.Second, who+" without the first", func() error {
			_, err := c.Put(soon(t), who, "1") // one that was under way is not repeated by clientv3
			return err
		})
	}
}
