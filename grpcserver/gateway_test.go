package grpcserver

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"herald/registry"
	"herald/registry/plugin"
	"herald/registry/storetest"
)

// ask sends a request and returns what came back.
func (h *harness) ask(method, path, body string, header ...string) (*http.Response, string) {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), method, "http://"+h.address+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := h.http.Do(req)
	if err != nil {
		h.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		h.t.Fatalf("%s %s: %v", method, path, err)
	}
	return res, string(b)
}

// compact is JSON without the white space that the encoder puts in at random.
func compact(t *testing.T, text string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	if m, ok := v.(map[string]any); ok {
		delete(m, "header")
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestGatewayTakesWhatClientsSend(t *testing.T) {
	h := open(t)
	refused := func(code int, text string) string {
		return fmt.Sprintf(`{"code":%d,"error":%q,"message":%q}`, code, text, text)
	}
	large := strings.Repeat("QUJD", 1<<19) // 1.5 MiB, to which the key comes
	for _, tc := range []struct {
		what, method, path, body string
		status                   int
		want                     string
	}{
		{"put", "POST", "/v3/kv/put", `{"key":"YQ==","value":"MQ=="}`, 200, `{}`},
		{"camel case", "POST", "/v3/kv/put", `{"key":"YQ==","value":"Mg==","prevKv":true}`, 200,
			`{"prev_kv":{"create_revision":"2","key":"YQ==","mod_revision":"2","value":"MQ==","version":"1"}}`},
		{"unknown fields, numbers as they come", "POST", "/v3/kv/range", `{"key":"YQ","limit":1e0,"revision":"3","nosuch":[{}],"sort_order":"NOSUCH","countOnly":true}`, 200, `{"count":"1"}`},
		{"what follows the object", "POST", "/v3/kv/range", `{"key":"YQ==","count_only":true} and more`, 200, `{"count":"1"}`},
		{"the older prefix", "POST", "/v3beta/kv/range", `{"key":"YQ==","count_only":true}`, 200, `{"count":"1"}`},
		{"no body", "POST", "/v3/kv/range", "", 400, refused(3, "etcdserver: key is not provided")},
		{"another method", "GET", "/v3/kv/range", "", 501, refused(12, "Method Not Allowed")},
		{"an unknown path", "POST", "/v3/kv/nosuch", "{}", 404, refused(5, "Not Found")},
		{"the future", "POST", "/v3/kv/range", `{"key":"YQ==","revision":100}`, 400, refused(11, "etcdserver: mvcc: required revision is a future revision")},
		{"too large a write", "POST", "/v3/kv/put", `{"key":"YQ==","value":"` + large + `"}`, 400, refused(3, "etcdserver: request is too large")},
		{"a text of no end", "POST", "/v3/kv/put", `{"key":"` + strings.Repeat(" ", (defaultRequestBytes+overheadBytes)*textPerByte), 400, refused(3, "etcdserver: request is too large")},
	} {
		res, body := h.ask(tc.method, tc.path, tc.body, "Content-Type", "text/plain")
		if got := compact(t, body); res.StatusCode != tc.status || got != tc.want {
			t.Errorf("%s: %d %s, want %d %s", tc.what, res.StatusCode, got, tc.status, tc.want)
		}
		if got := res.Header.Get("Content-Type"); got != "application/json" {
			t.Errorf("%s: Content-Type %q", tc.what, got)
		}
	}
	for _, body := range []string{`{"key":`, "nonsense", "[]", "null", `{"key":"%%%"}`, `{"key":12}`, `{"key":"YQ==","limit":1.5}`} {
		if res, text := h.ask("POST", "/v3/kv/range", body); res.StatusCode != 400 || !strings.Contains(text, `"code":3`) {
			t.Errorf("%s: %d %s", body, res.StatusCode, text)
		}
	}
}

// A message above what gRPC takes is refused by gRPC itself, as in etcd.
func TestGatewayPassesOnWhatTheServerRefuses(t *testing.T) {
	h := open(t)
	value := strings.Repeat("QUJD", (defaultRequestBytes+overheadBytes)/3+1)
	res, body := h.ask("POST", "/v3/kv/put", `{"key":"YQ==","value":"`+value+`"}`)
	if res.StatusCode != http.StatusTooManyRequests || !strings.Contains(body, "larger than max") {
		t.Errorf("%d %s", res.StatusCode, body)
	}
}

// roomy is a store that says it takes larger writes than it does.
type roomy struct{ *storetest.Memory }

func (roomy) MaxRequestBytes() int { return 8 << 20 }

// What a store says it takes comes through to it, so that it is the store that refuses.
func TestMessagesMayBeAsLargeAsTheStoreTakes(t *testing.T) {
	h := open(t, func(_ *Config, host *plugin.Host) { host.Store = roomy{host.Store.(*storetest.Memory)} })
	kv := pb.NewKVClient(h.conn)
	for _, tc := range []struct {
		bytes int
		want  codes.Code
	}{
		{defaultRequestBytes - 1<<10, codes.OK},
		{7 << 20, codes.InvalidArgument},
		{8<<20 + overheadBytes + 1, codes.ResourceExhausted},
	} {
		value := bytes.Repeat([]byte{'v'}, tc.bytes)
		_, err := kv.Put(t.Context(), &pb.PutRequest{Key: []byte("a"), Value: value})
		if got := status.Code(err); got != tc.want {
			t.Errorf("%d bytes: %v, want %v", tc.bytes, err, tc.want)
		}
		want := runtime.HTTPStatusFromCode(tc.want)
		body := `{"key":"YQ==","value":"` + base64.StdEncoding.EncodeToString(value) + `"}`
		if res, text := h.ask("POST", "/v3/kv/put", body); res.StatusCode != want {
			t.Errorf("%d bytes in JSON: %d %s, want %d", tc.bytes, res.StatusCode, text, want)
		}
	}
}

// An answer may be much larger than what gRPC's clients take by default.
func TestGatewayAnswersWithMuch(t *testing.T) {
	h := open(t)
	value := strings.Repeat("v", 1<<20)
	for i := range 9 {
		if _, err := registry.Put(t.Context(), h.store, registry.PutRequest{Key: fmt.Sprint("k", i), Value: []byte(value)}); err != nil {
			t.Fatal(err)
		}
	}
	res, body := h.ask("POST", "/v3/kv/range", `{"key":"aw==","range_end":"bA=="}`)
	if res.StatusCode != 200 || len(body) < 9<<20 {
		t.Errorf("%d, %d bytes", res.StatusCode, len(body))
	}
}

// newest is where the newest change of the user's keys came from.
func (h *harness) newest() registry.Origin {
	h.t.Helper()
	w, err := h.store.Watch(h.t.Context(), registry.WatchRequest{KeyRange: registry.All(), StartRevision: h.store.Status().Revisions[registry.SpaceKV]})
	if err != nil {
		h.t.Fatal(err)
	}
	defer w.Close()
	commits, err := w.Next(context.WithoutCancel(h.t.Context()))
	if err != nil {
		h.t.Fatal(err)
	}
	return commits[len(commits)-1].Origin
}

func TestTheCallerIsWhoTheConnectionIsFrom(t *testing.T) {
	h := open(t)
	put := func(what string, do func()) {
		t.Helper()
		do()
		if got := h.newest(); got.Who != "etcd:127.0.0.1" || got.Why != registry.ReasonClient {
			t.Errorf("%s: %q, %v", what, got.Who, got.Why)
		}
	}
	put("over gRPC", func() { h.put(t, t.Context(), "1") })
	put("over gRPC, as the gateway would", func() {
		h.put(t, metadata.AppendToOutgoingContext(t.Context(), metadataClient, "10.6.6.6"), "2")
	})
	put("over HTTP", func() { h.ask("POST", "/v3/kv/put", `{"key":"YQ==","value":"Mw=="}`) })
	put("over HTTP, as the gateway would", func() {
		h.ask("POST", "/v3/kv/put", `{"key":"YQ==","value":"NA=="}`, "Grpc-Metadata-"+metadataClient, "10.6.6.6", metadataClient, "10.6.6.6")
	})
}

func (h *harness) put(t *testing.T, ctx context.Context, value string) {
	t.Helper()
	if _, err := pb.NewKVClient(h.conn).Put(ctx, &pb.PutRequest{Key: []byte("a"), Value: []byte(value)}); err != nil {
		t.Fatal(err)
	}
}

func TestHeadersBecomeMetadata(t *testing.T) {
	h := open(t)
	h.store.SetOutage(registry.ErrNoLeader)
	body := `{"key":"YQ==","serializable":true}`
	if res, text := h.ask("POST", "/v3/kv/range", body); res.StatusCode != 200 {
		t.Fatalf("a serializable read without a leader: %d %s", res.StatusCode, text)
	}
	res, text := h.ask("POST", "/v3/kv/range", body, "Grpc-Metadata-Hasleader", "true")
	if res.StatusCode != 503 || !strings.Contains(text, "etcdserver: no leader") {
		t.Errorf("requiring a leader: %d %s", res.StatusCode, text)
	}
	req, err := http.NewRequestWithContext(t.Context(), "POST", "http://h/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "a.token")
	req.RemoteAddr = "[::1]:99"
	if md := callMetadata(t.Context(), req); len(md["token"]) != 1 || md["token"][0] != "a.token" || md[metadataClient][0] != "::1" {
		t.Errorf("metadata: %v", md)
	}
}

// No text makes the gateway fail, and every answer is JSON.
func FuzzGateway(f *testing.F) {
	for _, body := range []string{
		"", "null", "[]", `{"compare":[{"target":"VALUE","key":"YQ==","value":"MQ=="}],"success":[{"request_put":{"key":"YQ"}}],"failure":[{"requestRange":{"key":"YQ==","limit":1e2}}]}`,
		`{"success":[{"request_txn":{"success":[{"request_delete_range":{"key":"AA==","range_end":"AA=="}}]}}]}`, `{"compare":[{"result":99,"target":"NOSUCH"}]}`,
	} {
		f.Add(body)
	}
	h := open(f)
	f.Fuzz(func(t *testing.T, body string) {
		own := *h
		own.t = t
		res, text := own.ask("POST", "/v3/kv/txn", body)
		if res.StatusCode >= 500 || res.StatusCode != 200 && !strings.Contains(text, `"code":`) {
			t.Errorf("%q: %d %s", body, res.StatusCode, text)
		}
		compact(t, text)
	})
}
