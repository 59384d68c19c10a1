package httpserver

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"herald/registry/plugin"
)

func TestBlockedQueriesAreBounded(t *testing.T) {
	server := open(t, func(c *Config, _ *plugin.Host) { c.MaxBlockedQueries = 1 })
	server.ok("PUT", "/v1/kv/k", "v")
	at := server.ok("GET", "/v1/kv/k", "").index()
	services := server.ok("GET", "/v1/catalog/services", "").index()
	ask := fmt.Sprintf("/v1/kv/k?index=%d&wait=10m", at)
	first := server.begin(ask)
	for _, path := range []string{ask, fmt.Sprintf("/v1/catalog/services?index=%d&wait=10m", services)} {
		a := server.do("GET", path, "")
		if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" || !strings.Contains(a.body, "max_blocked_queries") {
			t.Errorf("%s: %d %s %v", path, a.status, a.body, a.header)
		}
	}
	server.ok("GET", "/v1/kv/k", "") // what does not wait is answered
	server.ok("PUT", "/v1/kv/k", "w")
	if a := receive(t, first); a.status != 200 {
		t.Errorf("the first: %d %s", a.status, a.body)
	}
	until(t, "the first no longer counts", func() bool { return server.door.surface.metrics.blocked.Load() == 0 })
	second := server.begin(fmt.Sprintf("/v1/kv/k?index=%d&wait=10m", server.ok("GET", "/v1/kv/k", "").index()))
	server.ok("PUT", "/v1/kv/k", "x")
	if a := receive(t, second); a.status != 200 {
		t.Errorf("after the first: %d %s", a.status, a.body)
	}
}
