package httpserver

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
)

// sink is a ResponseWriter that keeps nothing.
type sink struct {
	header http.Header
	status int
	bytes  int
}

func (w *sink) Header() http.Header { return w.header }
func (w *sink) Write(b []byte) (int, error) {
	w.bytes += len(b)
	return len(b), nil
}
func (w *sink) WriteHeader(status int) { w.status = status }

// benchmark measures one GET through the whole door, the connection left out.
func benchmark(b *testing.B, h *harness, path string) {
	handler := h.door.server.Handler
	u, err := url.Parse(path)
	if err != nil {
		b.Fatal(err)
	}
	r := &http.Request{Method: http.MethodGet, URL: u, Host: "x", RemoteAddr: "127.0.0.1:1", Header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		w := sink{header: make(http.Header, 8)}
		handler.ServeHTTP(&w, r)
		if w.status != http.StatusOK || w.bytes == 0 {
			b.Fatalf("status %d, %d bytes", w.status, w.bytes)
		}
	}
}

func BenchmarkKVGet(b *testing.B) {
	h := open(b)
	h.ok("PUT", "/v1/kv/bench/key", fmt.Sprintf("%0256d", 1))
	benchmark(b, h, "/v1/kv/bench/key")
}

func BenchmarkKVGetRaw(b *testing.B) {
	h := open(b)
	h.ok("PUT", "/v1/kv/bench/key", fmt.Sprintf("%0256d", 1))
	benchmark(b, h, "/v1/kv/bench/key?raw")
}

// A filtered answer that is not kept is made and looked through each time.
func BenchmarkHealthState(b *testing.B) {
	h := open(b)
	for i := range 100 {
		h.register(fmt.Sprintf(`{"Node":"n%d","Address":"10.0.0.%d","Check":{"CheckID":"c","Status":"passing"}}`, i, i))
	}
	b.Run("all", func(b *testing.B) { benchmark(b, h, "/v1/health/state/any") })
	b.Run("filter", func(b *testing.B) {
		benchmark(b, h, filtered("/v1/health/state/any", `Node == n7 or Status == critical`))
	})
}

func BenchmarkHealthService(b *testing.B) {
	h := open(b)
	for i := range 10 {
		h.register(fmt.Sprintf(`{"Node":"n%d","Address":"10.0.0.%d","Service":{"Service":"web","Port":80,"Tags":["v1"]},"Check":{"CheckID":"c","ServiceID":"web","Status":"passing"}}`, i, i))
	}
	b.Run("all", func(b *testing.B) { benchmark(b, h, "/v1/health/service/web") })
	b.Run("passing", func(b *testing.B) { benchmark(b, h, "/v1/health/service/web?passing") })
	b.Run("filter", func(b *testing.B) {
		benchmark(b, h, filtered("/v1/health/service/web", `Service.Port == 80 and "v1" in Service.Tags`))
	})
	b.Run("tag", func(b *testing.B) { benchmark(b, h, "/v1/health/service/web?passing=1&tag=v1") })
}
