package httpserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"herald/httpserver/api"
	"herald/registry"
	"herald/registry/plugin"
	"herald/registry/storetest"
)

// fakeOperator notes what it is asked to do, saves and restores a store in memory, and
// fails as it is told.
type fakeOperator struct {
	store *storetest.Memory
	// tear ends a snapshot after so many bytes, 0 does not.
	tear int

	mu    sync.Mutex
	calls []string
	fails error
}

var _ registry.Operator = (*fakeOperator)(nil)

func (o *fakeOperator) note(ctx context.Context, format string, args ...any) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if c := registry.CallerFrom(ctx); c.Reason != registry.ReasonOperator || !strings.HasPrefix(c.Identity, "http:") {
		return fmt.Errorf("called by %+v", c)
	}
	o.calls = append(o.calls, fmt.Sprintf(format, args...))
	return o.fails
}

func (o *fakeOperator) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fails = err
}

// took returns what was asked since the last time.
func (o *fakeOperator) took() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := strings.Join(o.calls, "; ")
	o.calls = nil
	return all
}

func (o *fakeOperator) Join(ctx context.Context, address string) error {
	return o.note(ctx, "join %s", address)
}
func (o *fakeOperator) Leave(ctx context.Context) error { return o.note(ctx, "leave") }
func (o *fakeOperator) Remove(ctx context.Context, id string) error {
	return o.note(ctx, "remove %s", id)
}
func (o *fakeOperator) Transfer(ctx context.Context, id string) error {
	return o.note(ctx, "transfer %q", id)
}

func (o *fakeOperator) Promote(ctx context.Context, id string) error {
	return o.note(ctx, "promote %s", id)
}
func (o *fakeOperator) Readdress(ctx context.Context, id, address string) error {
	return o.note(ctx, "readdress %s %s", id, address)
}

func (o *fakeOperator) SaveSnapshot(ctx context.Context, w io.Writer, stale bool) (registry.SnapshotInfo, error) {
	if err := o.note(ctx, "save, stale %v", stale); err != nil {
		return registry.SnapshotInfo{}, err
	}
	b, err := o.store.Snapshot()
	if err != nil {
		return registry.SnapshotInfo{}, err
	}
	if o.tear > 0 {
		_, err := w.Write(b[:o.tear])
		return registry.SnapshotInfo{}, errors.Join(err, errors.New("the disk is gone"))
	}
	_, err = w.Write(b)
	return registry.SnapshotInfo{Bytes: int64(len(b))}, err
}

func (o *fakeOperator) RestoreSnapshot(ctx context.Context, r io.Reader) (registry.SnapshotInfo, error) {
	if err := o.note(ctx, "restore"); err != nil {
		return registry.SnapshotInfo{}, err
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return registry.SnapshotInfo{}, fmt.Errorf("the archive: %w", err)
	}
	if err := o.store.Restore(b); err != nil {
		return registry.SnapshotInfo{}, fmt.Errorf("%w: %w", registry.ErrCorrupt, err)
	}
	return registry.SnapshotInfo{Bytes: int64(len(b)), ClusterID: "c1"}, nil
}

// operated opens a door over a cluster of these members that can be changed.
func operated(t *testing.T, members ...registry.Member) (*harness, *fakeOperator) {
	op := &fakeOperator{}
	h := open(t, func(c *Config, host *plugin.Host) {
		op.store = host.Store.(*storetest.Memory)
		host.Operator = op
		if members != nil {
			host.Cluster = listed{members: members}
		}
		c.MaxBodyBytes, c.MaxValueBytes = 1<<10, 1<<20
	})
	return h, op
}

// listed is a cluster of given members.
type listed struct {
	fakeCluster
	members    []registry.Member
	leaderless bool
}

func (c listed) Status() registry.Status {
	if c.leaderless {
		return registry.Status{ID: "a"}
	}
	return c.fakeCluster.Status()
}

