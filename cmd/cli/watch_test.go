//go:build unix

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"herald/client"
	"herald/httpserver/api"
)

func TestWatchOnce(t *testing.T) {
	url, c := door(t)
	put(t, c, "a/k", "v")
	out := filepath.Join(t.TempDir(), "out")
	for _, tc := range []struct {
		args   string
		status int
		stdout string // how it begins
		stderr string
	}{
		{"--key a/k --once", 0, `[{"LockIndex":0,"Key":"a/k","Flags":0,"Value":"dg==",`, ""},
		{"--prefix a/ --once", 0, `[{"LockIndex":0,"Key":"a/k",`, ""},
		{"--key none --once", 0, "null\n", ""},
		{"--service none --once", 0, "[]\n", ""},
		{"--checks --once", 0, "[", ""},
		{"--checks --passing --once", 0, "[", ""},
		{"--key a/k --once -- sh -c cat>" + out + ";test\t$HERALD_INDEX\t-gt\t0", 0, "", ""},
		{"--key a/k --once -- sh -c exit\t5", 5, "", ""},
		{"--key a/k --once -- /nonexistent/command", 127, "", "/nonexistent/command"},
		{"", 2, "", "--key"},
		{"--key a --prefix b", 2, "", "one of"},
		{"--key=", 2, "", "--key"},
		{"--checks=false", 2, "", "follows nothing"},
		{"--key a --tag t", 2, "", "--service"},
		{"--key a --passing", 2, "", "--service"},
		{"--service a/b", 2, "", "name of a service"},
		{"--key a true", 2, "", "--"},
		{"--key a --debounce -1s", 2, "", "--debounce"},
	} {
		words := strings.Fields(tc.args)
		if i := strings.Index(tc.args, "\t"); i >= 0 { // a word with blanks
			before := strings.LastIndexByte(tc.args[:i], ' ')
			words = append(strings.Fields(tc.args[:before]), strings.ReplaceAll(tc.args[before+1:], "\t", " "))
		}
		stdout, stderr, status := run(append([]string{"watch", "--server", url}, words...)...)
		if status != tc.status || !strings.HasPrefix(stdout, tc.stdout) || !strings.Contains(stderr, tc.stderr) {
			t.Errorf("watch %s: status %d, want %d; printed %q; %s", tc.args, status, tc.status, stdout, stderr)
		}
	}
	if b, err := os.ReadFile(out); err != nil || !strings.Contains(string(b), `"Key":"a/k"`) {
		t.Errorf("the command read %q, %v", b, err)
	}
}

var errSeenEnough = errors.New("seen enough")

// TestWatchFollows sees each state of a service once, and is not woken by another service.
func TestWatchFollows(t *testing.T) {
	url, c := door(t)
	register := func(service, status string) {
		t.Helper()
		err := c.Register(t.Context(), api.CatalogRegistration{
			Node: "n1", Address: "127.0.0.1", Service: &api.ServiceRegistration{Service: service, Port: 80},
			Check: &api.CheckRegistration{Name: "c", ServiceID: service, Status: status},
		}, 0)
		if err != nil {
			t.Fatal(err)
		}
	}
	register("other", "passing")
	var seen []string
	p := &program{out: io.Discard, err: io.Discard}
	err := p.follow(t.Context(), connected(t, url), "/v1/health/service/web", nil, false, 0, func(_ context.Context, d client.Document) error {
		for _, status := range []string{"passing", "warning", "critical"} {
			if strings.Contains(string(d.JSON), fmt.Sprintf(`"Status":%q`, status)) {
				seen = append(seen, status)
			}
		}
		switch len(seen) {
		case 0:
			seen = append(seen, "none")
			register("web", "passing")
		case 2:
			register("other", "critical")
			register("web", "passing") // as it is
			register("web", "warning")
			return &exitError{status: 3} // of a command: it goes on
		case 3:
			register("web", "critical")
		case 4:
			return errSeenEnough
		}
		return nil
	})
	if want := []string{"none", "passing", "warning", "critical"}; !errors.Is(err, errSeenEnough) || !slices.Equal(seen, want) {
		t.Errorf("saw %v and %v, want %v", seen, err, want)
	}
}

// TestWatchDebounce takes changes that come close together as one.
func TestWatchDebounce(t *testing.T) {
	url, c := door(t)
	var seen []string
	p := &program{out: io.Discard, err: io.Discard}
	err := p.follow(t.Context(), connected(t, url), "/v1/kv/k", nil, false, 200*time.Millisecond, func(_ context.Context, d client.Document) error {
		seen = append(seen, string(d.JSON))
		if len(seen) == 2 {
			return errSeenEnough
		}
		go func() {
			for i := range 5 {
				_, _ = c.KV().Put(context.Background(), "k", []byte(fmt.Sprint(i)), client.PutOptions{})
			}
		}()
		return nil
	})
	if !errors.Is(err, errSeenEnough) || seen[0] != "null" || !strings.Contains(seen[1], `"Value":"NA=="`) {
		t.Errorf("saw %q and %v", seen, err)
	}
}

func TestWatchEndsWithItsContext(t *testing.T) {
	url, _ := door(t)
	ctx, stop := context.WithCancel(t.Context())
	p := &program{out: io.Discard, err: io.Discard}
	err := p.follow(ctx, connected(t, url), "/v1/kv/k", nil, false, 0, func(context.Context, client.Document) error { stop(); return nil })
	if err != nil {
		t.Error(err)
	}
}

func connected(t *testing.T, url string) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{Addresses: []string{url}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}
