package httpserver

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"herald/httpserver/api"
	"herald/registry"
	"herald/registry/plugin"
	"herald/registry/session"
)

// step is a request and what has to come back. In want, a "prefix…" matches how the
// body begins; "*" matches any.
type step struct {
	method, path, body string
	status             int
	want               string
}

// steps sends requests one after the other.
func (h *harness) steps(steps []step) {
	h.t.Helper()
	for _, s := range steps {
		a := h.do(s.method, s.path, s.body)
		prefix, open := strings.CutSuffix(s.want, "…")
		matches := s.want == "*" || a.body == s.want || open && strings.HasPrefix(a.body, prefix)
		if a.status != s.status || !matches {
			h.t.Errorf("%s %s %.60s\n got %d %s\nwant %d %s", s.method, s.path, s.body, a.status, a.body, s.status, s.want)
		}
	}
}

func TestKVRefusals(t *testing.T) {
	h := open(t)
	big := strings.Repeat("x", 512<<10+1)
	h.steps([]step{
		{"GET", "/v1/kv/", "", 400, "Missing key name"},
		{"GET", "/v1/kv", "", 400, "Missing key name"},
		{"PUT", "/v1/kv/", "x", 400, "Missing key name"},
		{"DELETE", "/v1/kv/", "", 400, "Missing key name"},
		{"PUT", "/v1/kv/a?cas=1&acquire=s", "x", 400, "Conflicting flags:…"},
		{"PUT", "/v1/kv/a?acquire=s&release=s", "x", 400, "Conflicting flags:…"},
		{"PUT", "/v1/kv/a?lease=7&ttl=9s", "x", 400, "Conflicting flags:…"},
		{"DELETE", "/v1/kv/a?recurse&cas=1", "", 400, "Conflicting flags:…"},
		{"GET", "/v1/kv/a?stale&consistent", "", 400, "Cannot specify ?stale with ?consistent, conflicting semantics."},
		{"GET", "/v1/kv/a?cached&consistent", "", 400, "Cannot specify ?cached with ?consistent, conflicting semantics."},
		{"POST", "/v1/kv/a", "x", 405, "method POST not allowed"},
		{"PATCH", "/v1/kv/a", "x", 405, "method PATCH not allowed"},
		{"HEAD", "/v1/kv/a", "", 405, ""},
		{"PUT", "/v1/kv/a", big, 413, "Request body(524289 bytes) too large, max size: 524288 bytes.…"},
		{"GET", "/v1/kv/a", "", 404, ""},
		{"PUT", "/v1/kv/fits", big[1:], 200, "true"},
		{"GET", "/v1/kv/a?index=abc", "", 400, "Invalid index"},
		{"GET", "/v1/kv/a?index=-1", "", 400, "Invalid index"},
		{"GET", "/v1/kv/a?index=1.5", "", 400, "Invalid index"},
		{"GET", "/v1/kv/a?wait=10", "", 400, "Invalid wait time"},
		{"GET", "/v1/kv/a?wait=-1s", "", 400, "Invalid wait time"},
		{"GET", "/v1/kv/a?dc=nowhere", "", 500, "No path to datacenter"},
		{"GET", "/v1/kv/a?dc=DC1", "", 404, ""},
		{"PUT", "/v1/kv/a?datacenter=nowhere", "x", 500, "No path to datacenter"},
		{"GET", "/v1/kv/a?ns=team", "", 400, `Invalid query parameter: "ns"…`},
		{"GET", "/v1/kv/a?partition=p", "", 400, `Invalid query parameter: "partition"…`},
		{"GET", "/v1/kv/a?ns=default", "", 404, ""},
		{"GET", "/v1/kv/a?raw=%zz", "", 400, "Invalid query string…"},
		{"PUT", "/v1/kv/a?flags=18446744073709551616", "x", 500, "Invalid value…"},
		{"PUT", "/v1/kv/a?flags=", "x", 500, "Invalid value…"},
		{"PUT", "/v1/kv/a?cas=abc", "x", 500, "Invalid value…"},
		{"PUT", "/v1/kv/a?cas=", "x", 500, "Invalid value…"},
		{"DELETE", "/v1/kv/a?cas=abc", "", 500, "Invalid value…"},
		{"PUT", "/v1/kv/a?acquire=s", "x", 500, "invalid session…"},
		{"PUT", "/v1/kv/a?release=s", "x", 200, "false"},
		{"PUT", "/v1/kv/a?acquire=", "x", 500, "missing session…"},
		{"PUT", "/v1/kv/a?lease=x", "x", 400, "Invalid lease…"},
		{"PUT", "/v1/kv/a?lease=0", "x", 400, "Invalid lease…"},
		{"PUT", "/v1/kv/a?lease=77", "x", 404, "lease not found…"},
		{"PUT", "/v1/kv/a?ttl=-1s", "x", 400, "Invalid ttl…"},
		{"PUT", "/v1/kv/a?ttl=soon", "x", 400, "Invalid ttl…"},
		{"GET", "/v1/kv/a", "", 404, ""}, // none of these wrote anything
		{"GET", "/v1/nothing", "", 404, "Invalid URL path: not a recognized HTTP API endpoint"},
		{"GET", "/", "", 404, "Invalid URL path: not a recognized HTTP API endpoint"},
	})
}

