package httpserver

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"herald/httpserver/api"
	"herald/registry/catalog"
)

var emptyCatalog = catalog.New()

func (h *harness) register(body string) { h.t.Helper(); h.ok("PUT", "/v1/catalog/register", body) }

func TestCatalogRefusals(t *testing.T) {
	h := open(t)
	h.steps([]step{
		{"PUT", "/v1/catalog/register", `{"Address":"10.7.1.1"}`, 500, "Must provide node"},
		{"PUT", "/v1/catalog/register", `{"Node":"n"}`, 500, "Must provide address if SkipNodeUpdate is not set"},
		{"PUT", "/v1/catalog/register", `{"ID":"not-a-uuid","Node":"n","Address":"a"}`, 500, "Bad node ID:…"},
		{"PUT", "/v1/catalog/register", `{"Node":"n","Address":"a","Service":{"ID":"only-id"}}`, 500, "Must provide service name (Service.Service) when service ID is provided"},
		{"PUT", "/v1/catalog/register", `{"Node":"n","Address":"a","Check":{"CheckID":"c2","Name":"c2","ServiceID":"nosvc"}}`, 500, "Unknown service ID 'nosvc' for check ID 'c2'"},
		{"PUT", "/v1/catalog/register", `{"Node":"n","Address":"a","Check":{"CheckID":"c","Node":"other"}}`, 500, "Check \"c\" is of node…"},
		{"PUT", "/v1/catalog/register", `{"Node":"n","Address":"a","Check":{"CheckID":"c","Status":"fine"}}`, 400, "Invalid check status: 'fine'…"},
		{"PUT", "/v1/catalog/register", `{"Node":"n","Address":"a","Check":{"Status":"passing"}}`, 500, "Must provide a check's…"},
		{"PUT", "/v1/catalog/register", `{"Node":"n","Address":"a","Check":{"Name":"c","Interval":"often"}}`, 400, "Request decode failed: Interval…"},
		{"PUT", "/v1/catalog/register", `{"Node":"n","Address":"a","Service":{"Service":"s","Port":70000}}`, 400, "*"},
		{"PUT", "/v1/catalog/register", `{"Node":"n","Address":"a","Service":{"Service":"s","Kind":"connect-proxy"}}`, 400, "Service.Kind is not supported…"},
		{"PUT", "/v1/catalog/register", `{"Node":"n","Address":"a","Partition":"p"}`, 400, "Partition is not supported…"},
		{"PUT", "/v1/catalog/register", "{\"Node\":\"n\\u0000x\",\"Address\":\"a\"}", 400, "*"},
		{"PUT", "/v1/catalog/register", `{"Node":`, 400, "Request decode failed…"},
		{"PUT", "/v1/catalog/register", `{"Node":"n","Address":"a","Bogus":1}`, 400, `Request decode failed: json: unknown field "Bogus"`},
		{"PUT", "/v1/catalog/register?lease=99", `{"Node":"n","Address":"a"}`, 404, "lease not found…"},
		{"PUT", "/v1/catalog/register", `{"Datacenter":"nowhere","Node":"n","Address":"a"}`, 500, "No path to datacenter"},
		{"PUT", "/v1/catalog/deregister", `{"Node":""}`, 500, "Must provide node"},
		{"PUT", "/v1/catalog/deregister", `nonsense`, 400, "Request decode failed…"},
		{"GET", "/v1/catalog/nodes?dc=nowhere", "", 500, "No path to datacenter"},
		{"GET", "/v1/catalog/nodes?filter=bogus", "", 500, "Failed to create boolean expression evaluator…"},
		{"GET", "/v1/catalog/service/", "", 400, "Missing service name"},
		{"GET", "/v1/catalog/node/", "", 400, "Missing node name"},
		{"GET", "/v1/catalog/node-services/", "", 400, "Missing node name"},
		{"GET", "/v1/health/service/", "", 400, "Missing service name"},
		{"GET", "/v1/health/checks/", "", 400, "Missing service name"},
		{"GET", "/v1/health/node/", "", 400, "Missing node name"},
		{"GET", "/v1/health/state/", "", 400, "Missing check state"},
		{"GET", "/v1/health/service/s?passing=bogus", "", 400, "Invalid value for ?passing"},
		{"GET", "/v1/catalog/register", "", 405, "method GET not allowed"},
		{"GET", "/v1/catalog/nodes", "", 200, "[]"}, // none of these wrote anything
		{"GET", "/v1/catalog/services", "", 200, "{}"},
		{"GET", "/v1/catalog/datacenters", "", 200, `["dc1"]`},
		{"GET", "/v1/catalog/node/none", "", 200, "null"},
		{"GET", "/v1/catalog/node-services/none", "", 200, `{"Node":null,"Services":null}`},
		{"GET", "/v1/health/node/none", "", 200, "[]"},
		{"GET", "/v1/health/service/none", "", 200, "[]"},
		{"GET", "/v1/health/state/any", "", 200, "[]"},
		{"PUT", "/v1/catalog/deregister", `{"Node":"none"}`, 200, "true"},
		{"PUT", "/v1/catalog/deregister", `{"Node":"none","CheckID":"c"}`, 200, "true"},
	})
}

