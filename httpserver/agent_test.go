package httpserver

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"herald/httpserver/api"
	"herald/registry"
	"herald/registry/plugin"
)

func TestAgentSteps(t *testing.T) {
	h := open(t)
	h.steps([]step{
		{"PUT", "/v1/agent/service/register", `{"Name":"web","Bogus":1}`, 400, `Request decode failed: json: unknown field "Bogus"`},
		{"PUT", "/v1/agent/service/register", `{`, 400, "Request decode failed…"},
		{"PUT", "/v1/agent/service/register", `{"Name":""}`, 400, "Missing service name"},
		{"PUT", "/v1/agent/service/register", `{"Name":"w","Check":{"Args":["true"],"Interval":"10s"}}`, 500, "Scripts are disabled on this agent from remote calls; …"},
		{"PUT", "/v1/agent/service/register", `{"Name":"w","Check":{"TTL":"10s","Status":"bogus"}}`, 400, "Status for checks must 'passing', 'warning', 'critical'"},
		{"GET", "/v1/agent/services", "", 200, "{}"},
		{"PUT", "/v1/agent/service/register", `{"ID":"w1","Name":"web","Address":"10.8.0.1","Port":80,"Check":{"TTL":"10m","Status":"passing"}}`, 200, ""},
		{"PUT", "/v1/agent/service/register", `{"Name":"bare"}`, 200, ""},
		{"GET", "/v1/agent/service/w1", "", 200, `{"ID":"w1","Service":"web","Tags":[],"Meta":{},"Port":80,"Address":"10.8.0.1","TaggedAddresses":{"lan_ipv4":{"Address":"10.8.0.1","Port":80},"wan_ipv4":{"Address":"10.8.0.1","Port":80}},"Weights":{"Passing":1,"Warning":1},"EnableTagOverride":false,"ContentHash":"…`},
		{"GET", "/v1/agent/service/none", "", 404, "unknown service ID: none"},
		{"GET", "/v1/agent/service/register", "", 405, "method GET not allowed"},
		{"GET", "/v1/agent/checks", "", 200, `{"service:w1":{"Node":"n1","CheckID":"service:w1",…`},
		{"PUT", "/v1/agent/check/warn/service:w1?note=slow", "", 200, ""},
		{"GET", "/v1/agent/health/service/id/w1?format=text", "", 429, "warning"},
		{"PUT", "/v1/agent/check/fail/service:w1", "", 200, ""},
		{"GET", "/v1/agent/health/service/name/web?format=text", "", 503, "critical"},
		{"PUT", "/v1/agent/check/update/service:w1", `{"Status":"passing","Output":"well"}`, 200, ""},
		{"GET", "/v1/agent/health/service/id/w1?format=text", "", 200, "passing"},
		{"GET", "/v1/agent/health/service/id/bare", "", 200, `{"AggregatedStatus":"passing","Service":{"ID":"bare",…`},
		{"GET", "/v1/agent/health/service/id/none", "", 404, `{"AggregatedStatus":"critical","Service":null,"Checks":null}`},
		{"GET", "/v1/agent/health/service/id/none?format=text", "", 404, "ServiceId none not found"},
		{"GET", "/v1/agent/health/service/name/none", "", 404, "[]"},
		{"GET", "/v1/agent/health/service/name/none?format=text", "", 404, "ServiceName none Not Found"},
		{"PUT", "/v1/agent/check/update/service:w1", `{"Status":"bogus"}`, 400, "Invalid check status: 'bogus'"},
		{"PUT", "/v1/agent/check/update/service:w1", `{}`, 400, "Invalid check status: ''"},
		{"PUT", "/v1/agent/check/pass/none", "", 404, `Unknown check ID "none". Ensure that the check ID is passed, not the check name.`},
		{"PUT", "/v1/agent/check/register", `{"ID":"h","Name":"h","HTTP":"http://127.0.0.1:9/","Interval":"10m"}`, 200, ""},
		{"PUT", "/v1/agent/check/pass/h", "", 500, `CheckID "h" does not have associated TTL`},
		{"GET", "/v1/agent/health/service/id/bare?format=text", "", 503, "critical"}, // a node's check counts
		{"PUT", "/v1/agent/check/deregister/h", "", 200, ""},
		{"PUT", "/v1/agent/check/deregister/h", "", 404, "Unknown check ID…"},
		{"PUT", "/v1/agent/check/register", `{"TTL":"10s"}`, 400, "Missing check name"},
		{"PUT", "/v1/agent/check/register", `{"Name":"x","TTL":"10s","ServiceID":"none"}`, 404, `ServiceID "none" does not exist`},
		{"PUT", "/v1/agent/check/register", `{"Name":"x","TTL":"10s","Status":"bogus"}`, 400, "Bad check status"},
		{"PUT", "/v1/agent/check/register", `{"Name":"x","Bogus":1}`, 400, `Request decode failed: json: unknown field "Bogus"`},
		{"PUT", "/v1/agent/service/maintenance/w1", "", 400, "Missing value for enable"},
		{"PUT", "/v1/agent/service/maintenance/w1?enable=maybe", "", 400, `Invalid value for enable: "maybe"`},
		{"PUT", "/v1/agent/service/maintenance/?enable=true", "", 400, "Missing service ID"},
		{"PUT", "/v1/agent/service/maintenance/none?enable=true", "", 404, "Unknown service ID…"},
		{"PUT", "/v1/agent/service/maintenance/w1?enable=true&reason=r", "", 200, ""},
		{"GET", "/v1/agent/health/service/id/w1?format=text", "", 503, "maintenance"},
		{"PUT", "/v1/agent/service/maintenance/w1?enable=false", "", 200, ""},
		{"PUT", "/v1/agent/maintenance?enable=true", "", 200, ""},
		{"GET", "/v1/agent/health/service/name/web?format=text", "", 503, "maintenance"},
		{"PUT", "/v1/agent/maintenance?enable=false", "", 200, ""},
		{"PUT", "/v1/agent/maintenance", "", 400, "Missing value for enable"},
		{"PUT", "/v1/agent/service/deregister/w1", "", 200, ""},
		{"PUT", "/v1/agent/service/deregister/w1", "", 404, `Unknown service ID "w1". Ensure that the service ID is passed, not the service name.`},
		{"PUT", "/v1/agent/service/deregister/", "", 404, `Unknown service ID "".…`},
		{"GET", "/v1/agent/checks", "", 200, "{}"},
		{"GET", "/v1/agent/services?filter=x", "", 500, "Failed to create boolean expression evaluator…"},
		{"GET", "/v1/agent/version", "", 200, `{"HumanVersion":"1.2.3"}`},
	})
}

