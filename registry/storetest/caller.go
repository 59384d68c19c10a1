package storetest

import "herald/registry"

// callerCases are who asked and why, as history tells it.
var callerCases = []testCase{
	{"is kept with what was written", func(s *subject) {
		w := s.watch(registry.WatchRequest{KeyRange: registry.All()})
		as := func(c registry.Caller) *subject {
			return &subject{T: s.T, Store: s.Store, ctx: registry.WithCaller(s.ctx, c)}
		}
		operator := registry.Caller{Identity: "operator@host", Reason: registry.ReasonOperator}
		check := registry.Caller{Identity: "agent-7", Reason: registry.ReasonCheck}
		as(operator).put("a", "1")
		as(check).del(registry.One("a"))
		s.put("b", "1")
		id := s.grant(registry.NoTTL)
		s.putAs(registry.PutRequest{Key: "c", Lease: id})
		as(operator).revoke(id)
		for name, commits := range map[string][]registry.Commit{
			"live":    s.next(w, 5),
			"history": s.next(s.watch(registry.WatchRequest{KeyRange: registry.All(), StartRevision: 2}), 5),
		} {
			for i, want := range []registry.Caller{operator, check, {}, {}, operator} {
				got := commits[i].Origin
				s.equal(name+": who", got.Who, want.Identity)
				s.equal(name+": why", got.Why, want.Reason)
				if got.When.IsZero() {
					s.Errorf("%s: when is not set in %+v", name, got)
				}
			}
		}
	}},
}