func TestCatalogRegister(t *testing.T) {
	h := open(t)
	h.register(`{"ID":"5B6A1D2E-0000-4000-8000-0000000000C1","Node":"N2","Address":"10.7.0.2","NodeMeta":{"zone":"b"},
		"Service":{"ID":"w1","Service":"web","Tags":["v1"],"Address":"10.9.9.9","Port":80,"Meta":{"a":"b"},"Weights":{"Passing":5,"Warning":2},"Proxy":{"Expose":{}},"Connect":{}},
		"Check":{"CheckID":"c1","Name":"c1","Status":"passing","ServiceID":"w1","Output":"ok","Notes":"n","Definition":{"Interval":"10s","Timeout":2000000000}}}`)
	var got []api.ServiceEntry
	h.get("/v1/health/service/WEB", &got)
	if len(got) != 1 {
		t.Fatalf("got %d entries", len(got))
	}
	e := got[0]
	wantNode := &api.Node{ID: "5b6a1d2e-0000-4000-8000-0000000000c1", Node: "N2", Address: "10.7.0.2", Datacenter: "dc1", Meta: map[string]string{"zone": "b"},
		CreateIndex: e.Node.CreateIndex, ModifyIndex: e.Node.ModifyIndex}
	if !reflect.DeepEqual(e.Node, wantNode) {
		t.Errorf("node\n got %+v\nwant %+v", e.Node, wantNode)
	}
	at := api.ServiceAddress{Address: "10.9.9.9", Port: 80}
	wantService := &api.NodeService{ID: "w1", Service: "web", Tags: []string{"v1"}, Address: "10.9.9.9", Port: 80, Meta: map[string]string{"a": "b"},
		Weights: api.Weights{Passing: 5, Warning: 2}, TaggedAddresses: map[string]api.ServiceAddress{"lan_ipv4": at, "wan_ipv4": at},
		CreateIndex: e.Service.CreateIndex, ModifyIndex: e.Service.ModifyIndex}
	if !reflect.DeepEqual(e.Service, wantService) {
		t.Errorf("service\n got %+v\nwant %+v", e.Service, wantService)
	}
	wantChecks := []api.HealthCheck{{Node: "N2", CheckID: "c1", Name: "c1", Status: "passing", Notes: "n", Output: "ok", ServiceID: "w1", ServiceName: "web",
		ServiceTags: []string{"v1"}, Interval: "10s", Timeout: "2s", CreateIndex: e.Checks[0].CreateIndex, ModifyIndex: e.Checks[0].ModifyIndex}}
	if !reflect.DeepEqual(e.Checks, wantChecks) {
		t.Errorf("checks\n got %+v\nwant %+v", e.Checks, wantChecks)
	}
	if e.Node.CreateIndex == 0 || e.Service.CreateIndex == 0 || e.Checks[0].CreateIndex == 0 {
		t.Error("an index is 0")
	}
	// What is not said of the node in a later registration is as it was or gone, by kind.
	h.register(`{"Node":"n2","Address":"10.7.0.3"}`)
	var n api.CatalogNode
	h.get("/v1/catalog/node/N2", &n)
	if n.Node.ID != wantNode.ID || n.Node.Meta != nil || n.Node.Node != "n2" || n.Node.Address != "10.7.0.3" || len(n.Services) != 1 {
		t.Errorf("registered again: %+v", n.Node)
	}
}

