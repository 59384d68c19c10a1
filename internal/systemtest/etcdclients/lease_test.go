//go:build e2e

package etcdclients

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func TestLease(t *testing.T) {
	t.Parallel()
	c := connect(t, one(t).Etcd)
	chosen := &clientv3.LeaseGrantResponse{}
	for _, ttl := range []int64{-1, 0, 1, 700} {
		granted, err := c.Grant(soon(t), ttl)
		if err != nil || granted.ID <= 0 || granted.TTL < max(ttl, 1) || granted.TTL > max(ttl, 10) {
			t.Errorf("grant of %d s: %+v, %v", ttl, granted, err)
		}
		chosen = granted
	}
	if _, err := c.Grant(soon(t), 9_000_000_001); !errors.Is(err, rpctypes.ErrLeaseTTLTooLarge) {
		t.Errorf("a lease that is too long: %v", err)
	}
	put(t, c, "k/b", "1", clientv3.WithLease(chosen.ID))
	put(t, c, "k/a", "1", clientv3.WithLease(chosen.ID))
	put(t, c, "k/c", "1", clientv3.WithLease(chosen.ID))
	put(t, c, "k/c", "2") // without it
	left, err := c.TimeToLive(soon(t), chosen.ID, clientv3.WithAttachedKeys())
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(left.Keys, bytes.Compare) // etcd has them in no order
	if keys := fmt.Sprintf("%s", left.Keys); left.GrantedTTL != 700 || left.TTL > 700 || left.TTL < 600 || keys != "[k/a k/b]" {
		t.Errorf("time to live: %d of %d with %s", left.TTL, left.GrantedTTL, keys)
	}
	if once, err := c.KeepAliveOnce(soon(t), chosen.ID); err != nil || once.TTL != 700 || once.ID != chosen.ID {
		t.Errorf("keepalive: %+v, %v", once, err)
	}
	all, err := c.Leases(soon(t))
	if err != nil || !slices.Contains(all.Leases, clientv3.LeaseStatus{ID: chosen.ID}) {
		t.Errorf("leases: %+v, %v", all, err)
	}

	watch := c.Watch(t.Context(), "k/", clientv3.WithPrefix(), clientv3.WithRev(6))
	if r, err := c.Revoke(soon(t), chosen.ID); err != nil || r.Header.Revision != 6 {
		t.Errorf("revoke: %+v, %v", r, err)
	}
	if got, want := seen(t, watch, 2), []string{"DELETE k/a=(0,6,0)", "DELETE k/b=(0,6,0)"}; !slices.Equal(got, want) {
		t.Errorf("its end: %q, want %q", got, want)
	}
	if _, err := c.Revoke(soon(t), chosen.ID); !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		t.Errorf("revoke again: %v", err)
	}
	if _, err := c.KeepAliveOnce(soon(t), chosen.ID); !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		t.Errorf("keepalive of none: %v", err)
	}
	if left, err := c.TimeToLive(soon(t), chosen.ID); err != nil || left.TTL != -1 {
		t.Errorf("time to live of none: %+v, %v", left, err)
	}
	if _, err := c.Put(soon(t), "k/d", "", clientv3.WithLease(chosen.ID)); !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		t.Errorf("put with none: %v", err)
	}
}

// TestLeasesWithoutTheirLeader kills the leader of three: a lease that is kept alive goes on, one that is
// not ends, not before its time, and takes its keys with it in one revision.
func TestLeasesWithoutTheirLeader(t *testing.T) {
	t.Parallel()
	const ttl = 3
	trio := three(t)
	c := connect(t, trio.Etcd[:]...)
	grant := func() clientv3.LeaseID {
		t.Helper()
		g, err := c.Grant(soon(t), ttl)
		if err != nil {
			t.Fatal(err)
		}
		return g.ID
	}
	granting := time.Now()
	kept, lost := grant(), grant()
	alive, err := c.KeepAlive(t.Context(), kept)
	if err != nil {
		t.Fatal(err)
	}
	put(t, c, "kept", "1", clientv3.WithLease(kept))
	put(t, c, "lost/b", "1", clientv3.WithLease(lost))
	from := put(t, c, "lost/a", "1", clientv3.WithLease(lost))
	watch := c.Watch(t.Context(), "", clientv3.WithFromKey(), clientv3.WithRev(from+1))
	trio.Servers[leaderOf(t, trio)].Kill()

	want := []string{fmt.Sprintf("DELETE lost/a=(0,%d,0)", from+1), fmt.Sprintf("DELETE lost/b=(0,%d,0)", from+1)}
	if got := seen(t, watch, 2); !slices.Equal(got, want) {
		t.Errorf("the end of the one: %q, want %q", got, want)
	}
	if took := time.Since(granting); took < ttl*time.Second {
		t.Errorf("a lease of %d s ended after %v", ttl, took)
	}
	renewed := 0
	for until := time.After(2 * ttl * time.Second); until != nil; {
		select {
		case r := <-alive:
			if r == nil {
				t.Fatal("the lease that is kept alive has ended")
			}
			renewed++
		case <-until:
			until = nil
		}
	}
	if _, mod := get(t, c, "kept"); mod == 0 || renewed < 3 {
		t.Errorf("kept's revision is %d after %d renewals", mod, renewed)
	}
}
