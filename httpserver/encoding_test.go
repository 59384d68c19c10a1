package httpserver

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestTakesGzip(t *testing.T) {
	for header, want := range map[string]bool{
		"gzip": true, "deflate, gzip;q=0.5": true, "GZIP": true, "x-gzip": true, "*": true, "br;q=1, *;q=0.1": true, "gzip;q=abc": true,
		"": false, "identity": false, "br": false, "gzip;q=0": false, "gzip; q=0.000": false, "*;q=0": false, "gzip;q=0, *": false, ";;,,": false,
	} {
		if takesGzip([]string{header}) != want {
			t.Errorf("%q: %v", header, !want)
		}
	}
	if takesGzip(nil) {
		t.Error("nothing was said")
	}
}

// ask sends a request whose answer is not decoded on the way.
func (h *harness) ask(path, encoding string) answered {
	h.t.Helper()
	req, err := http.NewRequest(http.MethodGet, h.base+path, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	if encoding != "" {
		req.Header.Set("Accept-Encoding", encoding)
	} else {
		req.Header["Accept-Encoding"] = nil // or the transport asks by itself
	}
	a := h.sendRequest(req)
	if a.err != nil {
		h.t.Fatal(a.err)
	}
	return a
}

func unpacked(t *testing.T, a answered) string {
	t.Helper()
	if a.header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("it is not compressed: %v", a.header)
	}
	r, err := gzip.NewReader(strings.NewReader(a.body))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestCompression(t *testing.T) {
	h := open(t)
	for i := range 20 {
		h.register(fmt.Sprintf(`{"Node":"n%d","Address":"10.0.0.%d","Service":{"Service":"web","Port":80}}`, i, i))
	}
	h.ok(http.MethodPut, "/v1/kv/big", strings.Repeat("x", 4000))
	for _, path := range []string{"/v1/health/service/web", "/v1/catalog/service/web", "/v1/catalog/nodes", "/v1/kv/big", "/v1/health/service/web?pretty"} {
		plain := h.ask(path, "")
		if plain.header.Get("Content-Encoding") != "" || plain.header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%s: headers %v", path, plain.header)
		}
		for range 2 { // the second time from what was kept
			packed := h.ask(path, "gzip")
			if packed.header.Get("Vary") != "Accept-Encoding" || len(packed.body) >= len(plain.body)/2 {
				t.Errorf("%s: %d bytes of %d, headers %v", path, len(packed.body), len(plain.body), packed.header)
			}
			if unpacked(t, packed) != plain.body {
				t.Errorf("%s: another document came compressed", path)
			}
		}
	}
	// What is kept compressed goes with what it was made of.
	h.register(`{"Node":"new","Address":"10.0.1.1","Service":{"Service":"web","Port":80}}`)
	if !strings.Contains(unpacked(t, h.ask("/v1/health/service/web", "gzip")), `"new"`) {
		t.Error("an old answer was kept")
	}
	// What is small, and values as they are, are not worth it.
	for _, path := range []string{"/v1/catalog/node/n1", "/v1/kv/big?raw", "/v1/status/leader"} {
		if a := h.ask(path, "gzip"); a.header.Get("Content-Encoding") != "" {
			t.Errorf("%s: headers %v", path, a.header)
		}
	}
}

func TestPretty(t *testing.T) {
	h := open(t)
	h.register(`{"Node":"a","Address":"10.0.0.1","Service":{"Service":"web","Port":80}}`)
	for _, path := range []string{"/v1/catalog/nodes", "/v1/catalog/service/web", "/v1/catalog/services"} {
		plain, pretty := h.ok("GET", path, "").body, h.ok("GET", path+"?pretty", "").body
		if !strings.Contains(pretty, "\n    ") {
			t.Errorf("%s: %s", path, pretty)
		}
		var a, b any
		if json.Unmarshal([]byte(plain), &a) != nil || json.Unmarshal([]byte(pretty), &b) != nil || fmt.Sprint(a) != fmt.Sprint(b) {
			t.Errorf("%s: %s differs from %s", path, pretty, plain)
		}
	}
}