func TestCatalogChecksMoveBetweenServices(t *testing.T) {
	h := open(t)
	h.register(`{"Node":"n","Address":"a","Service":{"Service":"web"},"Check":{"CheckID":"c","ServiceID":"web","Status":"critical"}}`)
	h.register(`{"Node":"n","SkipNodeUpdate":true,"Check":{"CheckID":"c","Status":"passing"}}`)
	var checks []api.HealthCheck
	h.get("/v1/health/node/n", &checks)
	if len(checks) != 1 || checks[0].ServiceID != "" || checks[0].Status != "passing" {
		t.Errorf("the check's id is no longer unique on its node: %+v", checks)
	}
	h.ok("PUT", "/v1/catalog/deregister", `{"Node":"n","CheckID":"c"}`)
	if h.get("/v1/health/node/n", &checks); len(checks) != 0 {
		t.Errorf("deregistered, and there is %+v", checks)
	}
}

func TestCatalogQueries(t *testing.T) {
	h := open(t)
	h.register(`{"Node":"n1","Address":"10.7.2.1","NodeMeta":{"zone":"a"},"Service":{"ID":"w1","Service":"web","Tags":["v1","blue"]},"Check":{"CheckID":"p","ServiceID":"w1","Status":"passing"}}`)
	h.register(`{"Node":"n2","Address":"10.7.2.2","NodeMeta":{"zone":"b"},"Service":{"ID":"w2","Service":"web","Tags":["v2","blue"]},"Check":{"CheckID":"w","ServiceID":"w2","Status":"warning"}}`)
	h.register(`{"Node":"n2","SkipNodeUpdate":true,"Service":{"ID":"d1","Service":"db"},"Check":{"CheckID":"d","ServiceID":"d1","Status":"critical"}}`)
	for _, tc := range []struct{ path, want string }{
		{"/v1/catalog/services", `{"db":[],"web":["blue","v1","v2"]}`},
		{"/v1/catalog/services?node-meta=zone:a", `{"web":["v1","blue"]}`},
		{"/v1/catalog/services?node-meta=zone:none", `{}`},
		{"/v1/catalog/service/web", "w1 w2"},
		{"/v1/catalog/service/web?tag=BLUE&tag=v1", "w1"},
		{"/v1/catalog/service/web?tag=", ""},
		{"/v1/catalog/service/web?node-meta=zone:b", "w2"},
		{"/v1/catalog/service/web?node-meta=zone:b&tag=v1", ""},
		{"/v1/health/service/web", "w1 w2"},
		{"/v1/health/service/web?passing", "w1"},
		{"/v1/health/service/web?passing=false", "w1 w2"},
		{"/v1/health/service/web?passing&tag=v2", ""},
		{"/v1/health/service/web?cached", "w1 w2"},
		{"/v1/health/checks/web", "p w"},
		{"/v1/health/node/n2", "d w"},
		{"/v1/health/state/any", "p d w"},
		{"/v1/health/state/critical", "d"},
		{"/v1/health/state/any?node-meta=zone:a", "p"},
		{"/v1/health/state/bogus", ""},
		{"/v1/catalog/nodes", "n1 n2"},
		{"/v1/catalog/nodes?node-meta=zone:b", "n2"},
	} {
		for range 2 { // built, and then remembered
			if got := ids(t, h.ok("GET", tc.path, "").body); got != tc.want {
				t.Errorf("GET %s: %s, want %s", tc.path, got, tc.want)
			}
		}
	}
	for mode, want := range map[string]string{"": "leader", "?stale": "stale", "?consistent": "consistent"} {
		if a := h.ok("GET", "/v1/catalog/nodes"+mode, ""); a.header.Get(api.HeaderConsistency) != want {
			t.Errorf("%q: effective consistency %q", mode, a.header.Get(api.HeaderConsistency))
		}
	}
}

