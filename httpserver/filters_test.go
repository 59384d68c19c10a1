package httpserver

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func filtered(path, expression string) string {
	sep := "?"
	if strings.Contains(path, "?") {
		sep = "&"
	}
	return path + sep + "filter=" + url.QueryEscape(expression)
}

// stocked is a door with two nodes, two services and a local service.
func stocked(t testing.TB) *harness {
	h := open(t)
	h.register(`{"Node":"a","Address":"10.0.0.1","NodeMeta":{"zone":"x"},"Service":{"ID":"w1","Service":"web","Port":80,"Tags":["v1"],"Meta":{"env":"prod"}},
		"Checks":[{"CheckID":"wc","ServiceID":"w1","Status":"passing"},{"CheckID":"nc","Status":"passing"}]}`)
	h.register(`{"Node":"b","Address":"10.0.0.2","NodeMeta":{"zone":"y"},"Service":{"ID":"w2","Service":"web","Port":81,"Tags":["v2","x y"]},
		"Check":{"CheckID":"wc2","ServiceID":"w2","Status":"critical"}}`)
	h.register(`{"Node":"b","Address":"10.0.0.2","NodeMeta":{"zone":"y"},"Service":{"ID":"d1","Service":"db","Port":5432}}`)
	h.ok(http.MethodPut, "/v1/agent/service/register", `{"Name":"local","Port":1,"Meta":{"k":"v"},"Check":{"TTL":"1m"}}`)
	h.ok(http.MethodPut, "/v1/agent/check/register", `{"Name":"disk","TTL":"1m","Status":"passing"}`)
	return h
}

// Every endpoint that lists documents selects among them. What is wanted is the ids
// of what is left, and of nothing else.
func TestFilter(t *testing.T) {
	h := stocked(t)
	ids := []string{`"w1"`, `"w2"`, `"d1"`, `"wc"`, `"wc2"`, `"nc"`, `"local"`, `"disk"`}
	for _, test := range []struct{ path, expression, want string }{
		{"/v1/catalog/service/web", `ServiceMeta.env == prod`, `"w1"`},
		{"/v1/catalog/service/web", `"v2" in ServiceTags and ServicePort != 80`, `"w2"`},
		{"/v1/catalog/service/web", `ServiceConnect.Native != true and ServiceKind == ""`, `"w1" "w2"`},
		{"/v1/catalog/service/web?tag=v1", `ServicePort == 81`, ``},
		{"/v1/catalog/node/b", `Service == db`, `"d1"`},
		{"/v1/catalog/node-services/b", `Port == 81`, `"w2"`},
		{"/v1/health/service/web", `Service.Port == 80`, `"w1" "wc" "nc"`},
		{"/v1/health/service/web", `"x y" in Service.Tags`, `"w2" "wc2"`},
		{"/v1/health/service/web", `Node.Meta["zone"] == y`, `"w2" "wc2"`},
		{"/v1/health/service/web", `Checks.Status == critical`, `"w2" "wc2"`},
		{"/v1/health/service/web", `Service.Meta is empty`, `"w2" "wc2"`},
		{"/v1/health/service/web?passing", `Service.Port matches ".*" or Node.Node == a`, "500"},
		{"/v1/health/service/web?passing", `Node.Node != x`, `"w1" "wc" "nc"`},
		{"/v1/health/node/a", `ServiceID is empty`, `"nc"`},
		{"/v1/health/checks/web", `Status == "critical"`, `"w2" "wc2"`},
		{"/v1/health/state/any", `Node == a and ServiceName == web`, `"w1" "wc"`},
		{"/v1/health/state/passing", `ServiceID == w2`, ``},
		{"/v1/agent/services", `Meta.k == v`, `"local"`},
		{"/v1/agent/services", `Port == 2`, ``},
		{"/v1/agent/checks", `CheckID == disk`, `"disk"`},
		{"/v1/agent/checks", `Status != passing`, `"local"`},
		{"/v1/agent/members", `Status == 7`, ``},
	} {
		t.Run(test.path+" "+test.expression, func(t *testing.T) {
			a := h.do(http.MethodGet, filtered(test.path, test.expression), "")
			if test.want == "500" {
				if a.status != 500 || !strings.HasPrefix(a.body, "Failed to create boolean expression evaluator: Service.Port: ") {
					t.Errorf("got %d %s", a.status, a.body)
				}
				return
			}
			if a.status != 200 {
				t.Fatalf("got %d %s", a.status, a.body)
			}
			for _, id := range ids {
				if has := strings.Contains(a.body, id); has != containsWord(test.want, id) {
					t.Errorf("%s is there: %v; want %s alone, got %s", id, has, test.want, a.body)
				}
			}
		})
	}
}

