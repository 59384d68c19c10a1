//go:build e2e

package etcdclients

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"herald/internal/systemtest/process"
)

// kvEntry is a key as Consul's API has it.
type kvEntry struct {
	Key                      string
	Value                    []byte
	CreateIndex, ModifyIndex int64
}

func overHTTP(t *testing.T, p *process.Process, path string) (all []kvEntry) {
	t.Helper()
	body := curl(t, p.URL("/v1/kv/"+path))
	if err := json.Unmarshal([]byte(body), &all); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return all
}

// TestOneStoreBehindBothDoors puts with etcdctl, reads, swaps and waits over Consul's API, and watches
// over etcd's: one key, one sequence of revisions.
func TestOneStoreBehindBothDoors(t *testing.T) {
	t.Parallel()
	heraldAlone(t, "Consul's API")
	p := process.Dev(t)
	c := connect(t, p.Etcd)
	watch := c.Watch(t.Context(), "app/db", clientv3.WithPrevKV(), clientv3.WithRev(1))

	typeAt(t, p.Etcd, []typed{{"put app/db v1", "", "OK\n"}})
	if got := curl(t, p.URL("/v1/kv/app/db?raw")); got != "v1" {
		t.Errorf("over HTTP it is %q", got)
	}
	_, mod := get(t, c, "app/db")
	if e := overHTTP(t, p, "app/db"); len(e) != 1 || e[0].ModifyIndex != mod || e[0].CreateIndex != mod || mod != 2 {
		t.Errorf("over HTTP it is %+v, its mod_revision is %d", e, mod)
	}

	// A compare-and-swap over HTTP with etcd's revision, and one that comes too late.
	for _, cas := range []struct{ value, want string }{{"v2", "true"}, {"v3", "false"}} {
		if got := strings.TrimSpace(curl(t, "-X", "PUT", "-d", cas.value, p.URL(fmt.Sprintf("/v1/kv/app/db?cas=%d", mod)))); got != cas.want {
			t.Errorf("cas to %s: %s", cas.value, got)
		}
	}
	if got, want := strings.Join(seen(t, watch, 2), "; "), "PUT app/db=v1(2,2,1); PUT app/db=v2(2,3,2) was app/db=v1(2,2,1)"; got != want {
		t.Errorf("the watch saw %q, want %q", got, want)
	}

	// A query that waits over HTTP is woken by a put over etcd's API, of its own key alone.
	woken := make(chan string, 1)
	go func() { woken <- curl(t, p.URL("/v1/kv/app/db?raw&wait=20s&index=3")) }()
	put(t, c, "app/other", "x")
	select {
	case got := <-woken:
		t.Errorf("a put of another key woke the query: %q", got)
	case <-time.After(300 * time.Millisecond):
	}
	put(t, c, "app/db", "v4")
	select {
	case got := <-woken:
		if got != "v4" {
			t.Errorf("the query answers %q", got)
		}
	case <-time.After(10 * time.Second):
		t.Error("the put did not wake the query within 10 s")
	}

	// Services are no keys: they do not move the revision.
	curl(t, "-X", "PUT", "-d", `{"Name":"web","Address":"127.0.0.9","Port":80}`, p.URL("/v1/agent/service/register"))
	process.Eventually(t, 10*time.Second, "web in the catalog", func() error {
		if got := curl(t, p.URL("/v1/catalog/service/web")); !strings.Contains(got, "127.0.0.9") {
			return fmt.Errorf("the catalog says %s", got)
		}
		return nil
	})
	r, err := c.Get(soon(t), "", clientv3.WithFromKey(), clientv3.WithKeysOnly())
	if err != nil || r.Header.Revision != 5 || r.Count != 2 {
		t.Errorf("after a registration: %v, %v", r, err)
	}
	typeAt(t, p.Etcd, []typed{{"put app/last x", "", "OK\n"}})
	if e := overHTTP(t, p, "app/last"); e[0].ModifyIndex != 6 {
		t.Errorf("the next write is at %d", e[0].ModifyIndex)
	}
	curl(t, "-X", "DELETE", p.URL("/v1/kv/app/?recurse"))
	if w := nextResponse(t, watch); showEvent(w.Events[0]) != "PUT app/db=v4(2,5,3) was app/db=v2(2,3,2)" {
		t.Errorf("the watch saw %s", showEvent(w.Events[0]))
	}
	if w := nextResponse(t, watch); showEvent(w.Events[0]) != "DELETE app/db=(0,7,0) was app/db=v4(2,5,3)" {
		t.Errorf("the watch saw %s", showEvent(w.Events[0]))
	}
}

// TestLeasesAcrossDoors grants a lease at each door, attaches a key to it at the other, and ends
// it where it was not granted.
func TestLeasesAcrossDoors(t *testing.T) {
	t.Parallel()
	heraldAlone(t, "leases over HTTP")
	p := process.Dev(t)
	c := connect(t, p.Etcd)
	granted, err := c.Grant(soon(t), 600)
	if err != nil {
		t.Fatal(err)
	}
	curl(t, "-X", "PUT", "-d", "v", p.URL(fmt.Sprintf("/v1/kv/k/etcd?lease=%d", granted.ID)))
	left, err := c.TimeToLive(soon(t), granted.ID, clientv3.WithAttachedKeys())
	if err != nil || len(left.Keys) != 1 || string(left.Keys[0]) != "k/etcd" {
		t.Errorf("the lease granted at etcd's door: %+v, %v", left, err)
	}
	curl(t, "-X", "PUT", "-d", `{"ID": "4711", "TTL": "600s"}`, p.URL("/v1/lease/grant"))
	put(t, c, "k/http", "v", clientv3.WithLease(4711))
	if left, err := c.TimeToLive(soon(t), 4711); err != nil || left.GrantedTTL != 600 {
		t.Errorf("the lease granted over HTTP: %+v, %v", left, err)
	}
	if _, err := c.KeepAliveOnce(soon(t), 4711); err != nil {
		t.Errorf("keepalive of the lease granted over HTTP: %v", err)
	}

	curl(t, "-f", "-X", "PUT", p.URL(fmt.Sprintf("/v1/lease/revoke/%d", granted.ID)))
	if _, mod := get(t, c, "k/etcd"); mod != 0 {
		t.Error("its end over HTTP left its key")
	}
	if _, err := c.Revoke(soon(t), 4711); err != nil {
		t.Errorf("revoke of the lease granted over HTTP: %v", err)
	}
	if got := curl(t, "-o", "/dev/null", "-w", "%{http_code}", p.URL("/v1/kv/k/http")); got != "404" {
		t.Errorf("its end over etcd's door left its key: %s", got)
	}
}