// ids are the ids of what a list holds, in order; another document is itself.
func ids(t *testing.T, body string) string {
	var list []map[string]any
	if json.Unmarshal([]byte(body), &list) != nil {
		return body
	}
	var all []string
	for _, e := range list {
		id := e["ServiceID"]
		switch {
		case e["CheckID"] != nil:
			id = e["CheckID"]
		case e["Service"] != nil:
			id = e["Service"].(map[string]any)["ID"]
		case id == nil:
			id = e["Node"]
		}
		all = append(all, fmt.Sprint(id))
	}
	return strings.Join(all, " ")
}

func TestCatalogBlocking(t *testing.T) {
	h := open(t)
	h.register(`{"Node":"n1","Address":"10.6.1.1","Service":{"ID":"a","Service":"a"},"Check":{"CheckID":"ca","ServiceID":"a","Status":"passing"}}`)
	beside := `{"Node":"n2","Address":"10.6.1.2","Service":{"ID":"b","Service":"b%d"},"Check":{"CheckID":"cb","ServiceID":"b","Status":"passing","Output":"%d"}}`
	h.register(fmt.Sprintf(beside, 0, 0))
	const register, deregister = "/v1/catalog/register", "/v1/catalog/deregister"
	for i, tc := range []struct {
		name, path, to, body string
		wakes                bool
	}{
		{"the same again", "/v1/health/service/a", register, `{"Node":"n1","Address":"10.6.1.1","Service":{"ID":"a","Service":"a"},"Check":{"CheckID":"ca","ServiceID":"a","Status":"passing"}}`, false},
		{"its check", "/v1/health/service/a", register, `{"Node":"n1","SkipNodeUpdate":true,"Check":{"CheckID":"ca","ServiceID":"a","Status":"critical"}}`, true},
		{"its check, for the list of services", "/v1/catalog/services", register, `{"Node":"n1","SkipNodeUpdate":true,"Check":{"CheckID":"ca","ServiceID":"a","Status":"passing"}}`, false},
		{"a check of its node", "/v1/health/service/a", register, `{"Node":"n1","SkipNodeUpdate":true,"Check":{"CheckID":"node","Status":"passing"}}`, true},
		{"its node's address", "/v1/health/service/a", register, `{"Node":"n1","Address":"10.6.1.99"}`, true},
		{"an absent service", "/v1/catalog/service/c", register, `{"Node":"n1","SkipNodeUpdate":true,"Service":{"ID":"c","Service":"c"}}`, true},
		{"its tags, for the list of services", "/v1/catalog/services", register, `{"Node":"n1","SkipNodeUpdate":true,"Service":{"ID":"c","Service":"c","Tags":["t"]}}`, true},
		{"a service, for its node", "/v1/catalog/node/n1", deregister, `{"Node":"n1","ServiceID":"c"}`, true},
		{"a check, for the state", "/v1/health/state/any", register, `{"Node":"n1","SkipNodeUpdate":true,"Check":{"CheckID":"ca","ServiceID":"a","Status":"warning"}}`, true},
		{"a node, for the nodes", "/v1/catalog/nodes", register, `{"Node":"n3","Address":"10.6.1.3"}`, true},
		{"an instance, for a selection of services", "/v1/catalog/services?node-meta=x:y", register, `{"Node":"n3","Address":"10.6.1.3","NodeMeta":{"x":"y"},"Service":{"Service":"d"}}`, true},
		{"the node's end", "/v1/health/service/a", deregister, `{"Node":"n1"}`, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := h.ok("GET", tc.path, "").index()
			sep := "?"
			if strings.Contains(tc.path, "?") {
				sep = "&"
			}
			path := tc.path + sep + "wait=1m&index=" + strconv.FormatUint(before, 10)
			if !tc.wakes {
				h.ok("PUT", tc.to, tc.body)
				if after := h.ok("GET", tc.path, "").index(); after != before {
					t.Errorf("the index went from %d to %d", before, after)
				}
				return
			}
			got := h.begin(path)
			if strings.Contains(tc.path, "/service/") {
				h.register(fmt.Sprintf(beside, 0, i+1)) // another service's check
				select {
				case a := <-got:
					t.Fatalf("woken by another service: %s", a.body)
				default:
				}
			}
			h.ok("PUT", tc.to, tc.body)
			if a := receive(t, got); a.status != 200 || a.index() <= before {
				t.Errorf("got %d with index %d, want one above %d", a.status, a.index(), before)
			}
		})
	}
}

