package httpserver

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"herald/httpserver/api"
)

func (h *harness) createQuery(body string) string {
	h.t.Helper()
	var id api.PreparedQueryID
	if err := json.Unmarshal([]byte(h.ok("POST", "/v1/query", body).body), &id); err != nil {
		h.t.Fatal(err)
	}
	return id.ID
}

func (h *harness) execute(path string) (api.PreparedQueryExecution, string) {
	h.t.Helper()
	var out api.PreparedQueryExecution
	h.get(path, &out)
	var ids []string
	for _, n := range out.Nodes {
		ids = append(ids, n.Node.Node)
	}
	return out, strings.Join(ids, " ")
}

func TestQueryRefusals(t *testing.T) {
	h := open(t)
	const unknown = "0f9a8c1e-6b6e-4c0e-9d51-0000000000ff"
	h.steps([]step{
		{"POST", "/v1/query", `{"Name":"q","Service":{}}`, 500, "Invalid prepared query: Must provide a Service name to query"},
		{"POST", "/v1/query", `{"Service":{"Service":"web"}}`, 500, "Invalid prepared query: Must have a Name…"},
		{"POST", "/v1/query", `{"Name":"q","Service":{"Service":"web"},"Session":"s"}`, 500, "invalid session \"s\"…"},
		{"POST", "/v1/query", `{"ID":"` + unknown + `","Name":"q","Service":{"Service":"web"}}`, 500, "ID must be empty…"},
		{"POST", "/v1/query", `{"Name":"q","Bogus":1}`, 400, "Request decode failed…"},
		{"POST", "/v1/query", `{"Name":"q","Service":{"Service":"` + strings.Repeat("s", 64<<10) + `"}}`, 413, "*"},
		{"PUT", "/v1/query", "{}", 405, "method PUT not allowed"},
		{"PUT", "/v1/query/" + unknown, `{"Name":"q","Service":{"Service":"web"}}`, 500, "Cannot modify non-existent prepared query…"},
		{"PUT", "/v1/query/none", `{"Name":"q","Service":{"Service":"web"}}`, 500, "*"},
		{"DELETE", "/v1/query/" + unknown, "", 500, "Cannot modify non-existent prepared query…"},
		{"DELETE", "/v1/query/none", "", 500, "*"},
		{"GET", "/v1/query/none", "", 500, "*"},
		{"GET", "/v1/query/" + unknown, "", 404, "Query not found"},
		{"GET", "/v1/query/none/execute", "", 404, "Query not found"},
		{"GET", "/v1/query/none/explain", "", 404, "Query not found"},
		{"GET", "/v1/query/none/execute?limit=few", "", 400, "Invalid limit…"},
		{"GET", "/v1/query/none/execute?connect=true", "", 500, "Connect must be enabled…"},
		{"GET", "/v1/query?stale&consistent", "", 400, "Cannot specify ?stale with ?consistent, conflicting semantics."},
		{"GET", "/v1/query", "", 200, "[]"}, // none of these was kept
	})
	id := h.createQuery(`{"Name":"q","Service":{"Service":"web"}}`)
	h.steps([]step{
		{"POST", "/v1/query", `{"Name":"Q","Service":{"Service":"web"}}`, 500, "name \"Q\" aliases an existing query name"},
		{"PUT", "/v1/query/" + id, `{"Name":"q","Service":{}}`, 500, "Invalid prepared query: Must provide a Service name to query"},
	})
}

func TestQueryLife(t *testing.T) {
	h := open(t)
	var list []api.PreparedQuery
	before := h.get("/v1/query", &list)
	waiting := h.begin(fmt.Sprintf("/v1/query?index=%d&wait=1m", before))
	h.ok("PUT", "/v1/event/fire/e", "") // another part of the same space
	id := h.createQuery(`{"Name":"q","Service":{"Service":"web","OnlyPassing":true},"DNS":{"TTL":"10s"}}`)
	if a := receive(t, waiting); !strings.Contains(a.body, id) || a.index() <= before {
		t.Errorf("who waits for queries gets %d %s", a.index(), a.body)
	}
	first := h.get("/v1/query/"+id, &list)
	if len(list) != 1 || list[0].ID != id || list[0].Name != "q" || !list[0].Service.OnlyPassing || list[0].DNS.TTL != "10s" || list[0].ModifyIndex != first {
		t.Errorf("got %+v at %d", list, first)
	}
	// What a client reads can be written back, and changes nothing.
	b, err := json.Marshal(list[0])
	if err != nil {
		t.Fatal(err)
	}
	h.ok("PUT", "/v1/query/"+id, string(b))
	if again := h.get("/v1/query/"+strings.ToUpper(id), &list); again != first {
		t.Errorf("the index of a query that was written as it is went from %d to %d", first, again)
	}
	if a := h.ok("PUT", "/v1/query/"+id, `{"Name":"p","Service":{"Service":"web"}}`); a.body != "" {
		t.Errorf("an update answers %q", a.body)
	}
	if a := h.do("GET", "/v1/query/q/execute", ""); a.status != 404 {
		t.Errorf("the old name: %d %s", a.status, a.body)
	}
	h.ok("GET", "/v1/query/p/execute", "")
	if a := h.ok("DELETE", "/v1/query/"+id, ""); a.body != "" {
		t.Errorf("a deletion answers %q", a.body)
	}
	h.steps([]step{{"GET", "/v1/query/" + id, "", 404, "Query not found"}, {"GET", "/v1/query", "", 200, "[]"}})
}

