package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestParseWrk(t *testing.T) {
	said, err := parseWrk(`Running 4s test @ http://127.0.0.1:8500
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.86ms    1.40ms  12.97ms   71.77%
    Req/Sec    36.96k     2.10k   41.02k    70.00%
  Latency Distribution
     50%    1.63ms
     75%    3.52ms
     90%    4.75ms
     99%    900.00us
  147206 requests in 4.00s, 37.91MB read
  Socket errors: connect 1, read 2, write 0, timeout 3
  Non-2xx or 3xx responses: 12
Requests/sec:  36790.45
Transfer/sec:      9.47MB
`)
	want := wrkSaid{requests: 147206, failed: 18, took: 4 * time.Second, p50: 1630 * time.Microsecond, p99: 900 * time.Microsecond}
	if err != nil || said != want {
		t.Errorf("%+v, %v, want %+v", said, err, want)
	}
	for _, out := range []string{"", "unable to connect to 127.0.0.1:1 Connection refused", "0 requests in 4.00s, 0B read", "5 requests in 4.00x, 0B read"} {
		if said, err := parseWrk(out); err == nil {
			t.Errorf("%q is taken for %+v", out, said)
		}
	}
}

func TestPutAll(t *testing.T) {
	var seen [1000]atomic.Int32
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.URL.Path == "/refused" {
			http.Error(w, "no", http.StatusTeapot)
			return
		}
		seen[len(body)].Add(1)
	}))
	defer door.Close()
	err := putAll(t.Context(), door.URL, len(seen), func(i int) (string, string) { return "/", strings.Repeat("x", i) })
	if err != nil {
		t.Fatal(err)
	}
	for i := range seen {
		if n := seen[i].Load(); n != 1 {
			t.Errorf("request %d came %d times", i, n)
		}
	}
	err = putAll(context.Background(), door.URL, 500, func(i int) (string, string) {
		if i == 300 {
			return "/refused", ""
		}
		return "/", ""
	})
	if err == nil || !strings.Contains(err.Error(), "418") {
		t.Errorf("a refused request among many: %v", err)
	}
}

// Each load has a script, and each script is a load's.
func TestScripts(t *testing.T) {
	files, err := scripts.ReadDir("wrk")
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, f := range files {
		there[strings.TrimSuffix(f.Name(), ".lua")] = true
	}
	for _, w := range new(settings).allWorks(1, 1, 1) {
		if w, ok := w.(wrkWork); ok {
			if !there[w.label] {
				t.Errorf("load %s has no script", w.label)
			}
			delete(there, w.label)
		}
	}
	for name := range there {
		t.Errorf("script %s is no load's", name)
	}
}