func TestCatalogLeases(t *testing.T) {
	h := open(t)
	var l api.Lease
	if err := json.Unmarshal([]byte(h.ok("PUT", "/v1/lease/grant", `{"TTL":"1h"}`).body), &l); err != nil {
		t.Fatal(err)
	}
	h.register(`{"Node":"keep","Address":"a"}`)
	h.ok("PUT", "/v1/catalog/register?lease="+l.ID.String(), `{"Node":"n","Address":"a","Service":{"Service":"web"}}`)
	// Someone else's registration on the node does not take it from its lease.
	h.register(`{"Node":"n","Address":"b"}`)
	h.ok("PUT", "/v1/lease/revoke/"+l.ID.String(), "")
	until(t, "what the lease held is gone", func() bool {
		return h.ok("GET", "/v1/catalog/services", "").body == "{}" && ids(t, h.ok("GET", "/v1/catalog/nodes", "").body) == "keep"
	})
}

// ?ttl= makes the lease with the registration, and leaves none behind where that fails.
func TestCatalogTTL(t *testing.T) {
	h := open(t)
	h.steps([]step{
		{"PUT", "/v1/catalog/register?ttl=1h&lease=7", `{"Node":"n","Address":"a"}`, 400, "Conflicting flags: lease&ttl"},
		{"PUT", "/v1/catalog/register?ttl=0s", `{"Node":"n","Address":"a"}`, 400, "Invalid ttl…"},
		{"PUT", "/v1/catalog/register?ttl=1h", `{"Node":"n","Address":"a","Check":{"Name":"c","ServiceID":"none","Status":"passing"}}`, 500, "Unknown service ID 'none'…"},
	})
	var leases []string
	if h.get("/v1/leases", &leases); len(leases) != 0 {
		t.Errorf("registrations that failed left the leases %v", leases)
	}
	a := h.ok("PUT", "/v1/catalog/register?ttl=1h", `{"Node":"n","Address":"a","Service":{"Service":"web"},"Check":{"Name":"c","ServiceID":"web","Status":"passing"}}`)
	var l api.Lease
	h.get("/v1/lease/"+a.header.Get(api.HeaderLease), &l)
	if l.TTL != "1h0m0s" || len(l.Keys) < 3 {
		t.Errorf("the lease of a registration with ttl is %+v", l)
	}
	h.ok("PUT", "/v1/lease/revoke/"+l.ID.String(), "")
	until(t, "what the lease held is gone", func() bool { return h.ok("GET", "/v1/catalog/nodes", "").body == "[]" })
}