func TestKVValueInChunksIsBounded(t *testing.T) {
	h := open(t, func(c *Config, _ *plugin.Host) { c.MaxValueBytes = 10 })
	for _, tc := range []struct {
		n    int
		want int
	}{{10, 200}, {11, 413}} {
		req, err := http.NewRequest("PUT", h.base+"/v1/kv/c", strings.NewReader(strings.Repeat("x", tc.n)))
		if err != nil {
			t.Fatal(err)
		}
		req.ContentLength = -1
		if a := h.sendRequest(req); a.err != nil || a.status != tc.want {
			t.Errorf("%d bytes in chunks: %d %s %v, want %d", tc.n, a.status, a.body, a.err, tc.want)
		}
	}
}

func TestKVCompareAndSet(t *testing.T) {
	h := open(t)
	h.steps([]step{
		{"PUT", "/v1/kv/k?cas=5", "v", 200, "false"}, // an index for what is not there
		{"PUT", "/v1/kv/k?cas=18446744073709551615", "v", 200, "false"},
		{"DELETE", "/v1/kv/k?cas=5", "", 200, "true"},
		{"PUT", "/v1/kv/k?cas=0", "1", 200, "true"},
		{"PUT", "/v1/kv/k?cas=0", "2", 200, "false"},
		{"DELETE", "/v1/kv/k?cas=0", "", 200, "false"},
		{"DELETE", "/v1/kv/k?cas=18446744073709551615", "", 200, "false"},
		{"GET", "/v1/kv/k?raw", "", 200, "1"},
	})
	var at []api.KVPair
	h.get("/v1/kv/k", &at)
	cas := strconv.FormatUint(at[0].ModifyIndex, 10)
	h.steps([]step{
		{"PUT", "/v1/kv/k?cas=" + cas, "1", 200, "true"}, // the same again: true, and nothing moves
		{"PUT", "/v1/kv/k?cas=" + cas, "2", 200, "true"},
		{"PUT", "/v1/kv/k?cas=" + cas, "3", 200, "false"},
		{"DELETE", "/v1/kv/k?cas=" + cas, "", 200, "false"},
		{"GET", "/v1/kv/k?raw", "", 200, "2"},
	})
}

func TestKVHeaders(t *testing.T) {
	h := open(t)
	h.ok("PUT", "/v1/kv/k", "v")
	for _, path := range []string{"/v1/kv/k", "/v1/kv/none", "/v1/kv/k?stale", "/v1/kv/k?consistent", "/v1/kv/?keys", "/v1/kv/none?recurse"} {
		a := h.do("GET", path, "")
		if a.index() == 0 || a.header.Get("X-Consul-KnownLeader") != "true" || a.header.Get("X-Consul-LastContact") != "0" {
			t.Errorf("GET %s: headers %v", path, a.header)
		}
	}
	a := h.ok("GET", "/v1/kv/k?raw", "")
	if a.header.Get("Content-Type") != "text/plain" || a.header.Get("Content-Security-Policy") != "sandbox" || a.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("a raw value is not marked as harmless: %v", a.header)
	}
	if a := h.do("OPTIONS", "/v1/kv/k", ""); a.status != 200 || a.header.Get("Allow") != "OPTIONS,GET,PUT,DELETE" {
		t.Errorf("OPTIONS: %d %v", a.status, a.header)
	}
}

