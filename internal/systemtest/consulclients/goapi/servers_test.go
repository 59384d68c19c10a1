package consulapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

var asked atomic.Int64

// server returns a client of one of the servers, each time of the next one.
func server(t *testing.T) *api.Client {
	t.Helper()
	all := strings.Split(os.Getenv("HERALD_HTTP"), ",")
	if all[0] == "" {
		t.Fatal("HERALD_HTTP names no server")
	}
	cfg := api.DefaultConfig()
	cfg.Address = all[int(asked.Add(1))%len(all)]
	c, err := api.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// overEtcd does a call of etcd's API, as JSON.
func overEtcd(t *testing.T, path string, body map[string][]byte) {
	t.Helper()
	b, err := json.Marshal(body) // bytes in base64, as is wanted there
	check(t, err)
	all := strings.Split(os.Getenv("HERALD_ETCD"), ",")
	res, err := http.Post("http://"+all[int(asked.Add(1))%len(all)]+path, "application/json", bytes.NewReader(b))
	check(t, err)
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", path, res.Status)
	}
}

// name returns a name for this test's own things.
func name(t *testing.T, what string) string {
	return strings.ToLower(strings.NewReplacer("/", "-", " ", "-", "_", "-").Replace(t.Name())) + "-" + what
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits for what needs no more than a few seconds.
func eventually(t *testing.T, what string, look func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err = look(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}
