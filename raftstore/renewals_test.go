package raftstore

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"herald/raftstore/peer"
	"herald/registry"
)

// However many leases a follower's clients keep alive at once, it asks the leader few questions,
// and each gets its own answer.
func TestKeepAlivesOfAFollowerGoTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		l := c.leader()
		settle()
		f, leader := c.stores[(l+1)%3], c.stores[l]
		const leases = 3*maxRenewals + 7
		var granted sync.WaitGroup
		for i := range leases {
			granted.Go(func() {
				if _, err := leader.GrantLease(t.Context(), registry.LeaseID(i+1), 10*time.Second); err != nil {
					t.Error(err)
				}
			})
		}
		granted.Wait()
		if _, err := leader.GrantLease(t.Context(), leases+1, registry.NoTTL); err != nil {
			t.Fatal(err)
		}
		time.Sleep(8 * time.Second)

		hold := make(chan struct{})
		questions := make(chan int, leases)
		handle := leader.asLeader(leader.handleKeepAlives)
		leader.port.Handle(methodKeepAlives, func(ctx context.Context, from peer.Identity, req []byte) ([]byte, error) {
			<-hold
			questions <- len(req)
			return handle(ctx, from, req)
		})
		var asked sync.WaitGroup
		for i := range leases + 2 {
			asked.Go(func() {
				id := registry.LeaseID(i + 1)
				got, err := f.KeepAlive(t.Context(), id)
				want := registry.Lease{ID: id, TTL: 10 * time.Second, Remaining: 10 * time.Second}
				switch {
				case i == leases:
					want.TTL, want.Remaining = registry.NoTTL, registry.NoTTL
				case i > leases:
					want = registry.Lease{}
				}
				if got.ID != want.ID || got.TTL != want.TTL || got.Remaining != want.Remaining || (err != nil) != (i > leases) {
					t.Errorf("lease %d: %+v, %v; want %+v", id, got, err, want)
				}
				if i > leases && !errors.Is(err, registry.ErrLeaseNotFound) {
					t.Errorf("a lease that is not: %v", err)
				}
			})
		}
		// One that does not wait for the others.
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		if _, err := f.KeepAlive(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("while the leader does not answer: %v", err)
		}
		cancel()
		close(hold)
		asked.Wait()
		if n := len(questions); n > renewalsInFlight+4 {
			t.Errorf("%d leases took %d questions", leases, n)
		}
		time.Sleep(9 * time.Second)
		if n := leader.machine.View().Size().Leases; n != leases+1 {
			t.Errorf("%d leases are alive 9 s later, want %d", n, leases+1)
		}
		time.Sleep(3 * time.Second)
		if n := leader.machine.View().Size().Leases; n != 1 {
			t.Errorf("%d leases are alive 12 s later, want 1", n)
		}
	})
}

// A lease about which something is being decided is waited for by who asked for it alone.
func TestKeepAliveOfABusyLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		l := c.leader()
		settle()
		f, leader := c.stores[(l+1)%3], c.stores[l]
		long, short := grant(t, f, time.Hour, "long"), grant(t, f, time.Minute, "short")
		for range 31 {
			time.Sleep(time.Minute / 2)
			if _, err := f.KeepAlive(t.Context(), short); err != nil {
				t.Fatal(err)
			}
		}
		ids := []registry.LeaseID{long, short, 4711}
		all, _, ok := leader.clock.renewMany(ids)
		if want := []renewed{{state: renewedBusy}, {ttl: time.Minute}, {state: renewedMissing}}; !ok || !slices.Equal(all, want) {
			t.Errorf("%+v, want %+v: the first has a checkpoint", all, want)
		}
		if got, err := f.KeepAlive(t.Context(), long); err != nil || got.Remaining != time.Hour {
			t.Errorf("%+v, %v", got, err)
		}
		if left, err := f.Lease(t.Context(), long, false); err != nil || left.Remaining != time.Hour {
			t.Errorf("%+v, %v", left, err)
		}
		if all, _, _ := leader.clock.renewMany(ids); all[0] != (renewed{ttl: time.Hour}) {
			t.Errorf("once its checkpoint is taken back: %+v", all[0])
		}
	})
}

// Those that wait when the leader goes are asked of the next, and those that wait when
// the server stops are told.
func TestKeepAlivesOverALeaderChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		l := c.leader()
		settle()
		f := c.stores[(l+1)%3]
		id := grant(t, f, time.Minute, "k")
		c.isolate(l)
		var asked sync.WaitGroup
		for range 100 {
			asked.Go(func() {
				if _, err := f.KeepAlive(t.Context(), id); err != nil {
					t.Error(err)
				}
			})
		}
		asked.Wait()
		c.heal(l)
		settle()

		i := (c.leader() + 1) % 3
		f = c.stores[i]
		c.isolate(i)
		for range 100 {
			asked.Go(func() {
				if _, err := f.KeepAlive(t.Context(), id); err == nil {
					t.Error("renewed by nobody")
				}
			})
		}
		synctest.Wait()
		c.stop(i)
		asked.Wait()
	})
}

func FuzzDecodeRenewed(f *testing.F) {
	f.Add(appendRenewed(nil, []renewed{{ttl: time.Minute}, {state: renewedMissing}, {state: renewedBusy}}), 3)
	f.Add([]byte{renewedAlive}, 1)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		n = max(0, min(n, maxRenewals))
		all, err := decodeRenewed(b, n)
		if err != nil {
			if !errors.Is(err, registry.ErrUnavailable) {
				t.Errorf("%v", err)
			}
			return
		}
		again, err := decodeRenewed(appendRenewed(nil, all), n)
		if err != nil || !slices.Equal(all, again) {
			t.Errorf("%x: %v, then %v, %v", bytes.Clone(b), all, again, err)
		}
	})
}