func TestAgentWarnings(t *testing.T) {
	h := open(t)
	a := h.ok("PUT", "/v1/agent/service/register", `{"Name":"web","Tags":["not.a.label"]}`)
	if w := a.header.Values(api.HeaderWarning); len(w) != 1 || !strings.Contains(w[0], "not.a.label") {
		t.Errorf("warnings %q", w)
	}
	a = h.ok("PUT", "/v1/agent/service/register", "{\"Name\":\"web\",\"Tags\":[\"ü\\r\\nX-Evil: 1\"]}")
	if a.header.Get("X-Evil") != "" || len(a.header.Values(api.HeaderWarning)) != 1 {
		t.Errorf("a tag got out of its header: %v", a.header)
	}
}

func TestAgentReplacesChecks(t *testing.T) {
	h := open(t)
	h.ok("PUT", "/v1/agent/service/register", `{"Name":"w","Check":{"TTL":"10m"}}`)
	h.ok("PUT", "/v1/agent/service/register", `{"Name":"w","Check":{"CheckID":"own","TTL":"10m"}}`)
	var checks map[string]api.HealthCheck
	if h.get("/v1/agent/checks", &checks); len(checks) != 2 {
		t.Errorf("kept checks: %v", checks)
	}
	h.ok("PUT", "/v1/agent/service/register?replace-existing-checks", `{"Name":"w","Check":{"CheckID":"own","TTL":"10m"}}`)
	checks = nil
	if h.get("/v1/agent/checks", &checks); len(checks) != 1 || checks["own"].Type != "ttl" {
		t.Errorf("replaced checks: %v", checks)
	}
}

func TestAgentServiceHash(t *testing.T) {
	h := open(t)
	h.ok("PUT", "/v1/agent/service/register", `{"Name":"w","Port":1}`)
	hash := h.ok("GET", "/v1/agent/service/w", "").header.Get(api.HeaderContentHash)
	if again := h.ok("GET", "/v1/agent/service/w?hash=other&wait=1m", "").header.Get(api.HeaderContentHash); hash == "" || again != hash {
		t.Fatalf("hashes %q and %q of the same", hash, again)
	}
	got := h.begin("/v1/agent/service/w?wait=1m&hash=" + hash)
	h.ok("PUT", "/v1/agent/service/register", `{"Name":"w","Port":2}`)
	if a := receive(t, got); a.header.Get(api.HeaderContentHash) == hash {
		t.Errorf("woken with the same hash: %s", a.body)
	}
	hash = h.ok("GET", "/v1/agent/service/w", "").header.Get(api.HeaderContentHash)
	got = h.begin("/v1/agent/service/w?wait=1m&hash=" + hash)
	h.ok("PUT", "/v1/agent/service/deregister/w", "")
	if a := receive(t, got); a.status != 404 {
		t.Errorf("deregistered: %d %s", a.status, a.body)
	}
}