func containsWord(words, word string) bool {
	for w := range strings.FieldsSeq(words) {
		if w == word {
			return true
		}
	}
	return false
}

func TestFilterNodesAndServices(t *testing.T) {
	h := stocked(t)
	var nodes []struct{ Node string }
	h.get(filtered("/v1/catalog/nodes", `Meta.zone == x`), &nodes)
	if len(nodes) != 1 || nodes[0].Node != "a" {
		t.Errorf("nodes: %v", nodes)
	}
	// A service has the tags of the instances that are selected.
	var services map[string][]string
	h.get(filtered("/v1/catalog/services", `NodeMeta["zone"] == x`), &services)
	if len(services) != 1 || len(services["web"]) != 1 || services["web"][0] != "v1" {
		t.Errorf("services: %v", services)
	}
}

// A filter that cannot be is refused by each endpoint, whether it has anything to
// select from or not.
func TestFilterRefused(t *testing.T) {
	h := open(t)
	for _, path := range []string{
		"/v1/catalog/nodes", "/v1/catalog/services", "/v1/catalog/service/none", "/v1/catalog/node/none", "/v1/catalog/node-services/none",
		"/v1/health/service/none", "/v1/health/node/none", "/v1/health/checks/none", "/v1/health/state/any",
		"/v1/agent/services", "/v1/agent/checks", "/v1/agent/members",
	} {
		for expression, says := range map[string]string{
			"bogus":      "no match found",
			"Bogus == 1": `Selector "Bogus" is not valid`,
		} {
			a := h.do(http.MethodGet, filtered(path, expression), "")
			if a.status != 500 || !strings.HasPrefix(a.body, "Failed to create boolean expression evaluator: ") || !strings.Contains(a.body, says) {
				t.Errorf("%s with %s: got %d %s", path, expression, a.status, a.body)
			}
		}
	}
}

// A query that is filtered has the index that it has without, and wakes as without;
// one over the services whose filter looks at nodes wakes for those, too.
func TestFilterBlocking(t *testing.T) {
	h := stocked(t)
	var any []any
	plain := h.get("/v1/health/service/web", &any)
	path := filtered("/v1/health/service/web", `Service.Port == 1`)
	if i := h.get(path, &any); i != plain || len(any) != 0 {
		t.Fatalf("index %d and %v, want %d and nothing", i, any, plain)
	}
	got := h.begin(path + "&index=" + h.do(http.MethodGet, path, "").header.Get("X-Consul-Index"))
	h.register(`{"Node":"a","Address":"10.0.0.1","Service":{"ID":"w1","Service":"web","Port":1}}`)
	if a := receive(t, got); a.index() <= plain || !strings.Contains(a.body, `"w1"`) {
		t.Errorf("woke with %d %s", a.index(), a.body)
	}

	path = filtered("/v1/catalog/services", `NodeMeta.zone == z`)
	got = h.begin(path + "&index=" + h.do(http.MethodGet, path, "").header.Get("X-Consul-Index"))
	h.register(`{"Node":"b","Address":"10.0.0.2","NodeMeta":{"zone":"z"}}`)
	if a := receive(t, got); !strings.Contains(a.body, `"db"`) {
		t.Errorf("woke with %s", a.body)
	}
}

// What one client asks for is not kept as what another asks for.
func TestSelectionKeys(t *testing.T) {
	seen := map[string]string{}
	for _, query := range []string{
		"", "passing=x", "tag=a", "tag=a&tag=b", "tag=a%22+tag+%22b", "node-meta=k:v", "tag=a%22+meta+%22k%22%22v", "tag=a&node-meta=k:v",
		"filter=a", "tag=a&filter=b", "tag=a%22+filter+%22b", "tag=a%00fb", "node-meta=kv:",
	} {
		var p params
		if err := p.parse(query); err != nil {
			t.Fatal(err)
		}
		sel := parseSelection(&p)
		sel.passing = p.has("passing")
		key := sel.key("health")
		if other, ok := seen[key]; ok {
			t.Errorf("%q and %q have one key, %q", query, other, key)
		}
		seen[key] = query
	}
}