func TestKVIndexMovesOnlyWithWhatIsRead(t *testing.T) {
	h := open(t)
	h.ok("PUT", "/v1/kv/p/a", "1")
	h.ok("PUT", "/v1/kv/p/b", "1")
	one := h.ok("GET", "/v1/kv/p/a", "").index()
	prefix := h.ok("GET", "/v1/kv/p/?keys", "").index()
	missing := h.do("GET", "/v1/kv/p/none", "").index()
	same := func(when string) {
		t.Helper()
		if got := h.ok("GET", "/v1/kv/p/a", "").index(); got != one {
			t.Errorf("%s: the key's index went from %d to %d", when, one, got)
		}
		if got := h.ok("GET", "/v1/kv/p/?keys", "").index(); got != prefix {
			t.Errorf("%s: the prefix's index went from %d to %d", when, prefix, got)
		}
		if got := h.do("GET", "/v1/kv/p/none", "").index(); got != missing {
			t.Errorf("%s: the missing key's index went from %d to %d", when, missing, got)
		}
	}
	h.ok("PUT", "/v1/kv/p/a", "1")
	same("an identical put")
	h.ok("PUT", "/v1/kv/other", "1")
	same("a put elsewhere")
	h.ok("DELETE", "/v1/kv/p/none", "")
	same("a delete of nothing")
	h.ok("DELETE", "/v1/kv/p/b", "")
	if got := h.ok("GET", "/v1/kv/p/?keys", "").index(); got <= prefix {
		t.Errorf("a deletion left the prefix's index at %d", got)
	}
	h.ok("DELETE", "/v1/kv/p/?recurse", "")
	gone := h.do("GET", "/v1/kv/p/?keys", "")
	if gone.status != 404 || gone.index() <= prefix+1 {
		t.Errorf("the emptied prefix: %d, index %d", gone.status, gone.index())
	}
}

func TestKVBlocking(t *testing.T) {
	h := open(t)
	h.ok("PUT", "/v1/kv/w/a", "1")
	for _, tc := range []struct {
		name, path, method, at string
		status                 int
	}{
		{"a put of the key", "/v1/kv/w/a", "PUT", "/v1/kv/w/a", 200},
		{"a key that is not there", "/v1/kv/w/new", "PUT", "/v1/kv/w/new", 200},
		{"a put in the prefix", "/v1/kv/w/?recurse", "PUT", "/v1/kv/w/b", 200},
		{"a name in the prefix", "/v1/kv/w/?keys", "PUT", "/v1/kv/w/c", 200},
		{"a deletion in the prefix", "/v1/kv/w/?keys", "DELETE", "/v1/kv/w/c", 200},
		{"an empty prefix", "/v1/kv/z/?recurse", "PUT", "/v1/kv/z/1", 200},
		{"the key's deletion", "/v1/kv/w/a", "DELETE", "/v1/kv/w/a", 404},
		{"the last of a prefix", "/v1/kv/z/?keys", "DELETE", "/v1/kv/z/1", 404},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := h.do("GET", tc.path, "").index()
			sep := "?"
			if strings.Contains(tc.path, "?") {
				sep = "&"
			}
			got := h.begin(tc.path + sep + "wait=1m&index=" + strconv.FormatUint(before, 10))
			h.ok("PUT", "/v1/kv/beside", tc.name) // wakes nobody
			select {
			case a := <-got:
				t.Fatalf("woken by a write elsewhere: %d %s", a.status, a.body)
			default:
			}
			h.ok(tc.method, tc.at, "2")
			if a := receive(t, got); a.status != tc.status || a.index() <= before {
				t.Errorf("got %d with index %d, want %d and an index above %d", a.status, a.index(), tc.status, before)
			}
		})
	}
}