func TestQueryGoesWithItsSession(t *testing.T) {
	h := open(t)
	h.register(`{"Node":"n1","Address":"10.0.0.1"}`)
	var session struct{ ID string }
	if err := json.Unmarshal([]byte(h.ok("PUT", "/v1/session/create", `{"NodeChecks":[],"TTL":"10m"}`).body), &session); err != nil {
		t.Fatal(err)
	}
	body := fmt.Sprintf(`{"Session":%q,"Service":{"Service":"web"}}`, strings.ToUpper(session.ID))
	id := h.createQuery(body)
	h.ok("PUT", "/v1/query/"+id, body)
	h.ok("GET", "/v1/query/"+id+"/execute", "")
	h.ok("PUT", "/v1/session/destroy/"+session.ID, "")
	h.steps([]step{
		{"GET", "/v1/query/" + id, "", 404, "Query not found"},
		{"POST", "/v1/query", body, 500, "invalid session…"},
	})
}

func TestQueryExecution(t *testing.T) {
	h := open(t)
	for i := 1; i <= 3; i++ {
		h.register(fmt.Sprintf(`{"Node":"n%d","Address":"10.0.0.%d","Service":{"Service":"web","Tags":["v%d"]}}`, i, i, i))
	}
	h.register(`{"Node":"n3","Address":"10.0.0.3","Check":{"CheckID":"c","Name":"c","ServiceID":"web","Status":"warning"}}`)
	h.createQuery(`{"Name":"main","Service":{"Service":"web","Near":"_agent"},"DNS":{"TTL":"7s"}}`)
	h.createQuery(`{"Name":"tag-","Template":{"Type":"name_prefix_match","Regexp":"^tag-(.*)$"},"Service":{"Service":"web","Tags":["${match(1)}"]}}`)
	out, ids := h.execute("/v1/query/main/execute")
	if !strings.HasPrefix(ids, "n1 ") || len(out.Nodes) != 3 || out.Service != "web" || out.DNS.TTL != "7s" ||
		out.Datacenter != "dc1" || !out.KnownLeader || out.Index == 0 || len(out.Nodes[0].Service.Tags) != 1 {
		t.Errorf("the own node comes first: %s, %+v", ids, out)
	}
	for path, want := range map[string]string{
		"/v1/query/main/execute?limit=1":               "n1",
		"/v1/query/main/execute?limit=1&near=n2":       "n2",
		"/v1/query/MAIN/execute?limit=1&near=N3":       "n3",
		"/v1/query/tag-v2/execute":                     "n2",
		"/v1/query/tag-none/execute":                   "",
		"/v1/query/tag-v3/execute?consistent":          "n3",
		"/v1/query/main/execute?limit=1&near=n2&stale": "n2",
	} {
		if _, ids := h.execute(path); ids != want {
			t.Errorf("%s: %q, want %q", path, ids, want)
		}
	}
	a := h.doWith("GET", "/v1/query/main/execute?limit=1", "", api.HeaderForwarded, "n3")
	if !strings.Contains(a.body, `"Node":"n3"`) {
		t.Errorf("near the agent that passed it on: %s", a.body)
	}
	// Without somebody near, everyone is first now and then.
	h.createQuery(`{"Name":"any","Service":{"Service":"web"}}`)
	first := map[string]bool{}
	until(t, "each instance was first", func() bool {
		_, ids := h.execute("/v1/query/any/execute?limit=1&near=_ip")
		first[ids] = true
		return len(first) == 3
	})
	var why api.PreparedQueryExplanation
	h.get("/v1/query/tag-v2/explain", &why)
	if why.Query.Service.Tags[0] != "v2" || why.Query.Name != "tag-" {
		t.Errorf("explained as %+v", why.Query)
	}
	if a := h.do("GET", "/v1/query/"+why.Query.ID+"/execute", ""); a.status != 500 || !strings.Contains(a.body, "template") {
		t.Errorf("a template by its id: %d %s", a.status, a.body)
	}
}
