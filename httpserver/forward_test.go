package httpserver

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"herald/httpserver/api"
	"herald/registry/catalog"
	"herald/registry/plugin"
)

// agentOf opens the door of an agent's process, whose servers are at these addresses.
func agentOf(t *testing.T, servers ...string) *harness {
	return open(t, func(_ *Config, host *plugin.Host) {
		host.Node, host.Server, host.Store, host.Cluster, host.Catalog = "edge", false, nil, nil, catalog.New()
		host.Servers = servers
	})
}

// unused is an address that nobody listens on.
func unused(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

func TestAgentForwards(t *testing.T) {
	server := open(t)
	dead := unused(t)
	agent := agentOf(t, dead, server.base)
	big := strings.Repeat("x", 300<<10)
	agent.steps([]step{
		{"PUT", "/v1/kv/k?flags=7", big, 200, "true"}, // the body reaches the second server whole
		{"GET", "/v1/kv/k?raw", "", 200, big},
		{"GET", "/v1/kv/none", "", 404, ""},
		{"PUT", "/v1/kv/odd%2F%2Fkey%20x", "v", 200, "true"},
		{"GET", "/v1/kv/odd?keys", "", 200, `["odd//key x"]`},
		{"PUT", "/v1/kv/k?cas=x", "", 500, "Invalid value…"},
		{"GET", "/v1/nothing", "", 404, "Invalid URL path…"},
		{"GET", "/v1/status/leader", "", 200, `""`},
		{"GET", "/v1/catalog/nodes", "", 200, "[]"},
		{"GET", "/healthz", "", 200, "ok\n"},
		{"GET", "/metrics", "", 404, "*"},
	})
	if a := agent.do("GET", "/v1/kv/k?keys", ""); a.index() == 0 || a.header.Get(api.HeaderKnownLeader) != "true" {
		t.Errorf("headers were lost: %v", a.header)
	}
	// What is local stays here.
	agent.ok("PUT", "/v1/agent/service/register", `{"Name":"web"}`)
	var self api.AgentSelf
	if agent.get("/v1/agent/self", &self); self.Config.NodeName != "edge" || self.Config.Server || self.Member.Tags["role"] != "node" {
		t.Errorf("self is %+v", self.Config)
	}
	var members []api.AgentMember
	if agent.get("/v1/agent/members", &members); len(members) != 1 || members[0].Name != "edge" {
		t.Errorf("members are %+v", members)
	}
	if got := server.ok("GET", "/v1/agent/services", "").body; got != "{}" {
		t.Errorf("the server got the agent's registration: %s", got)
	}
}

func TestAgentForwardsBlockingQueries(t *testing.T) {
	server := open(t)
	agent := agentOf(t, server.base)
	server.ok("PUT", "/v1/kv/k", "1")
	at := server.ok("GET", "/v1/kv/k", "").index()
	ask := func() <-chan answered {
		before := server.door.surface.metrics.blocked.Load()
		got := make(chan answered, 1)
		go func() { got <- agent.send("GET", fmt.Sprintf("/v1/kv/k?wait=5m&index=%d", at), "") }()
		until(t, "the server blocks", func() bool { return server.door.surface.metrics.blocked.Load() > before })
		return got
	}
	got := ask()
	server.ok("PUT", "/v1/kv/k", "2")
	if a := receive(t, got); a.status != 200 || a.index() <= at {
		t.Errorf("got %d with index %d", a.status, a.index())
	}
	at = server.ok("GET", "/v1/kv/k", "").index()
	got = ask()
	if err := agent.stop(); err != nil { // does not wait for the server
		t.Fatal(err)
	}
	if a := receive(t, got); a.status != http.StatusServiceUnavailable {
		t.Errorf("at the agent's end: %d %s", a.status, a.body)
	}
	until(t, "the server's query ends too", func() bool { return server.door.surface.metrics.blocked.Load() == 0 })
}

func TestNoServerCanBeReached(t *testing.T) {
	one, two := unused(t), unused(t)
	agent := agentOf(t, one, two)
	a := agent.do("GET", "/v1/kv/k", "")
	if a.status != http.StatusBadGateway || !strings.Contains(a.body, one) || !strings.Contains(a.body, two) {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// Once a request was sent it may have taken effect; it must not go to another server.
func TestSentRequestsAreNotRepeated(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan string, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				close(seen)
				return
			}
			line, _ := bufio.NewReader(c).ReadString('\n')
			seen <- line
			c.Close()
		}
	}()
	server := open(t)
	agent := agentOf(t, "http://"+l.Addr().String(), server.base)
	a := agent.do("PUT", "/v1/kv/k", "v")
	l.Close()
	var lines []string
	for line := range seen {
		lines = append(lines, line)
	}
	if a.status != http.StatusBadGateway || len(lines) != 1 || !strings.Contains(a.body, "may have taken effect") {
		t.Errorf("%d %s after %q", a.status, a.body, lines)
	}
	if a := server.do("GET", "/v1/kv/k", ""); a.status != 404 {
		t.Error("the write was repeated at the second server")
	}
}

