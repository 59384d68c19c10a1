//go:build e2e

package etcdclients

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"herald/internal/systemtest/process"
)

// TestWithoutAQuorum takes two servers of three away and asks the one that is left: who has
// asked for a leader is told that there is none, who has not waits; nothing is acknowledged and no
// lease ends meanwhile; and all goes on when the others are back.
func TestWithoutAQuorum(t *testing.T) {
	t.Parallel()
	const ttl = 3
	for what, take := range map[string]func(trio *process.Trio) (left int, back func()){
		"the leader is left, the others are frozen": func(trio *process.Trio) (int, func()) {
			left := leaderOf(t, trio)
			a, b := process.Others(left)
			thawA, thawB := trio.Servers[a].Freeze(), trio.Servers[b].Freeze()
			return left, func() { thawA(); thawB() }
		},
		"a follower is left, the others are dead": func(trio *process.Trio) (int, func()) {
			leader := leaderOf(t, trio)
			left, other := process.Others(leader)
			trio.Servers[leader].Kill()
			trio.Servers[other].Kill()
			return left, func() { trio.Restart(leader, other) }
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			trio := three(t)
			all := connect(t, trio.Etcd[:]...)
			granted, err := all.Grant(soon(t), ttl)
			if err != nil {
				t.Fatal(err)
			}
			put(t, all, "leased", "v", clientv3.WithLease(granted.ID))
			before := put(t, all, "k", "before")
			watches := map[int][2]clientv3.WatchChan{} // of each server: one that asks for a leader, one that does not
			for i, endpoint := range trio.Etcd {
				c := connect(t, endpoint)
				demanding := c.Watch(clientv3.WithRequireLeader(t.Context()), "k", clientv3.WithRev(before))
				patient := c.Watch(t.Context(), "k", clientv3.WithRev(before))
				watches[i] = [2]clientv3.WatchChan{demanding, patient}
				for _, w := range watches[i] {
					seen(t, w, 1)
				}
			}

			left, back := take(trio)
			gone := time.Now()
			one := connect(t, trio.Etcd[left])
			select {
			case r, open := <-watches[left][0]:
				if !open || !errors.Is(r.Err(), rpctypes.ErrNoLeader) {
					t.Errorf("the watch that asks for a leader is told %+v, %v", r, r.Err())
				}
			case <-time.After(30 * time.Second):
				t.Error("the watch that asks for a leader hears nothing for 30 s")
			}
			t.Logf("no leader after %v", time.Since(gone).Round(100*time.Millisecond))
			if r := <-one.Watch(clientv3.WithRequireLeader(t.Context()), "k"); !errors.Is(r.Err(), rpctypes.ErrNoLeader) {
				t.Errorf("a new one is told %+v, %v", r, r.Err())
			}
			// etcd answers with the deadline that it gave itself, as often as not.
			if _, err := one.Put(soon(t), "k", "lost"); err == nil || codeOf(err) != codes.Unavailable && realEtcd == nil {
				t.Errorf("a put: %v (%v)", err, codeOf(err))
			}
			impatient, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if r, err := one.Get(impatient, "k"); err == nil {
				t.Errorf("a linearizable read is answered: %v", r)
			}
			if value, mod := get(t, one, "k", clientv3.WithSerializable()); value != "before" || mod != before {
				t.Errorf("the server's own state: %q at %d", value, mod)
			}
			<-time.After(time.Until(gone.Add((2*ttl + 1) * time.Second)))
			select {
			case r, open := <-watches[left][1]:
				t.Errorf("the watch that waits is told %+v (open: %v)", r, open)
			default:
			}

			back()
			// Its client could not keep it alive; the time without a quorum is not held against it.
			process.Eventually(t, 30*time.Second, "a keepalive", func() error {
				_, err := all.KeepAliveOnce(soon(t), granted.ID)
				if errors.Is(err, rpctypes.ErrLeaseNotFound) {
					t.Fatal("the lease has ended")
				}
				return err
			})
			after := int64(0)
			process.Eventually(t, 30*time.Second, "a put with all three", func() error {
				r, err := one.Put(soon(t), "k", "after")
				if err == nil {
					after = r.Header.Revision
				}
				return err
			})
			// The put that was refused may have been done later, as its error says; nothing else.
			want := []string{fmt.Sprintf("PUT k=after(%d,%d,2)", before, after)}
			if after > before+1 {
				want = []string{fmt.Sprintf("PUT k=lost(%d,%d,2)", before, before+1), fmt.Sprintf("PUT k=after(%d,%d,3)", before, after)}
			}
			for i, w := range watches {
				if got := seen(t, w[1], len(want)); !slices.Equal(got, want) {
					t.Errorf("%s: the watch that waited saw %q, want %q", process.Name(i), got, want)
				}
			}
		})
	}
}

// codeOf is what clientv3's errors have as their code.
func codeOf(err error) codes.Code {
	var told rpctypes.EtcdError
	if errors.As(err, &told) {
		return told.Code()
	}
	return status.Code(err)
}
