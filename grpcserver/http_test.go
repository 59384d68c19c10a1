package grpcserver

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"herald/registry"
	"herald/registry/plugin"
	"herald/registry/storetest"
)

func TestVersionIsPlainNumbers(t *testing.T) {
	h := open(t)
	res, body := h.ask("GET", "/version", "")
	var got map[string]string
	if err := json.Unmarshal([]byte(body), &got); err != nil || res.StatusCode != 200 {
		t.Fatalf("%d %s: %v", res.StatusCode, body, err)
	}
	want := map[string]string{"etcdserver": "3.7.3", "etcdcluster": "3.7.0", "storage": "3.7.0", "herald": "1.2.3"}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s is %q, want %q", k, got[k], v)
		}
	}
}

func TestPathsAndMethods(t *testing.T) {
	h := open(t)
	for _, tc := range []struct {
		method, path string
		status       int
	}{
		{"HEAD", "/version", 200},
		{"POST", "/version", 405},
		{"POST", "/health", 405},
		{"HEAD", "/health", 200},
		{"DELETE", "/livez", 405},
		{"GET", "/", 404},
		{"GET", "/nosuch", 404},
		{"POST", "/v2/keys/x", 404},
		{"GET", "/debug/pprof/", 404},
		{"GET", "/livez/nosuch", 404},
		{"GET", "/livez/linearizable_read", 404},
		{"POST", "/metrics", 405},
		{"HEAD", "/metrics", 200},
	} {
		if res, body := h.ask(tc.method, tc.path, ""); res.StatusCode != tc.status {
			t.Errorf("%s %s: %d %s", tc.method, tc.path, res.StatusCode, body)
		}
	}
}

// awaitListed waits until the member list has the door.
func (h *harness) awaitListed() {
	h.t.Helper()
	until(h.t, "the server says where it is", func() bool { return h.door.core.listed(h.t.Context()) == nil })
}

// A server that says that it is ready is one that clients are told of.
func TestReadyOnceListed(t *testing.T) {
	store := storetest.NewMemory(t)
	store.SetOutage(registry.ErrNoLeader)
	h := openOver(t, store)
	const why = "[-]member_list failed: the member list does not say yet where clients reach this server"
	if res, body := h.ask("GET", "/readyz", ""); res.StatusCode != 503 || !strings.Contains(body, why) {
		t.Errorf("before: %d %q", res.StatusCode, body)
	}
	if h.door.Ready() == nil {
		t.Error("the door is ready before")
	}
	store.SetOutage(nil)
	until(t, "it is ready", func() bool {
		res, _ := h.ask("GET", "/readyz", "")
		return res.StatusCode == 200
	})
	if err := h.door.Ready(); err != nil {
		t.Errorf("the door: %v", err)
	}
	a, err := pb.NewClusterClient(h.conn).MemberList(t.Context(), &pb.MemberListRequest{})
	if err != nil || len(a.Members) != 1 || !slices.Equal(a.Members[0].ClientURLs, []string{"http://" + h.address}) {
		t.Errorf("listed then: %v, %v", a, err)
	}
}

func TestProbes(t *testing.T) {
	h := open(t)
	h.awaitListed()
	type step struct {
		path   string
		status int
		want   string
	}
	run := func(when string, steps []step) {
		t.Helper()
		for _, s := range steps {
			if res, body := h.ask("GET", s.path, ""); res.StatusCode != s.status || strings.TrimSpace(body) != s.want {
				t.Errorf("%s, %s: %d %q, want %d %q", when, s.path, res.StatusCode, body, s.status, s.want)
			}
		}
	}
	healthy := `{"health":"true","reason":""}`
	run("all well", []step{
		{"/health", 200, healthy},
		{"/health?serializable=true&exclude=NOSPACE&exclude=CORRUPT", 200, healthy},
		{"/livez", 200, "ok"},
		{"/livez?verbose", 200, "[+]serializable_read ok\nok"},
		{"/readyz", 200, "ok"},
		{"/readyz?verbose", 200, "[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\n[+]non_learner ok\n[+]member_list ok\nok"},
		{"/readyz/linearizable_read", 200, "ok"},
	})
	h.store.SetOutage(registry.ErrNoLeader)
	run("without a leader", []step{
		{"/health", 503, `{"health":"false","reason":"RAFT NO LEADER"}`},
		{"/health?serializable=true", 200, healthy},
		{"/livez", 200, "ok"},
		{"/readyz", 503, "[+]data_corruption ok\n[+]serializable_read ok\n[-]linearizable_read failed: etcdserver: no leader\n[+]non_learner ok\n[+]member_list ok\nreadyz check failed"},
		{"/readyz?exclude=linearizable_read", 200, "ok"},
		{"/readyz?exclude=linearizable_read&exclude=data_corruption&exclude=non_learner&exclude=member_list&verbose", 200, "[+]serializable_read ok\nok"},
		{"/readyz/linearizable_read?verbose", 503, "[-]linearizable_read failed: etcdserver: no leader\nreadyz check failed"},
		{"/readyz/serializable_read", 200, "ok"},
	})
	h.store.SetOutage(nil)
	run("with a leader again", []step{{"/health", 200, healthy}, {"/readyz", 200, "ok"}})
}