func (c listed) Members(context.Context) ([]registry.Member, error) {
	return slices.Clone(c.members), nil
}

var threeServers = []registry.Member{
	{ID: "a", Name: "na", Address: "10.0.0.1:7400", Suffrage: registry.Voter, Leader: true, Alive: true, Term: 3, LastIndex: 900},
	{ID: "b", Name: "nb", Address: "10.0.0.2:7400", Suffrage: registry.Voter, Alive: true, Term: 3, LastIndex: 650, Lag: 250},
	{ID: "c", Name: "nc", Address: "10.0.0.3:7400", Suffrage: registry.Voter, Error: "no answer"},
}

func TestOperatorCalls(t *testing.T) {
	h, op := operated(t, threeServers...)
	for _, tc := range []struct {
		method, path string
		status       int
		body, asked  string // body: the whole, or what is in it with "…" at its end
	}{
		{"DELETE", "/v1/operator/raft/peer?id=b", 200, "", "remove b"},
		{"DELETE", "/v1/operator/raft/peer?address=10.0.0.3:7400", 200, "", "remove c"},
		{"DELETE", "/v1/operator/raft/peer?address=10.0.0.9:7400", 404, `"10.0.0.9:7400"…`, ""},
		{"DELETE", "/v1/operator/raft/peer", 400, "?id=…", ""},
		{"DELETE", "/v1/operator/raft/peer?id=b&address=x", 400, "not with both…", ""},
		{"PUT", "/v1/operator/raft/transfer-leader", 200, `{"Success":true}`, `transfer ""`},
		{"POST", "/v1/operator/raft/transfer-leader?id=b", 200, `{"Success":true}`, `transfer "b"`},
		{"GET", "/v1/operator/raft/transfer-leader", 405, "method GET not allowed", ""},
		{"PUT", "/v1/agent/join/10.0.0.2:7400", 200, "", "join 10.0.0.2:7400"},
		{"PUT", "/v1/agent/join", 400, "Missing peer address", ""},
		{"PUT", "/v1/agent/leave", 200, "", "leave"},
		{"PUT", "/v1/agent/force-leave/nc", 200, "", "remove c"},
		{"PUT", "/v1/agent/force-leave/c", 200, "", "remove c"},
		{"PUT", "/v1/agent/force-leave/nb", 409, "is alive…", ""},
		{"PUT", "/v1/agent/force-leave/nx", 404, `"nx"…`, ""},
		{"PUT", "/v1/agent/force-leave/", 400, "Missing node name", ""},
	} {
		a := h.do(tc.method, tc.path, "")
		want, part := strings.CutSuffix(tc.body, "…")
		if a.status != tc.status || a.body != want && !(part && strings.Contains(a.body, want)) {
			t.Errorf("%s %s: %d %q, want %d %q", tc.method, tc.path, a.status, a.body, tc.status, tc.body)
		}
		if asked := op.took(); asked != tc.asked {
			t.Errorf("%s %s: the store was asked to %q, want %q", tc.method, tc.path, asked, tc.asked)
		}
	}
}

func TestOperatorErrors(t *testing.T) {
	h, op := operated(t)
	for err, want := range map[error]int{
		registry.ErrMembership: 409, registry.ErrMemberNotFound: 404, registry.ErrForeignCluster: 409, registry.ErrNoLeader: 500,
		registry.ErrUnavailable: 500, registry.ErrTimeout: 504, registry.ErrStopped: 503,
	} {
		op.fail(fmt.Errorf("server b: %w", err))
		for _, c := range []struct{ method, path string }{
			{"DELETE", "/v1/operator/raft/peer?id=b"}, {"POST", "/v1/operator/raft/transfer-leader"},
			{"PUT", "/v1/agent/join/x:1"}, {"PUT", "/v1/agent/leave"}, {"GET", "/v1/snapshot"}, {"PUT", "/v1/snapshot"},
		} {
			if a := h.do(c.method, c.path, ""); a.status != want || !errors.Is(api.FromCode(a.header.Get(api.HeaderError)), err) {
				t.Errorf("%s %s after %v: %d %s %v", c.method, c.path, err, a.status, a.body, a.header)
			}
		}
	}
}

