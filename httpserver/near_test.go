package httpserver

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"herald/httpserver/api"
)

var nodeNames = regexp.MustCompile(`"Node":"(\w+)"`)

// nodesIn are the nodes of an answer, in order and each once.
func nodesIn(body string) string {
	var order []string
	seen := map[string]bool{}
	for _, m := range nodeNames.FindAllStringSubmatch(body, -1) {
		if !seen[m[1]] {
			seen[m[1]] = true
			order = append(order, m[1])
		}
	}
	return strings.Join(order, " ")
}

func TestNear(t *testing.T) {
	h := open(t) // n1 is the door's own node
	for i, n := range []string{"a", "b", "n1", "z"} {
		h.register(fmt.Sprintf(`{"Node":%q,"Address":"10.0.0.%d","Service":{"Service":"web","Port":80},"Check":{"CheckID":"c","ServiceID":"web","Status":"passing"}}`, n, i))
	}
	for _, path := range []string{"/v1/catalog/nodes", "/v1/catalog/service/web", "/v1/health/service/web?passing", "/v1/health/checks/web", "/v1/health/state/passing"} {
		sep := "?"
		if strings.Contains(path, "?") {
			sep = "&"
		}
		for query, want := range map[string]string{"": "a b n1 z", "near=_agent": "n1 a b z", "near=z": "z a b n1", "near=Z": "z a b n1", "near=none": "a b n1 z"} {
			if got := nodesIn(h.ok("GET", path+sep+query, "").body); got != want {
				t.Errorf("%s%s%s: %s, want %s", path, sep, query, got, want)
			}
		}
		// Whoever asked an agent is near that one.
		req, err := http.NewRequest(http.MethodGet, h.base+path+sep+"near=_agent", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(api.HeaderForwarded, "b")
		if got := nodesIn(h.sendRequest(req).body); got != "b a n1 z" {
			t.Errorf("%s: through an agent %s", path, got)
		}
	}
}

func TestNearest(t *testing.T) {
	for list, want := range map[string]string{"": "", "x": "x", "axbx": "xxab", "xxab": "xxab", "abXx": "Xxab", "ab": "ab"} {
		got := nearest([]byte(list), "x", func(b *byte) string { return string(*b) })
		if string(got) != want {
			t.Errorf("%q: %q, want %q", list, got, want)
		}
	}
}
