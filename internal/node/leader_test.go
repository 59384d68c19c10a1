package node_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"herald/httpserver"
	"herald/internal/node"
)

// From the moment at which a server names a leader, its node, that node's check and the
// servers' service are there to be read: clients go on to look for them at once.
func TestALeaderIsNamedOnceTheServerIsInTheCatalog(t *testing.T) {
	for range 3 {
		door := httpserver.New()
		door.Config().(*httpserver.Config).Address = "127.0.0.1:0"
		cfg := config(t, t.TempDir())
		cfg.Doors = []node.NamedDoor{{Name: "http", Door: door}}
		n, stop := running(t, cfg)
		base := "http://" + n.Addresses()["http"][0].Address
		client := &http.Client{Transport: &http.Transport{}}
		get := func(path string) string {
			res, err := client.Get(base + path)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			b, err := io.ReadAll(res.Body)
			if err != nil || res.StatusCode != http.StatusOK {
				t.Fatalf("%s: %d %s %v", path, res.StatusCode, b, err)
			}
			return string(b)
		}
		deadline := time.Now().Add(20 * time.Second)
		for get("/v1/status/leader") == `""` {
			if time.Now().After(deadline) {
				t.Fatal("no leader in 20 s")
			}
		}
		if got := get("/v1/catalog/node/n1"); !strings.Contains(got, `"Node":"n1"`) || !strings.Contains(got, `"Service":"consul"`) {
			t.Errorf("the node is %s", got)
		}
		if got := get("/v1/health/node/n1"); !strings.Contains(got, `"CheckID":"serfHealth"`) || !strings.Contains(got, `"Output":"Agent alive and reachable"`) {
			t.Errorf("its checks are %s", got)
		}
		if got := get("/v1/health/service/consul?passing"); !strings.Contains(got, `"Node":"n1"`) {
			t.Errorf("the service is %s", got)
		}
		var metrics struct{ Gauges []struct{ Name string } }
		if err := json.Unmarshal([]byte(get("/v1/agent/metrics")), &metrics); err != nil || len(metrics.Gauges) == 0 {
			t.Errorf("metrics: %v, %d gauges", err, len(metrics.Gauges))
		}
		client.CloseIdleConnections()
		if err := stop(); err != nil {
			t.Error(err)
		}
	}
}
