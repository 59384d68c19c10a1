package httpserver

import (
	"net/http"
	"testing"

	"herald/httpserver/api"
)

func TestAgentRegistrationWithLease(t *testing.T) {
	h := open(t)
	const register = "/v1/agent/service/register"
	h.steps([]step{
		{"PUT", register + "?ttl=0s", `{"Name":"w"}`, 400, `Invalid ttl "0s": want a duration above 0…`},
		{"PUT", register + "?ttl=10s&lease=77", `{"Name":"w"}`, 400, "Conflicting flags: lease&ttl"},
		{"PUT", register + "?lease=x", `{"Name":"w"}`, 400, `Invalid lease "x"…`},
		{"PUT", register + "?lease=5", `{"Name":"w"}`, 404, "lease not found: 5 has ended, or never was: have one made…"},
		{"PUT", "/v1/agent/check/register?ttl=10s", `{"Name":"c","TTL":"10s"}`, 400, "A check has no lease of its own, so that ?ttl= means nothing here: register its service…"},
		{"PUT", "/v1/agent/check/register?lease=77", `{"Name":"c","TTL":"10s"}`, 400, "A check has no lease of its own, so that ?lease= …"},
		{"GET", "/v1/agent/services", "", 200, "{}"},
		{"GET", "/v1/agent/checks", "", 200, "{}"},
	})
	for query, want := range map[string]struct {
		lease int64
		told  string
	}{"?ttl=10s": {77, "77"}, "?lease=77": {77, ""}, "": {0, ""}} {
		a := h.ok(http.MethodPut, register+query, `{"Name":"w"}`)
		if got := h.agent.Services()[0].Definition.Lease; int64(got) != want.lease || a.header.Get(api.HeaderLease) != want.told {
			t.Errorf("%q: it hangs from %d, and the answer says %q", query, got, a.header.Get(api.HeaderLease))
		}
	}
}