func TestKVBlockingSurvivesARestore(t *testing.T) {
	h := open(t)
	h.ok("PUT", "/v1/kv/r", "old")
	snapshot, err := h.store.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	h.ok("PUT", "/v1/kv/r", "new")
	at := h.ok("GET", "/v1/kv/r", "").index()
	got := h.begin("/v1/kv/r?wait=1m&index=" + strconv.FormatUint(at, 10))
	if err := h.store.Restore(snapshot); err != nil {
		t.Fatal(err)
	}
	// The index is below what the client has: it waits on, and sees what comes.
	for i := uint64(0); i <= at; i++ {
		h.ok("PUT", "/v1/kv/r", fmt.Sprint("later", i))
	}
	if a := receive(t, got); a.status != 200 || a.index() <= at {
		t.Errorf("got %d with index %d, want one above %d", a.status, a.index(), at)
	}
}

func TestKVLeases(t *testing.T) {
	h := open(t)
	a := h.ok("PUT", "/v1/kv/l?ttl=1h", "v")
	id := a.header.Get(api.HeaderLease)
	var l api.Lease
	h.get("/v1/lease/"+id, &l)
	if want := []api.LeasedKey{{Space: "kv", Key: "l"}}; !reflect.DeepEqual(l.Keys, want) || l.TTL != "1h0m0s" {
		t.Errorf("the lease of a put with ttl is %+v", l)
	}
	if a := h.ok("PUT", "/v1/kv/l?ttl=1h&cas=0", "v"); a.body != "false" || a.header.Get(api.HeaderLease) != "" {
		t.Errorf("a put that did not happen has lease %q", a.header.Get(api.HeaderLease))
	}
	var ids []string
	if h.get("/v1/leases", &ids); !reflect.DeepEqual(ids, []string{id}) {
		t.Errorf("leases are %v, want only %s", ids, id)
	}
	// Nor is one left behind by a put that fails, or that does not get the lock.
	h.steps([]step{
		{"PUT", "/v1/kv/?ttl=1h", "v", 400, "Missing key name…"},
		{"PUT", "/v1/kv/l?ttl=1h&release=11111111-1111-4111-8111-111111111111", "v", 200, "false"},
	})
	if h.get("/v1/leases", &ids); !reflect.DeepEqual(ids, []string{id}) {
		t.Errorf("leases are %v, want only %s", ids, id)
	}
	h.ok("PUT", "/v1/kv/m?lease="+id, "v")
	h.ok("PUT", "/v1/lease/revoke/"+id, "")
	h.steps([]step{
		{"GET", "/v1/kv/l", "", 404, ""},
		{"GET", "/v1/kv/m", "", 404, ""},
		{"GET", "/v1/lease/" + id, "", 404, "lease not found…"},
	})
}

// A put that takes a lock makes its lease, too.
func TestKVLeaseOfLocked(t *testing.T) {
	h := open(t)
	h.register(`{"Node":"n1","Address":"a"}`)
	var made struct{ ID string }
	if err := json.Unmarshal([]byte(h.ok("PUT", "/v1/session/create", `{"NodeChecks":[]}`).body), &made); err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"acquire", "acquire", "release"} {
		a := h.ok("PUT", "/v1/kv/locked?ttl=1h&"+verb+"="+made.ID, "v")
		var l api.Lease
		h.get("/v1/lease/"+a.header.Get(api.HeaderLease), &l)
		if want := []api.LeasedKey{{Space: "kv", Key: "locked"}}; a.body != "true" || !reflect.DeepEqual(l.Keys, want) {
			t.Errorf("?%s= with ?ttl= answers %s, and its lease is %+v", verb, a.body, l)
		}
	}
}

