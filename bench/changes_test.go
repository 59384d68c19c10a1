package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// changed is what a change of the catalog says.
type changed struct {
	Node    string
	Service struct{ ID, Address string }
}

func TestChanges(t *testing.T) {
	const n = dnsCatalog(100)
	var (
		mu  sync.Mutex
		all []changed
	)
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var c changed
		if err := json.NewDecoder(r.Body).Decode(&c); err != nil || r.URL.Path != "/v1/catalog/register" {
			http.Error(w, "no", http.StatusTeapot)
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, c)
	}))
	defer door.Close()
	c := &changes{catalog: n, base: door.URL, rate: 100000, most: time.Minute}
	total := 0
	for range 2 {
		made, err := c.during(t.Context(), func(ctx context.Context) error {
			for {
				mu.Lock()
				enough := len(all) >= total+100
				mu.Unlock()
				if enough {
					return nil
				}
				if !pause(ctx, time.Millisecond) {
					return ctx.Err()
				}
			}
		})
		if total += made; err != nil || made < 100 || c.next != total || len(all) != total {
			t.Fatalf("%d changes of %d, the next is %d, %d came, %v", made, total, c.next, len(all), err)
		}
	}
	addresses, ids := map[string]bool{}, map[string]bool{}
	for _, c := range all {
		addresses[c.Service.Address], ids[c.Service.ID+" on "+c.Node] = true, true
	}
	if len(addresses) != total {
		t.Errorf("%d changes gave %d addresses: some changed nothing", total, len(addresses))
	}
	there := map[string]bool{}
	for i := range int(n) {
		var c changed
		if err := json.Unmarshal([]byte(dnsRegistration(i, dnsAddress(i), 1)), &c.Service); err != nil {
			t.Fatal(err)
		}
		there[c.Service.ID+" on "+fmt.Sprintf("node-%d", n.nodeOf(i))] = true
	}
	for id := range ids {
		if !there[id] {
			t.Errorf("%s was changed, which is not there", id)
		}
	}
}

func TestChangesFail(t *testing.T) {
	broken := errors.New("broken")
	var refuses atomic.Bool
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if refuses.Load() {
			http.Error(w, "no", http.StatusTeapot)
		}
	}))
	defer door.Close()
	c := &changes{catalog: 100, base: door.URL, rate: 1000, most: time.Minute}
	untilStopped := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

	if _, err := c.during(t.Context(), func(context.Context) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("the load is broken: %v", err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := c.during(stopped, untilStopped); !errors.Is(err, context.Canceled) {
		t.Errorf("it is stopped: %v", err)
	}
	refuses.Store(true)
	if _, err := c.during(t.Context(), untilStopped); err == nil || !strings.Contains(err.Error(), "418") {
		t.Errorf("a change is refused: %v", err)
	}
	c.base = ""
	made, err := c.during(t.Context(), func(context.Context) error { return nil })
	if made != 0 || err != nil {
		t.Errorf("without an API: %d changes, %v", made, err)
	}
}