func TestAStoreThatCannotChange(t *testing.T) {
	h := open(t)
	for _, c := range []struct{ method, path string }{
		{"DELETE", "/v1/operator/raft/peer?id=b"}, {"PUT", "/v1/agent/leave"}, {"PUT", "/v1/agent/force-leave/x"}, {"GET", "/v1/snapshot"}, {"PUT", "/v1/snapshot"},
	} {
		if a := h.do(c.method, c.path, ""); a.status != http.StatusNotImplemented {
			t.Errorf("%s %s: %d %s", c.method, c.path, a.status, a.body)
		}
	}
}

func TestMembers(t *testing.T) {
	h, _ := operated(t, threeServers...)
	var m api.Members
	h.get("/v1/members", &m)
	want := registry.Tolerance{Voters: 3, Quorum: 2, Alive: 2}
	if m.Status.Leader != "a" || len(m.Members) != 3 || m.Members[2] != threeServers[2] || m.Tolerance != want {
		t.Errorf("%+v", m)
	}
	h, _ = operated(t, []registry.Member{}...)
	if a := h.ok("GET", "/v1/members", ""); !strings.Contains(a.body, `"members":[]`) {
		t.Error(a.body)
	}
}

func TestAutopilot(t *testing.T) {
	with := func(change func(c *registry.Member)) []registry.Member {
		all := slices.Clone(threeServers)
		all[2] = registry.Member{ID: "c", Name: "nc", Address: "10.0.0.3:7400", Suffrage: registry.Voter, Alive: true, Term: 3, LastIndex: 900}
		change(&all[2])
		return all
	}
	leaderless := with(func(*registry.Member) {})
	leaderless[0].Leader = false
	for name, tc := range map[string]struct {
		members []registry.Member
		healthy bool
		c       bool
		tol     int
	}{
		"all well":         {with(func(*registry.Member) {}), true, true, 1},
		"dead":             {threeServers, false, false, 0},
		"far behind":       {with(func(m *registry.Member) { m.Lag = 251 }), false, false, 1},
		"with a bad disk":  {with(func(m *registry.Member) { m.Error = "its disk hangs" }), false, false, 1},
		"in another term":  {with(func(m *registry.Member) { m.Term = 2 }), false, false, 1},
		"without a leader": {leaderless, false, false, 1},
		"no quorum":        {threeServers[2:], false, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			h, _ := operated(t, tc.members...)
			a := h.do("GET", "/v1/operator/autopilot/health", "")
			var health api.AutopilotHealth
			if err := json.Unmarshal([]byte(a.body), &health); err != nil {
				t.Fatal(err)
			}
			if (a.status == 200) != tc.healthy || a.status != 200 && a.status != 429 || health.Healthy != tc.healthy || health.FailureTolerance != tc.tol {
				t.Errorf("%d %+v", a.status, health)
			}
			var state api.AutopilotState
			h.get("/v1/operator/autopilot/state", &state)
			c := state.Servers["c"]
			last := health.Servers[len(health.Servers)-1]
			if state.Healthy != tc.healthy || c.Healthy != tc.c || last.Healthy != tc.c || (c.LastContact != nil) != (c.NodeStatus == "alive") {
				t.Errorf("%+v, %+v", state, last)
			}
		})
	}
	h, _ := operated(t, threeServers...)
	var state api.AutopilotState
	h.get("/v1/operator/autopilot/state", &state)
	if state.Leader != "a" || !slices.Equal(state.Voters, []string{"a", "b", "c"}) || state.Servers["a"].Status != "leader" ||
		state.Servers["c"].Status != "voter" || state.Servers["c"].NodeStatus != "failed" || !state.Servers["b"].Healthy {
		t.Errorf("%+v", state)
	}
}

