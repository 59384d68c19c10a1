package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

type herald struct {
	dir, binary string
	http, peers []string
	clients     [servers]*http.Client
}

func newHerald(ctx context.Context, dir, binary string) (*herald, error) {
	free, err := freeAddresses(2 * servers)
	if err != nil {
		return nil, err
	}
	h := &herald{dir: dir, binary: binary, http: free[:servers], peers: free[servers:]}
	for i := range h.clients {
		h.clients[i] = newClient()
	}
	if h.binary == "" {
		h.binary = filepath.Join(dir, "herald")
		build := exec.CommandContext(ctx, "go", "build", "-o", h.binary, "herald/cmd/herald")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build herald: %w\n%s", err, out)
		}
	}
	return h, nil
}

func (h *herald) name() string { return "herald" }

func (h *herald) command(i int) *exec.Cmd {
	args := []string{
		"server", "--data-dir", filepath.Join(h.dir, fmt.Sprintf("data-%d", i)),
		"--node-name", fmt.Sprintf("herald-%d", i), "--node-address", "127.0.0.1",
		"--peer-address", h.peers[i], "--http-address", h.http[i], "--dns-address", "127.0.0.1:0", "--etcd-address", "127.0.0.1:0",
		"--bootstrap-expect", fmt.Sprint(servers), "--join", strings.Join(h.peers, ","),
	}
	cmd := exec.Command(h.binary, args...)
	cmd.Env = environment()
	return cmd
}

func (h *herald) put(ctx context.Context, i int, key, value string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://"+h.http[i]+"/v1/kv/"+key, strings.NewReader(value))
	if err != nil {
		return err
	}
	body, err := do(h.clients[i], req)
	if err == nil && strings.TrimSpace(string(body)) != "true" {
		err = fmt.Errorf("server %d answered %q to a put", i, body)
	}
	return err
}

func (h *herald) leader(ctx context.Context, i int) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+h.http[i]+"/v1/status/leader", nil)
	if err != nil {
		return -1, err
	}
	body, err := do(h.clients[i], req)
	if err != nil {
		return -1, err
	}
	var address string
	if err := json.Unmarshal(body, &address); err != nil {
		return -1, fmt.Errorf("server %d names its leader %q: %w", i, body, err)
	}
	return slices.Index(h.peers, address), nil
}

// do makes a request and returns its body; any status but 200 is an error.
func do(c *http.Client, req *http.Request) ([]byte, error) {
	resp, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", req.URL, resp.Status, body)
	}
	return body, err
}