func TestProbesTellAlarms(t *testing.T) {
	h := open(t)
	h.awaitListed()
	alarm := func(action pb.AlarmRequest_AlarmAction, a pb.AlarmType) {
		t.Helper()
		if _, err := pb.NewMaintenanceClient(h.conn).Alarm(t.Context(), &pb.AlarmRequest{Action: action, MemberID: 7, Alarm: a}); err != nil {
			t.Fatal(err)
		}
	}
	want := func(path string, status int, text string) {
		t.Helper()
		if res, body := h.ask("GET", path, ""); res.StatusCode != status || !strings.Contains(body, text) {
			t.Errorf("%s: %d %q, want %d %q", path, res.StatusCode, body, status, text)
		}
	}
	alarm(pb.AlarmRequest_ACTIVATE, pb.AlarmType_NOSPACE)
	want("/health", 503, `"reason":"ALARM NOSPACE"`)
	want("/health?serializable=true&exclude=CORRUPT", 503, "NOSPACE")
	want("/health?exclude=NOSPACE", 200, "true")
	want("/readyz", 200, "ok")
	alarm(pb.AlarmRequest_ACTIVATE, pb.AlarmType_CORRUPT)
	want("/health?exclude=NOSPACE", 503, "CORRUPT")
	want("/health?exclude=NOSPACE&exclude=CORRUPT", 200, "true")
	want("/readyz", 503, "[-]data_corruption failed")
	want("/readyz?exclude=data_corruption", 200, "ok")
	want("/livez", 200, "ok")
	alarm(pb.AlarmRequest_DEACTIVATE, pb.AlarmType_NOSPACE)
	alarm(pb.AlarmRequest_DEACTIVATE, pb.AlarmType_CORRUPT)
	want("/health", 200, "true")
	want("/readyz", 200, "ok")
}

// joining is a cluster that this server has no vote in.
type joining struct{ registry.Cluster }

func (j joining) Servers() []registry.Member {
	all := j.Cluster.Servers()
	for i := range all {
		all[i].Suffrage = registry.NonVoter
	}
	return all
}

func TestServerWithoutVoteIsNotReady(t *testing.T) {
	h := open(t, func(_ *Config, host *plugin.Host) { host.Cluster = joining{host.Cluster} })
	h.awaitListed()
	for path, want := range map[string]int{"/readyz": 503, "/readyz/non_learner": 503, "/readyz?exclude=non_learner": 200, "/livez": 200, "/health": 200} {
		if res, body := h.ask("GET", path, ""); res.StatusCode != want {
			t.Errorf("%s: %d %s, want %d", path, res.StatusCode, body, want)
		}
	}
}

func TestMetricsAreText(t *testing.T) {
	h := open(t, func(_ *Config, host *plugin.Host) {
		host.MetricsHandler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Accept-Encoding")+r.Header.Get("Accept") != "" {
				http.Error(w, "a form that nothing can be added to was asked for", http.StatusNotAcceptable)
				return
			}
			_, _ = io.WriteString(w, "herald_x 1\n")
		})
	})
	want := func(when string, metrics ...string) {
		t.Helper()
		res, body := h.ask("GET", "/metrics", "", "Accept", "application/openmetrics-text")
		if res.StatusCode != 200 || !strings.HasPrefix(body, "herald_x 1\n") {
			t.Errorf("%s: %d %s", when, res.StatusCode, body)
		}
		for _, m := range metrics {
			if !strings.Contains(body, "\n"+m+"\n") {
				t.Errorf("%s: no %s in\n%s", when, m, body)
			}
		}
	}
	want("with a leader", "etcd_server_has_leader 1", "etcd_server_is_leader 1", "# TYPE etcd_server_leader_changes_seen_total counter", "etcd_server_is_learner 0", `etcd_server_version{server_version="3.7.3"} 1`, `etcd_cluster_version{cluster_version="3.7"} 1`,
		"# TYPE etcd_mvcc_db_total_size_in_bytes gauge")
	h.store.SetOutage(registry.ErrNoLeader)
	want("without one", "etcd_server_has_leader 0", "etcd_server_is_leader 0")
}

func TestDoorNeedsAStore(t *testing.T) {
	d := New()
	if err := d.Open(t.Context(), &plugin.Host{}); err == nil || !strings.Contains(err.Error(), "server") {
		t.Errorf("an agent's process: %v", err)
	}
	var listen *plugin.ListenError
	h := open(t)
	d.config.Address = h.address
	if err := d.Open(t.Context(), h.door.host); !errors.As(err, &listen) || listen.Setting != "address" {
		t.Errorf("a port that is taken: %v", err)
	}
}