func TestSnapshotThereAndBack(t *testing.T) {
	h, op := operated(t)
	value := strings.Repeat("v", 100<<10) // above what other bodies may have
	h.ok("PUT", "/v1/kv/k", value)
	agent := agentOf(t, h.base)
	for _, from := range []*harness{h, agent} {
		h.ok("PUT", "/v1/kv/k", value)
		a := from.ok("GET", "/v1/snapshot", "")
		if a.index() < 2 || a.header.Get(api.HeaderKnownLeader) != "true" || a.header.Get(api.HeaderLastContact) != "0" || a.header.Get("Content-Type") != "application/octet-stream" {
			t.Errorf("headers: %v", a.header)
		}
		if asked := op.took(); asked != "save, stale false" {
			t.Error(asked)
		}
		h.ok("PUT", "/v1/kv/k", "other")
		var info registry.SnapshotInfo
		r := from.ok("PUT", "/v1/snapshot", a.body)
		if err := json.Unmarshal([]byte(r.body), &info); err != nil || info.ClusterID != "c1" || info.Bytes != int64(len(a.body)) {
			t.Errorf("%v: %s", err, r.body)
		}
		if got := h.ok("GET", "/v1/kv/k?raw", "").body; got != value {
			t.Errorf("the key is %.20q after the restore", got)
		}
		op.took()
	}
	h.ok("GET", "/v1/snapshot?stale", "")
	if asked := op.took(); asked != "save, stale true" {
		t.Error(asked)
	}
	if a := h.do("PUT", "/v1/snapshot", "garbage"); a.status != 500 || a.header.Get(api.HeaderError) != "corrupt" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// What comes before a failure must not be taken for the whole.
func TestSnapshotThatBreaksOff(t *testing.T) {
	h, op := operated(t)
	h.ok("PUT", "/v1/kv/k", strings.Repeat("v", 200<<10))
	op.tear = 100 << 10
	for name, from := range map[string]*harness{"server": h, "agent": agentOf(t, h.base)} {
		if a := from.send("GET", "/v1/snapshot", ""); a.err == nil {
			t.Errorf("%s: %d, %d bytes, and no error", name, a.status, len(a.body))
		}
	}
}

func TestSnapshotWithoutALeader(t *testing.T) {
	h := open(t, func(_ *Config, host *plugin.Host) {
		host.Operator = &fakeOperator{store: host.Store.(*storetest.Memory)}
		host.Store, host.Cluster = leaderless{host.Store}, listed{leaderless: true}
	})
	if a := h.do("GET", "/v1/snapshot", ""); a.status != 500 || !strings.HasPrefix(a.body, "No cluster leader") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := h.ok("GET", "/v1/snapshot?stale", ""); a.header.Get(api.HeaderKnownLeader) != "false" || a.header.Get(api.HeaderLastContact) != "60000" {
		t.Error(a.header)
	}
}

// An upload may take long, and may not stand still.
func TestRestoreThatStandsStill(t *testing.T) {
	t.Parallel()
	op := &fakeOperator{}
	h := open(t, func(c *Config, host *plugin.Host) {
		op.store = host.Store.(*storetest.Memory)
		host.Operator = op
		c.ReadBodyTimeout = time.Second
	})
	whole, err := op.store.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	upload := func(last []byte) answered {
		r, w := io.Pipe()
		go func() {
			tick := time.NewTicker(60 * time.Millisecond)
			defer tick.Stop()
			for i := range 20 { // in all longer than a body may stand still
				<-tick.C
				if _, err := w.Write(whole[i*len(whole)/20 : (i+1)*len(whole)/20]); err != nil {
					return
				}
			}
			if last != nil {
				w.Close()
			}
		}()
		defer r.Close()
		req, err := http.NewRequest("PUT", h.base+"/v1/snapshot", r)
		if err != nil {
			t.Fatal(err)
		}
		return h.sendRequest(req)
	}
	if a := upload([]byte{}); a.status != 200 {
		t.Errorf("slowly, to its end: %d %s %v", a.status, a.body, a.err)
	}
	if a := upload(nil); a.status != http.StatusRequestTimeout {
		t.Errorf("without an end: %d %s %v", a.status, a.body, a.err)
	}
}

// An agent has no cluster to join or leave, and asks a server to do the rest.
func TestAgentPassesOperatorCallsOn(t *testing.T) {
	h, op := operated(t, threeServers...)
	agent := agentOf(t, h.base)
	for _, c := range []struct{ method, path, asked string }{
		{"DELETE", "/v1/operator/raft/peer?id=c", "remove c"}, {"POST", "/v1/operator/raft/transfer-leader?id=b", `transfer "b"`},
		{"PUT", "/v1/agent/force-leave/nc", "remove c"}, {"GET", "/v1/members", ""},
	} {
		agent.ok(c.method, c.path, "")
		if asked := op.took(); asked != c.asked {
			t.Errorf("%s %s: asked to %q", c.method, c.path, asked)
		}
	}
	for _, path := range []string{"/v1/agent/join/10.0.0.1:7400", "/v1/agent/leave"} {
		if a := agent.do("PUT", path, ""); a.status != 400 || !strings.Contains(a.body, "agent") {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if asked := op.took(); asked != "" {
		t.Errorf("the server was asked to %q", asked)
	}
}

func TestSnapshotIsNotHeldInMemory(t *testing.T) {
	var got int
	h := open(t, func(_ *Config, host *plugin.Host) {
		host.Operator = &endless{fakeOperator: fakeOperator{}, chunk: bytes.Repeat([]byte("x"), 64<<10), n: 1 << 10}
	})
	res, err := h.http.Get(h.base + "/v1/snapshot")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.ContentLength >= 0 {
		t.Errorf("its length was known before it was sent: %d", res.ContentLength)
	}
	n, err := io.Copy(io.Discard, res.Body)
	got = int(n)
	if err != nil || got != 64<<20 {
		t.Errorf("%d bytes, %v", got, err)
	}
}

// endless saves a snapshot of n chunks.
type endless struct {
	fakeOperator
	chunk []byte
	n     int
}

func (o *endless) SaveSnapshot(_ context.Context, w io.Writer, _ bool) (registry.SnapshotInfo, error) {
	for range o.n {
		if _, err := w.Write(o.chunk); err != nil {
			return registry.SnapshotInfo{}, err
		}
	}
	return registry.SnapshotInfo{}, nil
}

// A leader is named once this server is ready, and configuration is what it is told.
func TestLeaderOfAServerThatIsNotReady(t *testing.T) {
	var ready atomic.Bool
	h := open(t, func(_ *Config, host *plugin.Host) {
		host.Cluster = fakeCluster{}
		host.Tending = registry.Tending{StabilizationTime: 7 * time.Second, DeadServerAfter: time.Hour}
		host.Ready = func() error {
			if ready.Load() {
				return nil
			}
			return errors.New("this node is not in the catalog yet")
		}
	})
	h.steps([]step{{"GET", "/v1/status/leader", "", 200, `""`}})
	ready.Store(true)
	h.steps([]step{{"GET", "/v1/status/leader", "", 200, `"10.0.0.1:7400"`}})
	var c struct {
		ServerStabilizationTime, DeadServerAfter string
		CleanupDeadServers                       bool
		MaxTrailingLogs                          int
	}
	h.get("/v1/operator/autopilot/configuration", &c)
	if c.ServerStabilizationTime != "7s" || c.DeadServerAfter != "1h0m0s" || !c.CleanupDeadServers || c.MaxTrailingLogs != healthyLag {
		t.Errorf("got %+v", c)
	}
}
