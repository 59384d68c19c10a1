package grpcserver

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"

	"herald/grpcserver/electionpb"
	"herald/grpcserver/lockpb"
	"herald/registry"
	"herald/registry/plugin"
	"herald/registry/storetest"
)

// unkept is a store that keeps no lease alive from one moment until another. Leases end
// meanwhile, as where the leader works and this server does not reach it.
type unkept struct {
	*storetest.Memory
	from, until time.Time
	err         error
}

func (s *unkept) KeepAlive(ctx context.Context, id registry.LeaseID) (registry.Lease, error) {
	if now := time.Now(); !now.Before(s.from) && now.Before(s.until) {
		return registry.Lease{}, fmt.Errorf("lease %d: %w", id, s.err)
	}
	return s.Memory.KeepAlive(ctx, id)
}

// Who waits with a lease of the door's keeps the place when the lease cannot be kept alive for a
// while, as long as it lives; and is told when it never can be again.
func TestWaiterWhoseLeaseCannotBeKeptAlive(t *testing.T) {
	for _, c := range []struct {
		name    string
		err     error
		outage  time.Duration
		code    codes.Code
		message string
	}{
		{"no leader", registry.ErrNoLeader, ownTTL - 2*renewAgain, codes.OK, ""},
		{"unavailable", registry.ErrUnavailable, ownTTL - 2*renewAgain, codes.OK, ""},
		{"timeout", registry.ErrTimeout, ownTTL - 2*renewAgain, codes.OK, ""},
		{"for longer than the lease lives", registry.ErrNoLeader, 2 * ownTTL, codes.Unknown, "mutex: session is expired"},
		{"stopped", registry.ErrStopped, 2 * ownTTL, codes.Unavailable, "etcdserver: server stopped"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := storetest.NewMemory(t)
				s := &unkept{Memory: m, from: time.Now(), until: time.Now().Add(c.outage), err: c.err}
				locks := &lockService{core: newCore(DefaultConfig(), &plugin.Host{Store: s, Cluster: m, Log: slog.New(slog.DiscardHandler)})}
				grantLease(t, m, 1, registry.NoTTL)
				if _, err := locks.Lock(t.Context(), &lockpb.LockRequest{Name: []byte("l"), Lease: 1}); err != nil {
					t.Fatal(err)
				}
				waited := make(chan error, 1)
				go func() {
					_, err := locks.Lock(t.Context(), &lockpb.LockRequest{Name: []byte("l")})
					waited <- err
				}()
				time.Sleep(2*ownTTL + renewEvery)
				if _, err := m.RevokeLease(t.Context(), 1); err != nil {
					t.Fatal(err)
				}
				wantStatus(t, "the waiter", <-waited, c.code, c.message)
			})
		})
	}
}

// A candidate stands through the time without a leader, however long that is.
func TestCandidateOutlastsAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := storetest.NewMemory(t)
		s := &electionService{core: newCore(DefaultConfig(), &plugin.Host{Store: m, Cluster: m, Log: slog.New(slog.DiscardHandler)})}
		grantLease(t, m, 1, registry.NoTTL)
		if _, err := s.Campaign(t.Context(), &electionpb.CampaignRequest{Name: []byte("e"), Lease: 1}); err != nil {
			t.Fatal(err)
		}
		waited := make(chan error, 1)
		go func() {
			_, err := s.Campaign(t.Context(), &electionpb.CampaignRequest{Name: []byte("e")})
			waited <- err
		}()
		synctest.Wait()
		m.SetOutage(registry.ErrNoLeader)
		time.Sleep(time.Hour)
		m.SetOutage(nil)
		time.Sleep(time.Hour)
		if _, err := m.RevokeLease(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		wantStatus(t, "the candidate", <-waited, codes.OK, "")
	})
}