func TestAgentSelfAndMembers(t *testing.T) {
	h := open(t, func(cfg *Config, _ *plugin.Host) { cfg.SessionTTLMin = 5 * time.Second })
	h.register(`{"Node":"n9","Address":"10.0.0.9","Check":{"CheckID":"serfHealth","Name":"Serf Health Status","Status":"critical"}}`)
	h.register(`{"Node":"external","Address":"10.0.0.10"}`)
	var self api.AgentSelf
	h.get("/v1/agent/self", &self)
	if c := self.Config; c.NodeName != "n1" || c.Datacenter != "dc1" || c.Version != "1.2.3" || !c.Server || c.NodeID == "" || c.SessionTTLMin != 5e9 {
		t.Errorf("Config is %+v", c)
	}
	if self.Member.Addr != "127.0.0.1" || self.Member.Tags["role"] != "consul" || len(self.Stats) == 0 || self.Meta == nil {
		t.Errorf("self is %+v", self)
	}
	until(t, "the catalog has the node", func() bool {
		var all []api.AgentMember
		h.get("/v1/agent/members", &all)
		byName := map[string]int{}
		for _, m := range all {
			byName[m.Name] = m.Status
		}
		return len(all) == 3 && byName["memory"] == api.MemberAlive && byName["n1"] == api.MemberAlive && byName["n9"] == api.MemberFailed
	})
}

// namedCluster has this process among its servers.
type namedCluster struct{ fakeCluster }

func (namedCluster) Members(context.Context) ([]registry.Member, error) {
	return []registry.Member{
		{ID: "b", Name: "n2", Address: "10.0.0.2:7400"}, {ID: "c", Address: "10.0.0.3:7400"}, {ID: "d", Address: "10.0.0.4:7400"},
		{ID: "a", Name: "n1", Address: "10.0.0.1:7400", Alive: true},
	}, nil
}

// silentCluster cannot list its servers.
type silentCluster struct{ fakeCluster }

func (silentCluster) Members(context.Context) ([]registry.Member, error) {
	return nil, registry.ErrStopped
}

func TestAgentSelfIsTheMemberThatIsListed(t *testing.T) {
	h := open(t, func(_ *Config, host *plugin.Host) { host.Cluster, host.Peer = namedCluster{}, "10.0.0.1:7400" })
	var self api.AgentSelf
	var all []api.AgentMember
	h.get("/v1/agent/self", &self)
	h.get("/v1/agent/members", &all)
	if len(all) != 4 || !reflect.DeepEqual(self.Member, all[3]) || self.Member.Port != 7400 || self.Member.Status != api.MemberAlive {
		t.Errorf("self is %+v, members are %+v", self.Member, all)
	}
	// One that does not answer is listed so, and one whose name nobody knows by its id.
	if all[0].Status != api.MemberFailed || all[1].Name != "c" || all[2].Name != "d" {
		t.Errorf("members are %+v", all)
	}
	h = open(t, func(_ *Config, host *plugin.Host) { host.Cluster = silentCluster{} })
	if h.get("/v1/agent/self", &self); self.Member.Name != "n1" {
		t.Errorf("without a list of servers: %+v", self.Member)
	}
}

func TestExecChecksAreTheAgentsToAllow(t *testing.T) {
	h := open(t)
	h.agent.allowExec = true
	h.ok("PUT", "/v1/agent/service/register", `{"Name":"w","Check":{"Args":["true"],"Interval":"10s"}}`)
}

func TestCluster(t *testing.T) {
	h := open(t, func(_ *Config, host *plugin.Host) { host.Cluster = fakeCluster{} })
	h.steps([]step{
		{"GET", "/v1/status/leader", "", 200, `"10.0.0.1:7400"`},
		{"GET", "/v1/status/peers", "", 200, `["10.0.0.1:7400"]`},
		{"GET", "/v1/operator/raft/configuration", "", 200, `{"Servers":[{"ID":"a","Node":"na","Address":"10.0.0.1:7400","Leader":true,"Voter":true,"ProtocolVersion":"3"},{"ID":"b","Node":"nb","Address":"10.0.0.2:7400","Leader":false,"Voter":false,"ProtocolVersion":"3"}],"Index":9}`},
	})
	var m api.Members
	h.get("/v1/members", &m)
	if len(m.Members) != 2 || m.Status.Leader != "a" || m.Members[1].Suffrage != registry.NonVoter {
		t.Errorf("members are %+v", m)
	}
}