func TestAdvertise(t *testing.T) {
	h := open(t)
	body := `{"Lease":"0","Node":{"Name":"n","Address":"10.0.0.1"},"Instances":[{"ID":"w","Service":"web","Port":80,"FieldOfTomorrow":1}],"Checks":[{"ID":"c","ServiceID":"w","Status":"passing"}]}`
	h.ok("PUT", "/v1/catalog/advertise", body)
	before := h.ok("GET", "/v1/health/service/web", "")
	if got := ids(t, before.body); got != "w" {
		t.Fatalf("advertised, and read back at once: %s", before.body)
	}
	h.ok("PUT", "/v1/catalog/advertise", body)
	if after := h.ok("GET", "/v1/health/service/web", "").index(); after != before.index() {
		t.Errorf("the same again moved the index from %d to %d", before.index(), after)
	}
	h.ok("PUT", "/v1/catalog/advertise", `{"Lease":"0","Node":{"Name":"n","Address":"10.0.0.1"}}`)
	h.steps([]step{
		{"GET", "/v1/health/service/web", "", 200, "[]"},
		{"PUT", "/v1/catalog/advertise/changes", `{"Lease":"0","Node":{"Name":"n","Address":"10.0.0.1"},"Instances":[{"ID":"w2","Service":"web","Port":81,"FieldOfTomorrow":1}],"Checks":[{"ID":"c","Status":"passing"}]}`, 200, "true"},
		{"GET", "/v1/health/service/web", "", 200, "*"},
		{"PUT", "/v1/catalog/advertise/changes", `{"Lease":"0","Node":{"Name":"n","Address":"10.0.0.1"},"GoneInstances":["w2"],"GoneChecks":[{"ID":"c"}]}`, 200, "true"},
		{"GET", "/v1/health/service/web", "", 200, "[]"},
		{"GET", "/v1/health/node/n", "", 200, "[]"},
		{"PUT", "/v1/catalog/advertise/changes", `{"Lease":"0","Node":{"Name":"n","Address":"b"},"GoneInstances":["w2"]}`, 409, `advertising changes of node "n": the node's record is not the advertised one…`},
		{"PUT", "/v1/catalog/advertise/changes", `{"Lease":"0","Datacenter":"dc2","Node":{"Name":"n"}}`, 400, `Node "n" is of datacenter "dc2"…`},
		{"PUT", "/v1/catalog/advertise/changes", `{"Lease":"0"}`, 400, "*"},
		{"PUT", "/v1/catalog/advertise", `{"Lease":"12","Node":{"Name":"n","Address":"b"}}`, 404, `advertising node "n": lease not found…`},
		{"PUT", "/v1/catalog/advertise", `{"Lease":"twelve"}`, 400, "Request decode failed…"},
		{"PUT", "/v1/catalog/advertise", `{"Lease":"0"}`, 400, "*"},
	})
}

// A name with a NUL is nobody's, and what is deregistered under it takes nothing of others with it.
func TestDeregisterUnderANameThatNothingHas(t *testing.T) {
	h := open(t)
	h.ok("PUT", "/v1/catalog/register", `{"Node":"a","Address":"x","Service":{"Service":"b"},"Check":{"CheckID":"c","ServiceID":"b"}}`)
	var before, after []api.HealthCheck
	h.get("/v1/health/node/a", &before)
	for _, body := range []string{`{"Node":"a\u0000b"}`, `{"Node":"a","ServiceID":"b\u0000c"}`, `{"Node":"a\u0000b","CheckID":"c"}`} {
		h.ok("PUT", "/v1/catalog/deregister", body)
	}
	h.ok("PUT", "/v1/txn", `[{"Node":{"Verb":"delete","Node":{"Node":"a\u0000b"}}},{"Check":{"Verb":"delete","Check":{"Node":"a\u0000b","CheckID":"c"}}}]`)
	h.get("/v1/health/node/a", &after)
	if len(before) != 1 || !reflect.DeepEqual(before, after) {
		t.Errorf("there were %+v, and there are %+v", before, after)
	}
}
