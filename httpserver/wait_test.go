package httpserver

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"herald/httpserver/api"
	"herald/registry/storetest"
)

// A wait ends between its length and a sixteenth more, with the answer of before. In
// a bubble of its own time, so without sockets.
func TestWaitEndsWithTheSameAnswer(t *testing.T) {
	for _, tc := range []struct {
		name, path, wait string
		least            time.Duration
	}{
		{"key", "/v1/kv/k", "&wait=10s", 10 * time.Second},
		{"absent key", "/v1/kv/none", "&wait=1s", time.Second},
		{"prefix", "/v1/kv/?recurse", "&wait=0.5s", 500 * time.Millisecond},
		{"service", "/v1/health/service/web?passing", "&wait=3m", 3 * time.Minute},
		{"absent service", "/v1/health/service/none?stale", "&wait=1m", time.Minute},
		{"services", "/v1/catalog/services?consistent", "&wait=", 5 * time.Minute},
		{"capped", "/v1/kv/k", "&wait=24h", 10 * time.Minute},
		{"selection", "/v1/catalog/services?node-meta=a:b", "&wait=1m", time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				handler := bubble(t)
				handler("PUT", "/v1/kv/k", "v")
				handler("PUT", "/v1/catalog/register", `{"Node":"n","Address":"a","Service":{"Service":"web"}}`)
				first := handler("GET", tc.path, "")
				sep := "?"
				if u := first.Request.URL; u.RawQuery != "" {
					sep = "&"
				}
				for _, index := range []string{first.Header.Get(api.HeaderIndex), "99999999999"} {
					began := time.Now()
					again := handler("GET", tc.path+sep+"index="+index+tc.wait, "")
					took := time.Since(began)
					if took < tc.least || took > tc.least+tc.least/waitJitter {
						t.Errorf("index %s: answered after %v, want %v and up to a sixteenth more", index, took, tc.least)
					}
					if again.StatusCode != first.StatusCode || again.Header.Get(api.HeaderIndex) != first.Header.Get(api.HeaderIndex) {
						t.Errorf("index %s: answered %d with index %s, before it was %d with %s", index,
							again.StatusCode, again.Header.Get(api.HeaderIndex), first.StatusCode, first.Header.Get(api.HeaderIndex))
					}
				}
			})
		})
	}
}

// A server that was started lately may say a higher index of what has not changed for long than
// one that saw the change. A client that goes from that one to this is not sent back.
func TestWaitKeepsTheIndexOfAnotherServer(t *testing.T) {
	for _, path := range []string{"/v1/health/service/web?wait=10s", "/v1/catalog/service/none?wait=10s", "/v1/catalog/services?wait=10s"} {
		synctest.Test(t, func(t *testing.T) {
			handler := bubble(t)
			handler("PUT", "/v1/catalog/register", `{"Node":"n","Address":"a","Service":{"Service":"web"}}`)
			handler("PUT", "/v1/catalog/register", `{"Node":"m","Address":"b"}`)
			own := handler("GET", path, "").Header.Get(api.HeaderIndex)
			other := handler("GET", "/v1/catalog/nodes", "").Header.Get(api.HeaderIndex)
			if own == other {
				t.Fatalf("%s: index %s, as that of the nodes, which changed later", path, own)
			}
			if a := handler("GET", path+"&index="+other, ""); a.Header.Get(api.HeaderIndex) != other {
				t.Errorf("%s: asked with index %s, answered with %s", path, other, a.Header.Get(api.HeaderIndex))
			}
		})
	}
}

func TestClientThatLeavesEndsItsQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, router := bubbleSurface(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			r := httptest.NewRequestWithContext(ctx, "GET", "/v1/kv/k?index=1&wait=10m", nil)
			router.ServeHTTP(httptest.NewRecorder(), r)
		}()
		synctest.Wait()
		if n := s.metrics.blocked.Load(); n != 1 {
			t.Errorf("%d queries are blocked, want 1", n)
		}
		cancel()
		<-done
		if n := s.metrics.blocked.Load(); n != 0 {
			t.Errorf("%d queries are blocked after the client left", n)
		}
	})
}

func TestLeaseRunsOutBehindABlockedQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handler := bubble(t)
		handler("PUT", "/v1/kv/l?ttl=30s", "v")
		at := handler("GET", "/v1/kv/l", "").Header.Get(api.HeaderIndex)
		began := time.Now()
		res := handler("GET", "/v1/kv/l?wait=10m&index="+at, "")
		if took := time.Since(began); res.StatusCode != 404 || took < 29*time.Second || took > 33*time.Second {
			t.Errorf("answered %d after %v, want 404 after about 30s", res.StatusCode, took)
		}
		if now, _ := strconv.Atoi(res.Header.Get(api.HeaderIndex)); strconv.Itoa(now) == at {
			t.Error("the index is the same")
		}
	})
}

func bubbleSurface(t *testing.T) (*surface, http.Handler) {
	store := storetest.Open()
	t.Cleanup(store.Close)
	s, err := newSurface(DefaultConfig(), hostOver(t, store, newFakeAgent()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return s, newRouter(s)
}

// bubble returns a door without a socket.
func bubble(t *testing.T) func(method, path, body string) *http.Response {
	_, router := bubbleSurface(t)
	return func(method, path, body string) *http.Response {
		r := httptest.NewRequestWithContext(t.Context(), method, path, bodyOf(body))
		w := httptest.NewRecorder()
		router.ServeHTTP(w, r)
		res := w.Result()
		res.Request = r
		return res
	}
}