func TestKVOutage(t *testing.T) {
	h := open(t)
	h.ok("PUT", "/v1/kv/o", "v")
	h.store.SetOutage(registry.ErrNoLeader)
	a := h.do("PUT", "/v1/kv/o", "w")
	if a.status != 500 || a.header.Get(api.HeaderError) != "no-leader" {
		t.Errorf("a put without a leader: %d %s %v", a.status, a.body, a.header)
	}
	if a := h.do("GET", "/v1/kv/o?consistent", ""); a.status != 500 {
		t.Errorf("a consistent read without a leader: %d %s", a.status, a.body)
	}
	if a := h.ok("GET", "/v1/kv/o?stale&raw", ""); a.body != "v" || a.header.Get(api.HeaderKnownLeader) != "false" {
		t.Errorf("a stale read without a leader: %s, headers %v", a.body, a.header)
	}
}

func TestDoubledSlashes(t *testing.T) {
	h := open(t)
	h.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for from, to := range map[string]string{
		"/v1/kv//a":          "/v1/kv/a",
		"/v1/kv/a///b?raw":   "/v1/kv/a/b?raw",
		"//v1//kv/a%20b":     "/v1/kv/a%20b",
		"/v1/kv//x%2Fy?keys": "/v1/kv/x%2Fy?keys",
		"/v1/kv//%C3%BC":     "/v1/kv/%C3%BC",
	} {
		req, err := http.NewRequest("GET", h.base, nil)
		if err != nil {
			t.Fatal(err)
		}
		path, query, _ := strings.Cut(from, "?")
		req.URL.Path, err = url.PathUnescape(path)
		if err != nil {
			t.Fatal(err)
		}
		req.URL.RawPath, req.URL.RawQuery = path, query
		if a := h.sendRequest(req); a.status != 307 || a.header.Get("Location") != to {
			t.Errorf("%s: %d to %q, want 307 to %q", from, a.status, a.header.Get("Location"), to)
		}
	}
	h.steps([]step{
		{"PUT", "/v1/kv/d%2F%2Fe", "v", 200, "true"},
		{"GET", "/v1/kv/d/?keys", "", 200, `["d//e"]`},
		{"GET", "/v1/kv/d%2F%2Fe?raw", "", 200, "v"},
	})
}

func TestOddKeys(t *testing.T) {
	h := open(t)
	for _, key := range []string{"a b", "a+b", "per%cent", "ümläut", "q?mark#hash", "trail/", "emoji-💾", "colon:at@semi;eq=amp&x", ".", "..", "a/../b", "\x00\x01\xff", "\"quoted\\", "/lead"} {
		path := "/v1/kv/" + strings.ReplaceAll(url.PathEscape(key), ".", "%2E")
		h.ok("PUT", path, key)
		if a := h.ok("GET", path+"?raw", ""); a.body != key {
			t.Errorf("%q: read back %q", key, a.body)
		}
	}
	var all []api.KVPair
	h.get("/v1/kv/?recurse", &all)
	for _, kv := range all {
		if want := strings.ToValidUTF8(string(kv.Value), "\ufffd"); kv.Key != want {
			t.Errorf("listed as %q, want %q", kv.Key, want)
		}
	}
}

// With ?text no value is lost, and whatever is UTF-8 can be read.
func TestAppendKVText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.OneOf(rapid.SliceOf(rapid.Byte()), rapid.Map(rapid.String(), func(s string) []byte { return []byte(s) })).Draw(t, "value")
		b := appendKV(nil, &registry.KeyValue{Key: "k", Value: value, CreateRevision: 2, ModRevision: 3}, true)
		d := json.NewDecoder(strings.NewReader(string(b)))
		d.DisallowUnknownFields()
		var got api.KVText
		if err := d.Decode(&got); err != nil {
			t.Fatalf("%v: %s", err, b)
		}
		back := []byte(got.Value)
		if got.Encoding != "" {
			if utf8.Valid(value) {
				t.Fatalf("%q is UTF-8, and comes as %s", value, b)
			}
			var err error
			if back, err = base64.StdEncoding.DecodeString(got.Value); err != nil {
				t.Fatal(err)
			}
		}
		if string(back) != string(value) {
			t.Fatalf("%q comes back as %q: %s", value, back, b)
		}
	})
}