func TestProcessEndpoints(t *testing.T) {
	reason := ""
	h := open(t, func(c *Config, host *plugin.Host) {
		host.MetricsHandler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("herald_x 1\n")) })
		host.Ready = func() error {
			if reason != "" {
				return errText(reason)
			}
			return nil
		}
	})
	h.steps([]step{
		{"GET", "/metrics", "", 200, "herald_x 1\n"},
		{"GET", "/healthz", "", 200, "ok\n"},
		{"GET", "/readyz", "", 200, "ready\n"},
		{"GET", "/debug/pprof/", "", 404, "*"},
		{"PUT", "/healthz", "", 405, "method PUT not allowed"},
		{"HEAD", "/healthz", "", 200, ""},
		{"HEAD", "/readyz", "", 200, ""},
		{"HEAD", "/metrics", "", 405, ""},
	})
	if a := h.do("OPTIONS", "/healthz", ""); a.header.Get("Allow") != "OPTIONS,GET,HEAD" {
		t.Errorf("Allow: %s", a.header.Get("Allow"))
	}
	reason = "no leader yet"
	h.steps([]step{{"HEAD", "/readyz", "", 503, ""}, {"GET", "/readyz", "", 503, "not ready: no leader yet\n"}, {"GET", "/healthz", "", 200, "ok\n"}})

	h = open(t, func(c *Config, _ *plugin.Host) { c.Pprof = true })
	h.steps([]step{
		{"GET", "/debug/pprof/cmdline", "", 200, "*"},
		{"GET", "/debug/pprof/goroutine?debug=1", "", 200, "goroutine profile:…"},
		{"GET", "/metrics", "", 404, "*"},
	})
}

type errText string

func (e errText) Error() string { return string(e) }

func TestLeaseSteps(t *testing.T) {
	h := open(t)
	h.steps([]step{
		{"PUT", "/v1/lease/grant", `{"ID":"77","TTL":"15s"}`, 200, `{"ID":"77","TTL":"15s","Remaining":"…`},
		{"PUT", "/v1/lease/grant", `{"ID":"77","TTL":"15s"}`, 409, "lease already exists…"},
		{"PUT", "/v1/lease/grant", `{"TTL":"soon"}`, 400, "Invalid TTL…"},
		{"PUT", "/v1/lease/grant", `{}`, 400, "Invalid TTL…"},
		{"PUT", "/v1/lease/grant", `{"TTL":"-1s"}`, 400, "invalid time to live…"},
		{"PUT", "/v1/lease/grant", `{"TTL":"1s","Bogus":1}`, 400, `Request decode failed: json: unknown field "Bogus"`},
		{"PUT", "/v1/lease/grant", `{"ID":"x","TTL":"1s"}`, 400, "Request decode failed…"},
		{"PUT", "/v1/lease/grant", `{"ID":"-9","TTL":"0s"}`, 200, `{"ID":"-9","TTL":"0s",…`},
		{"PUT", "/v1/lease/keepalive/77", "", 200, `{"ID":"77","TTL":"15s","Remaining":"15s"}`},
		{"PUT", "/v1/lease/keepalive/78", "", 404, "lease not found…"},
		{"PUT", "/v1/lease/keepalive/x", "", 400, "Invalid lease id…"},
		{"PUT", "/v1/lease/keepalive/", "", 400, "Missing lease id"},
		{"GET", "/v1/lease/77", "", 200, `{"ID":"77",…`},
		{"GET", "/v1/leases", "", 200, `["-9","77"]`},
		{"PUT", "/v1/lease/revoke/77", "", 200, "true"},
		{"PUT", "/v1/lease/revoke/77", "", 404, "lease not found…"},
		{"GET", "/v1/lease/77", "", 404, "lease not found…"},
	})
	a := h.do("GET", "/v1/lease/77", "")
	if a.header.Get(api.HeaderError) != "lease-not-found" {
		t.Errorf("code %q", a.header.Get(api.HeaderError))
	}
}

func TestLeaseIDsSurviveJSON(t *testing.T) {
	for _, id := range []api.LeaseID{1, -1, 1<<63 - 1, -1 << 63, 1<<53 + 1} {
		b, err := json.Marshal(api.Lease{ID: id})
		if err != nil {
			t.Fatal(err)
		}
		var back api.Lease
		if err := json.Unmarshal(b, &back); err != nil || back.ID != id {
			t.Errorf("%d came back as %d (%v)", id, back.ID, err)
		}
	}
}
