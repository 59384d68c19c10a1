//go:build e2e

package etcdclients

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"herald/internal/systemtest/process"
)

// curl runs the real curl and returns the body.
func curl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(soon(t), "curl", append([]string{"-sS", "--max-time", "25"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("curl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// post asks the JSON gateway, and returns the answer without its header but for the revision, with
// keys sorted and without spaces, which the gateway sets as it likes.
func post(t *testing.T, p *process.Process, path, body string) string {
	t.Helper()
	return compact(t, curl(t, "-d", body, "http://"+p.Etcd+path))
}

func compact(t *testing.T, answer string) string {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(answer), &v); err != nil {
		t.Fatalf("%v in %s", err, answer)
	}
	if h, ok := v["header"].(map[string]any); ok {
		if h["cluster_id"] == "0" || h["member_id"] == "0" || h["raft_term"] == "0" {
			t.Errorf("the header is %v", h)
		}
		delete(v, "header")
		v["@"] = h["revision"]
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// TestGatewayWithCurl types what people type at etcd without a client.
func TestGatewayWithCurl(t *testing.T) {
	t.Parallel()
	p := one(t)
	var version struct{ Etcdserver, Etcdcluster string }
	if err := json.Unmarshal([]byte(curl(t, "http://"+p.Etcd+"/version")), &version); err != nil || !strings.HasPrefix(version.Etcdserver, "3.") || !strings.HasPrefix(version.Etcdcluster, "3.") {
		t.Errorf("/version: %+v, %v", version, err)
	}
	healthy := `{"health":"true","reason":""}`
	if etcd34(t) {
		healthy = `{"health":"true"}`
	}
	if got := compact(t, curl(t, "http://"+p.Etcd+"/health")); got != healthy {
		t.Errorf("/health: %s", got)
	}
	foo, bar := b64("foo"), b64("bar")
	for _, s := range []struct{ path, body, want string }{
		{"/v3/kv/put", `{"key":"` + foo + `","value":"` + bar + `"}`, `{"@":"2"}`},
		{"/v3/kv/range", `{"key":"` + foo + `"}`,
			`{"@":"2","count":"1","kvs":[{"create_revision":"2","key":"Zm9v","mod_revision":"2","value":"YmFy","version":"1"}]}`},
		{"/v3/kv/range", `{"key":"` + b64("none") + `"}`, `{"@":"2"}`},
		{"/v3/kv/range", `{"key":"AA==","range_end":"AA==","count_only":true}`, `{"@":"2","count":"1"}`},
		{"/v3/kv/txn", `{"compare":[{"target":"CREATE","key":"` + foo + `","createRevision":"2"}],"success":[{"requestPut":{"key":"` + foo + `","value":"` + foo + `"}}]}`,
			`{"@":"3","responses":[{"response_put":{"header":{"revision":"3"}}}],"succeeded":true}`},
		{"/v3/kv/txn", `{"compare":[{"target":"MOD","key":"` + foo + `","mod_revision":"2"}],"success":[{"request_put":{"key":"` + foo + `"}}]}`, `{"@":"3"}`},
		{"/v3/lease/grant", `{"TTL":600,"ID":77}`, `{"@":"3","ID":"77","TTL":"600"}`},
		{"/v3/kv/put", `{"key":"` + b64("l") + `","lease":"77"}`, `{"@":"4"}`},
		{"/v3/lease/timetolive", `{"ID":77,"keys":true}`, `{"@":"4","ID":"77","TTL":"599","grantedTTL":"600","keys":["bA=="]}`},
		{"/v3/lease/revoke", `{"ID":77}`, `{"@":"5"}`},
		{"/v3/kv/deleterange", `{"key":"` + foo + `","prev_kv":true}`,
			`{"@":"6","deleted":"1","prev_kvs":[{"create_revision":"2","key":"Zm9v","mod_revision":"3","value":"Zm9v","version":"2"}]}`},
		{"/v3/kv/compaction", `{"revision":5}`, `{"@":"6"}`},
	} {
		got := post(t, p, s.path, s.body)
		if got = strings.Replace(got, `"TTL":"600","grantedTTL"`, `"TTL":"599","grantedTTL"`, 1); got != s.want {
			t.Errorf("%s %s:\n got %s\nwant %s", s.path, s.body, got, s.want)
		}
	}
	out := curl(t, "-w", " %{http_code}", "-d", `{"revision":5}`, "http://"+p.Etcd+"/v3/kv/compaction")
	if !strings.Contains(out, "etcdserver: mvcc: required revision has been compacted") || !strings.HasSuffix(out, " 400") {
		t.Errorf("a compaction again: %s", out)
	}
}

// TestGatewayStreamsWithCurl watches and keeps a lease alive as long as curl listens.
func TestGatewayStreamsWithCurl(t *testing.T) {
	t.Parallel()
	p := one(t)
	lines := run(t, "curl", "-sSN", "-d", `{"create_request":{"key":"`+b64("k")+`","start_revision":"2"}}`, "http://"+p.Etcd+"/v3/watch")
	if got := next(t, lines); !strings.Contains(got, `"created":true`) {
		t.Errorf("a watch begins with %s", got)
	}
	c := connect(t, p.Etcd)
	for n := range 3 {
		rev := put(t, c, "k", fmt.Sprint(n))
		var said struct {
			Result struct {
				Header struct{ Revision string }
				Events []struct {
					Kv struct {
						Key, Value  []byte
						ModRevision string `json:"mod_revision"`
					}
				}
			}
		}
		got := next(t, lines)
		if err := json.Unmarshal([]byte(got), &said); err != nil || len(said.Result.Events) != 1 {
			t.Fatalf("the watch says %s: %v", got, err)
		}
		if kv := said.Result.Events[0].Kv; string(kv.Key) != "k" || string(kv.Value) != fmt.Sprint(n) || kv.ModRevision != itoa(rev) {
			t.Errorf("the watch says %s, want k=%d at %d", got, n, rev)
		}
	}
	post(t, p, "/v3/lease/grant", `{"TTL":600,"ID":77}`)
	for id, want := range map[string]string{"77": `"TTL":"600"`, "78": `"ID":"78"`} {
		if got := strings.ReplaceAll(curl(t, "-d", `{"ID":`+id+`}`, "http://"+p.Etcd+"/v3/lease/keepalive"), " ", ""); !strings.Contains(got, want) || id == "78" && strings.Contains(got, "TTL") {
			t.Errorf("keepalive of %s: %s", id, got)
		}
	}
}