func TestAgentsDoNotForwardInCircles(t *testing.T) {
	first := agentOf(t, unused(t))
	second := agentOf(t, first.base)
	if a := second.do("GET", "/v1/kv/k", ""); a.status != http.StatusLoopDetected || !strings.Contains(a.body, `"edge"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestForwarderNeedsServers(t *testing.T) {
	for _, servers := range [][]string{nil, {"10.0.0.1:8500"}, {"http://"}} {
		d := New()
		d.cfg.Address = "127.0.0.1:0"
		err := d.Open(context.Background(), &plugin.Host{Node: "edge", Agent: newFakeAgent(), Servers: servers, DrainTimeout: time.Second})
		if err == nil {
			t.Errorf("opened with servers %q", servers)
		}
	}
}

// frozen is a server whose kernel takes connections and requests, and which does
// nothing about them.
func frozen(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return "http://" + l.Addr().String()
}

func TestFrozenServer(t *testing.T) {
	server := open(t)
	server.ok("PUT", "/v1/kv/k", "v")
	stuck := frozen(t)
	begin := func() *harness {
		agent := agentOf(t, stuck, server.base)
		agent.door.surface.forward.patience = 500 * time.Millisecond
		return agent
	}

	agent := begin()
	if a := agent.do("GET", "/v1/kv/k?raw", ""); a.status != 200 || a.body != "v" {
		t.Errorf("a read: %d %s", a.status, a.body)
	}
	if at := agent.door.surface.forward.preferred.Load(); at != 1 {
		t.Errorf("the next request goes to server %d first", at)
	}

	agent = begin()
	for _, method := range []string{"PUT", "DELETE"} {
		agent.door.surface.forward.preferred.Store(0)
		a := agent.do(method, "/v1/kv/k", "new")
		if a.status != 504 || !strings.Contains(a.body, stuck) || a.header.Get(api.HeaderError) != "timeout" {
			t.Errorf("%s: %d %s %v", method, a.status, a.body, a.header)
		}
	}
	agent.door.surface.forward.preferred.Store(0)
	if a := agent.do("PUT", "/v1/kv/empty", ""); a.status != 504 {
		t.Errorf("a write without a body: %d %s", a.status, a.body)
	}
	if got := server.ok("GET", "/v1/kv/?recurse&keys", "").body; got != `["k"]` {
		t.Errorf("a write was repeated at the second server: it has %s", got)
	}
	agent.ok("PUT", "/v1/kv/k", "next") // the frozen one is not asked again

	alone := agentOf(t, stuck)
	alone.door.surface.forward.patience = 50 * time.Millisecond
	if a := alone.do("GET", "/v1/kv/k", ""); a.status != 504 || !strings.Contains(a.body, stuck) {
		t.Errorf("no other server: %d %s", a.status, a.body)
	}
}

// A server's time is what it takes itself: not what it was asked to wait, nor what
// the client takes to send.
func TestPatienceIsForTheServerAlone(t *testing.T) {
	server := open(t)
	server.ok("PUT", "/v1/kv/k", "1")
	at := server.ok("GET", "/v1/kv/k", "").index()
	agent := agentOf(t, server.base)
	agent.door.surface.forward.patience = 500 * time.Millisecond

	if a := agent.ok("GET", fmt.Sprintf("/v1/kv/k?wait=1s&index=%d", at), ""); a.index() != at {
		t.Errorf("a blocking query: index %d, want %d", a.index(), at)
	}

	body, w := io.Pipe()
	pause := time.NewTicker(250 * time.Millisecond)
	defer pause.Stop()
	go func() {
		for range 4 {
			<-pause.C
			_, _ = w.Write([]byte("x"))
		}
		w.Close()
	}()
	req, err := http.NewRequest("PUT", agent.base+"/v1/kv/slow", body)
	if err != nil {
		t.Fatal(err)
	}
	if a := agent.sendRequest(req); a.err != nil || a.status != 200 {
		t.Errorf("a slow client: %d %s (%v)", a.status, a.body, a.err)
	}
	if got := server.ok("GET", "/v1/kv/slow?raw", "").body; got != "xxxx" {
		t.Errorf("the server has %q", got)
	}
}

func TestWaitOf(t *testing.T) {
	for _, c := range []struct {
		method, query string
		want          time.Duration
	}{
		{"GET", "", 0},
		{"GET", "wait=1m", 0},
		{"GET", "index=0&wait=1m", 0},
		{"GET", "index=7&wait=16s", 17 * time.Second},
		{"GET", "index=7&wait=24h", maxWait + maxWait/waitJitter},
		{"GET", "index=7", defaultWait + defaultWait/waitJitter},
		{"GET", "index=x&wait=1m", 0},
		{"GET", "%zz", 0},
		{"PUT", "index=7&wait=16s", 0},
	} {
		r, err := http.NewRequest(c.method, "http://a/v1/kv/k", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.URL.RawQuery = c.query
		if got := waitOf(r); got != c.want {
			t.Errorf("%s ?%s: %v, want %v", c.method, c.query, got, c.want)
		}
	}
}

func TestForwardedQueriesAreBounded(t *testing.T) {
	server := open(t)
	agent := open(t, func(c *Config, host *plugin.Host) {
		c.MaxBlockedQueries = 1
		host.Node, host.Server, host.Store, host.Cluster, host.Catalog = "edge", false, nil, nil, catalog.New()
		host.Servers = []string{server.base}
	})
	server.ok("PUT", "/v1/kv/k", "v")
	ask := fmt.Sprintf("/v1/kv/k?index=%d&wait=10m", server.ok("GET", "/v1/kv/k", "").index())
	first := agent.begin(ask)
	if a := agent.do("GET", ask, ""); a.status != http.StatusTooManyRequests {
		t.Errorf("%d %s", a.status, a.body)
	}
	server.ok("PUT", "/v1/kv/k", "w")
	if a := receive(t, first); a.status != 200 {
		t.Errorf("the first: %d %s", a.status, a.body)
	}
}
