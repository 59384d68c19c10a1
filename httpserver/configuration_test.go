package httpserver

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

func TestConfig(t *testing.T) {
	h := open(t)
	h.steps([]step{
		{"GET", "/v1/config/app", "", 404, `No keys below "app/"`},
		{"PUT", "/v1/config/app?format=yaml", "db:\n  host: a\n  port: 5432\nname: \"on\"\n", 200, "true"},
		{"PUT", "/v1/kv/app2", "beside it", 200, "true"},
		{"GET", "/v1/kv/app/db/port?raw", "", 200, "5432"},
		{"GET", "/v1/config/app/", "", 200, "{\n  \"db\": {\n    \"host\": \"a\",\n    \"port\": \"5432\"\n  },\n  \"name\": \"on\"\n}\n"},
		{"GET", "/v1/config/app?format=yaml&typed", "", 200, "db:\n  host: a\n  port: 5432\nname: \"on\"\n"},
		{"GET", "/v1/config/app?format=toml&typed", "", 200, "name = 'on'\n\n[db]\nhost = 'a'\nport = 5432\n"},
		{"GET", "/v1/config/app?format=env", "", 200, "db__host=a\ndb__port=5432\nname=on\n"},
		{"GET", "/v1/config/app/db?format=properties", "", 200, "host=a\nport=5432\n"},
		{"GET", "/v1/config/app?format=xml", "", 400, `Unknown format "xml"…`},
		{"PUT", "/v1/config/app", `{"a":[1]}`, 400, `Request decode failed: invalid document: "a" is a list…`},
		{"PUT", "/v1/config/app?lease=77", `{"a":"1"}`, 404, "lease not found…"},
		{"GET", "/v1/kv/app/a", "", 404, ""},
	})
	a := h.ok("GET", "/v1/config/app", "")
	if b := h.doWith("GET", "/v1/config/app", "", "If-None-Match", a.header.Get("ETag")); b.status != 304 || b.body != "" {
		t.Errorf("what the client has is answered with %d %q", b.status, b.body)
	}
	// What differs in nothing moves no index, and a change wakes who waits.
	h.ok("PUT", "/v1/config/app", a.body)
	if again := h.ok("GET", "/v1/config/app", ""); again.index() != a.index() {
		t.Errorf("the same document moved the index from %d to %d", a.index(), again.index())
	}
	got := h.begin("/v1/config/app?format=env&wait=10s&index=" + strconv.FormatUint(a.index(), 10))
	h.ok("PUT", "/v1/config/app?prune&format=properties", "db.host=b\n")
	if b := receive(t, got); b.body != "db__host=b\n" || b.index() <= a.index() {
		t.Errorf("after a document with ?prune: index %d, %q", b.index(), b.body)
	}
	h.steps([]step{
		{"GET", "/v1/kv/?keys", "", 200, `["app/db/host","app2"]`},
		// A folder's mark is no key of the document; what is a value and a prefix is none either.
		{"PUT", "/v1/kv/app/db/", "", 200, "true"},
		{"GET", "/v1/config/app?format=env", "", 200, "db__host=b\n"},
		{"PUT", "/v1/kv/app/db", "x", 200, "true"},
		{"GET", "/v1/config/app", "", 409, `The keys below "app/" cannot be one document: invalid document: key "db" is a value, and other keys are below it: "db/host"`},
		{"PUT", "/v1/config/app?prune", "{}", 200, "true"},
		{"GET", "/v1/kv/?keys", "", 200, `["app2"]`},
		{"PUT", "/v1/config/?prune", `{"b":{"c":"1"}}`, 200, "true"},
		{"GET", "/v1/kv/?keys", "", 200, `["b/c"]`},
		{"GET", "/v1/config?format=env", "", 200, "b__c=1\n"},
	})
}

// A document is bounded as the keys are that it is made of.
func TestConfigLimits(t *testing.T) {
	h := open(t)
	var many strings.Builder
	for i := range configKeys + 1 {
		fmt.Fprintf(&many, "k%d=1\n", i)
	}
	h.steps([]step{
		{"PUT", "/v1/config/app?format=env", many.String(), 413, "The document has 4097 keys…"},
		{"PUT", "/v1/config/app?format=env", "k=" + strings.Repeat("x", 512<<10+1), 413, `Value of key "k"(524289 bytes) too large…`},
		{"PUT", "/v1/config/app?format=env", strings.Repeat("x", 16<<10) + "=1", 413, "Key(16388 bytes) too large…"},
		{"PUT", "/v1/config/app?format=env", many.String()[:strings.LastIndex(many.String(), "k")], 200, "true"},
	})
}
