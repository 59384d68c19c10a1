//go:build e2e

package etcdclients

import (
	"fmt"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/naming/endpoints"
	"go.etcd.io/etcd/client/v3/naming/resolver"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"herald/internal/systemtest/process"
)

// TestNaming registers two servers of a gRPC service under a name, one after the other, and calls whoever
// the name resolves to. The service is the door's own.
func TestNaming(t *testing.T) {
	t.Parallel()
	registry, one, two := one(t), one(t), one(t)
	for name, p := range map[string]*process.Process{"one": one, "two": two} {
		put(t, connect(t, p.Etcd), "name", name)
	}
	c := connect(t, registry.Etcd)
	manager, err := endpoints.NewManager(c, "svc")
	if err != nil {
		t.Fatal(err)
	}
	updates, err := manager.NewWatchChannel(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lease, err := c.Grant(soon(t), 600)
	if err != nil {
		t.Fatal(err)
	}
	if err := manager.AddEndpoint(soon(t), "svc/1", endpoints.Endpoint{Addr: one.Etcd, Metadata: "first"}, clientv3.WithLease(lease.ID)); err != nil {
		t.Fatal(err)
	}
	byName, err := resolver.NewBuilder(c)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient("etcd:///svc", grpc.WithResolvers(byName), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answeredBy := func(want string) {
		t.Helper()
		process.Eventually(t, 20*time.Second, "an answer by "+want, func() error {
			r, err := pb.NewKVClient(conn).Range(soon(t), &pb.RangeRequest{Key: []byte("name")})
			if err != nil {
				return err
			}
			if len(r.Kvs) != 1 || string(r.Kvs[0].Value) != want {
				return fmt.Errorf("the name leads to %v", r.Kvs)
			}
			return nil
		})
	}
	answeredBy("one")
	if err := manager.Update(soon(t), []*endpoints.UpdateWithOpts{
		endpoints.NewAddUpdateOpts("svc/2", endpoints.Endpoint{Addr: two.Etcd}), endpoints.NewDeleteUpdateOpts("svc/1"),
	}); err != nil {
		t.Fatal(err)
	}
	answeredBy("two")
	all, err := manager.List(soon(t))
	if err != nil || len(all) != 1 || all["svc/2"].Addr != two.Etcd {
		t.Errorf("listed: %v, %v", all, err)
	}
	if err := manager.AddEndpoint(soon(t), "svc/1", endpoints.Endpoint{Addr: one.Etcd}, clientv3.WithLease(lease.ID)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Revoke(soon(t), lease.ID); err != nil {
		t.Fatal(err)
	}
	adds, deletes := 0, 0
	for adds+deletes < 5 { // svc/1 and svc/2 come, svc/1 goes, comes, and goes with its lease
		select {
		case some := <-updates:
			for _, u := range some {
				if u.Op == endpoints.Add {
					adds++
				} else {
					deletes++
				}
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("%d came and %d went", adds, deletes)
		}
	}
	if adds != 3 || deletes != 2 {
		t.Errorf("%d came and %d went, want 3 and 2", adds, deletes)
	}
}