func TestKVText(t *testing.T) {
	h := open(t)
	h.ok("PUT", "/v1/kv/t/a", "grüß\n")
	h.ok("PUT", "/v1/kv/t/b", "\xff")
	h.steps([]step{
		{"GET", "/v1/kv/t/a?text", "", 200, `[{"LockIndex":0,"Key":"t/a","Flags":0,"Value":"grüß\n","CreateIndex":2,"ModifyIndex":2}]`},
		{"GET", "/v1/kv/t/?text&recurse", "", 200, `[{"LockIndex":0,"Key":"t/a","Flags":0,"Value":"grüß\n","CreateIndex":2,"ModifyIndex":2},` +
			`{"LockIndex":0,"Key":"t/b","Flags":0,"Value":"/w==","Encoding":"base64","CreateIndex":3,"ModifyIndex":3}]`},
		{"GET", "/v1/kv/t/a?text&raw", "", 400, "Conflicting flags: raw&text"},
		{"GET", "/v1/kv/t/?text&keys", "", 400, "Conflicting flags: keys&text"},
	})
}

// What is appended by hand is what encoding/json makes of the same.
func TestAppendKVIsJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kv := registry.KeyValue{
			Key:            string(rapid.SliceOf(rapid.Byte()).Draw(t, "key")),
			Value:          rapid.SliceOf(rapid.Byte()).Draw(t, "value"),
			Flags:          rapid.Uint64().Draw(t, "flags"),
			CreateRevision: rapid.Int64Min(1).Draw(t, "create"),
			ModRevision:    rapid.Int64Min(1).Draw(t, "mod"),
			Lock:           registry.Lock{Count: rapid.Uint64().Draw(t, "count"), Holder: registry.LeaseID(rapid.Int64().Draw(t, "holder"))},
		}
		want := api.KVPair{
			LockIndex: kv.Lock.Count, Key: strings.ToValidUTF8(kv.Key, "\ufffd"), Flags: kv.Flags, Value: kv.Value,
			CreateIndex: uint64(kv.CreateRevision), ModifyIndex: uint64(kv.ModRevision),
		}
		// ToValidUTF8 makes one of a run of bytes that are not UTF-8; encoding/json
		// makes one of each.
		asJSON, err := json.Marshal(kv.Key)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(asJSON, &want.Key); err != nil {
			t.Fatal(err)
		}
		if kv.Lock.Holder != 0 {
			want.Session = string(session.IDOf(kv.Lock.Holder))
		}
		if len(want.Value) == 0 {
			want.Value = nil
		}
		b := appendKV(nil, &kv, false)
		var got api.KVPair
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%v: %s", err, b)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("\n got %+v\nwant %+v", got, want)
		}
		if !bytes.Contains(b, []byte(`"Value":null`)) != (len(kv.Value) > 0) {
			t.Fatalf("an empty value must be null: %s", b)
		}
	})
}

// TestWhoAsksFirstIsRefusedAtOnce: a client that waits for leave to send a body that is too large is told
// so, and not to go on.
func TestWhoAsksFirstIsRefusedAtOnce(t *testing.T) {
	h := open(t)
	c, err := net.Dial("tcp", strings.TrimPrefix(h.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, "PUT /v1/kv/big HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 10485760\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	status, err := bufio.NewReader(c).ReadString('\n')
	if err != nil || !strings.HasPrefix(status, "HTTP/1.1 413 ") {
		t.Errorf("%q, %v", status, err)
	}
}

func TestSlowBodyIsCutOff(t *testing.T) {
	h := open(t, func(c *Config, _ *plugin.Host) { c.ReadBodyTimeout = 50 * time.Millisecond })
	body, never := newStalledBody()
	defer never()
	req, err := http.NewRequest("PUT", h.base+"/v1/kv/s", body)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = 100
	if a := h.sendRequest(req); a.err == nil && a.status != http.StatusRequestTimeout {
		t.Errorf("a body that never comes: %d %s", a.status, a.body)
	}
	if a := h.do("GET", "/v1/kv/s", ""); a.status != 404 {
		t.Errorf("half a value was stored: %d %s", a.status, a.body)
	}
}
