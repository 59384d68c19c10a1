package storetest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"herald/registry"
)

// leaseCases are leases, but for their running out.
var leaseCases = []testCase{
	{"granted", func(s *subject) {
		const ttl = time.Hour
		l, err := s.GrantLease(s.ctx, 0, ttl)
		s.isError("GrantLease", err, nil)
		if l.ID <= 0 {
			s.Errorf("a picked id: got %d, want one above 0", l.ID)
		}
		s.equal("TTL", l.TTL, ttl)
		if l.Remaining <= ttl-patience || l.Remaining > ttl {
			s.Errorf("Remaining: got %v of %v", l.Remaining, ttl)
		}
		for _, id := range []registry.LeaseID{7, -7} {
			l, err = s.GrantLease(s.ctx, id, ttl)
			s.isError("GrantLease", err, nil)
			s.equal("a chosen id", l.ID, id)
		}
		_, err = s.GrantLease(s.ctx, -7, ttl)
		s.isError("a taken id", err, registry.ErrLeaseExists)
		s.revoke(-7)
		_, err = s.GrantLease(s.ctx, -7, ttl)
		s.isError("an id that is free again", err, nil)
	}},
	{"times to live out of range", func(s *subject) {
		for _, ttl := range []time.Duration{-1, -time.Hour, registry.MaxTTL + 1} {
			_, err := s.GrantLease(s.ctx, 1, ttl)
			s.isError(ttl.String(), err, registry.ErrInvalidTTL)
		}
		for _, ttl := range []time.Duration{registry.MaxTTL, registry.NoTTL} {
			id := s.grant(ttl)
			l, err := s.Lease(s.ctx, id, false)
			s.isError("Lease", err, nil)
			s.equal("TTL", l.TTL, ttl)
			l, err = s.KeepAlive(s.ctx, id)
			s.isError("KeepAlive", err, nil)
			s.equal("TTL", l.TTL, ttl)
		}
	}},
	{"listed", func(s *subject) {
		ids, err := s.ListLeases(s.ctx)
		s.isError("ListLeases", err, nil)
		s.equal("at first", len(ids), 0)
		for _, id := range []registry.LeaseID{5, -3, 9} {
			if _, err := s.GrantLease(s.ctx, id, time.Hour); err != nil {
				s.Fatal(err)
			}
		}
		s.revoke(9)
		ids, err = s.ListLeases(s.ctx)
		s.isError("ListLeases", err, nil)
		if !slices.Equal(ids, []registry.LeaseID{-3, 5}) {
			s.Errorf("ListLeases: got %v, want [-3 5]", ids)
		}
	}},
	{"listed, without those of a space", func(s *subject) {
		for _, id := range []registry.LeaseID{-3, -2, -1, 1, 2, 3} {
			if _, err := s.GrantLease(s.ctx, id, time.Hour); err != nil {
				s.Fatal(err)
			}
		}
		s.putAs(registry.PutRequest{Space: registry.SpaceCatalog, Key: "n", Lease: -3})
		s.putAs(registry.PutRequest{Space: registry.SpaceSession, Key: "s", Lease: -1})
		s.putAs(registry.PutRequest{Key: "locked", Lock: registry.LockAcquire, Holder: -1})
		s.putAs(registry.PutRequest{Key: "k", Lease: 1})
		s.putAs(registry.PutRequest{Space: registry.SpaceSession, Key: "gone", Lease: 3})
		s.do(op(registry.DeleteRequest{Space: registry.SpaceSession, KeyRange: registry.One("gone")}))
		for _, c := range []struct {
			without []registry.Space
			want    string
		}{
			{[]registry.Space{registry.SpaceCatalog, registry.SpaceSession}, "[-2 1 2 3]"},
			{[]registry.Space{registry.SpaceCatalog}, "[-2 -1 1 2 3]"},
			{[]registry.Space{registry.SpaceKV}, "[-3 -2 2 3]"},
			{[]registry.Space{registry.SpaceSystem}, "[-3 -2 -1 1 2 3]"},
		} {
			ids, err := s.ListLeases(s.ctx, c.without...)
			s.isError("ListLeases", err, nil)
			s.equal(fmt.Sprintf("without %v", c.without), fmt.Sprint(ids), c.want)
		}
	}},
	{"its keys", func(s *subject) {
		id, other := s.grant(time.Hour), s.grant(time.Hour)
		s.putAs(registry.PutRequest{Key: "b", Lease: id})
		s.putAs(registry.PutRequest{Key: "a", Lease: id})
		s.putAs(registry.PutRequest{Key: "moved", Lease: id})
		s.putAs(registry.PutRequest{Key: "moved", Lease: other})
		s.putAs(registry.PutRequest{Key: "gone", Lease: id})
		s.del(registry.One("gone"))
		s.putAs(registry.PutRequest{Key: "locked", Lock: registry.LockAcquire, Holder: id})
		s.putAs(registry.PutRequest{Key: "both", Lease: id, Lock: registry.LockAcquire, Holder: id})
		s.putAs(registry.PutRequest{Space: registry.SpaceCatalog, Key: "a", Lease: id})
		l, err := s.Lease(s.ctx, id, true)
		s.isError("Lease", err, nil)
		s.equal("Keys", showKeys(l.Keys), "kv/a kv/b kv/both kv/locked catalog/a")
		l, err = s.Lease(s.ctx, id, false)
		s.isError("Lease", err, nil)
		s.equal("Keys, not asked for", len(l.Keys), 0)
	}},
	{"revoked, with its keys", func(s *subject) {
		first, second := s.grant(time.Hour), s.grant(time.Hour)
		for _, key := range []string{"c", "a", "b"} {
			s.putAs(registry.PutRequest{Key: key, Lease: first})
		}
		s.putAs(registry.PutRequest{Space: registry.SpaceCatalog, Key: "n", Lease: first})
		s.putAs(registry.PutRequest{Key: "d", Lease: second})
		s.put("kept", "1")
		kv := s.watch(registry.WatchRequest{KeyRange: registry.All()})
		catalog := s.watch(registry.WatchRequest{Space: registry.SpaceCatalog, KeyRange: registry.All()})
		after, err := s.RevokeLease(s.ctx, first, second)
		s.isError("RevokeLease", err, nil)
		s.equal("the revisions after it", after, registry.Revisions{registry.SpaceKV: 8, registry.SpaceCatalog: 3, registry.SpaceSession: 1, registry.SpaceSystem: 1})
		s.holds("kept=1")
		s.sees(kv, "7:-a,-b,-c 8:-d")
		s.sees(catalog, "3:-n")
		s.revisionIs(registry.SpaceKV, 8)
		s.revisionIs(registry.SpaceSession, 1)
		_, err = s.Lease(s.ctx, first, false)
		s.isError("Lease", err, registry.ErrLeaseNotFound)
		_, err = s.KeepAlive(s.ctx, first)
		s.isError("KeepAlive", err, registry.ErrLeaseNotFound)
		s.fails(registry.ErrLeaseNotFound, op(registry.PutRequest{Key: "late", Lease: first}))
	}},
	{"one of several is unknown", func(s *subject) {
		id := s.grant(time.Hour)
		s.putAs(registry.PutRequest{Key: "a", Lease: id})
		after, err := s.RevokeLease(s.ctx, 1234, id, 5678)
		s.isError("RevokeLease", err, registry.ErrLeaseNotFound)
		for name, missing := range map[string]bool{"1234": true, "5678": true, strconv.FormatInt(int64(id), 10): false} {
			if strings.Contains(err.Error(), name) != missing {
				s.Errorf("RevokeLease: %q; names %s, want %v", err, name, missing)
			}
		}
		ended := registry.Revisions{registry.SpaceKV: 3, registry.SpaceCatalog: 1, registry.SpaceSession: 1, registry.SpaceSystem: 1}
		s.equal("the revisions after it", after, ended)
		s.holds("")
		after, err = s.RevokeLease(s.ctx, id)
		s.isError("RevokeLease again", err, registry.ErrLeaseNotFound)
		s.equal("the revisions after that", after, ended)
		after, err = s.RevokeLease(s.ctx)
		s.isError("RevokeLease of none", err, nil)
		s.equal("the revisions after it", after, registry.Revisions{})
	}},
	{"unknown", func(s *subject) {
		_, err := s.Lease(s.ctx, 1, true)
		s.isError("Lease", err, registry.ErrLeaseNotFound)
		_, err = s.KeepAlive(s.ctx, 1)
		s.isError("KeepAlive", err, registry.ErrLeaseNotFound)
	}},
}
