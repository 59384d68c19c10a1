package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// etcd is spoken to through its JSON gateway.
type etcd struct {
	dir, binary    string
	clients, peers []string
	http           [servers]*http.Client

	mu  sync.Mutex
	ids map[string]int // servers by member id
}

func newEtcd(dir, binary string) (*etcd, error) {
	if binary == "" {
		var err error
		if binary, err = exec.LookPath("etcd"); err != nil {
			return nil, errors.New("etcd is not installed: install Debian's etcd-server, or name a binary with -binary")
		}
	}
	free, err := freeAddresses(2 * servers)
	if err != nil {
		return nil, err
	}
	e := &etcd{dir: dir, binary: binary, clients: free[:servers], peers: free[servers:], ids: map[string]int{}}
	for i := range e.http {
		e.http[i] = newClient()
	}
	return e, nil
}

func (e *etcd) name() string { return "etcd" }

func (e *etcd) command(i int) *exec.Cmd {
	var all []string
	for j, p := range e.peers {
		all = append(all, fmt.Sprintf("e%d=http://%s", j, p))
	}
	cmd := exec.Command(e.binary,
		"--name", fmt.Sprintf("e%d", i), "--data-dir", filepath.Join(e.dir, fmt.Sprintf("data-%d", i)),
		"--listen-client-urls", "http://"+e.clients[i], "--advertise-client-urls", "http://"+e.clients[i],
		"--listen-peer-urls", "http://"+e.peers[i], "--initial-advertise-peer-urls", "http://"+e.peers[i],
		"--initial-cluster", strings.Join(all, ","), "--initial-cluster-state", "new")
	cmd.Env = environment()
	return cmd
}

func (e *etcd) call(ctx context.Context, i int, path string, in, out any) error {
	b, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+e.clients[i]+path, bytes.NewReader(b))
	if err != nil {
		return err
	}
	body, err := do(e.http[i], req)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, out)
}

func (e *etcd) put(ctx context.Context, i int, key, value string) error {
	var out struct {
		Header struct {
			Revision string `json:"revision"`
		} `json:"header"`
	}
	err := e.call(ctx, i, "/v3/kv/put", map[string][]byte{"key": []byte(key), "value": []byte(value)}, &out)
	if err == nil && out.Header.Revision == "" {
		err = fmt.Errorf("server %d answered a put without a revision", i)
	}
	return err
}

// status is a member's answer about itself.
type status struct {
	Leader string `json:"leader"`
	Header struct {
		MemberID string `json:"member_id"`
	} `json:"header"`
}

func (e *etcd) status(ctx context.Context, i int) (status, error) {
	var s status
	if err := e.call(ctx, i, "/v3/maintenance/status", struct{}{}, &s); err != nil {
		return s, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ids[s.Header.MemberID] = i
	return s, nil
}

func (e *etcd) leader(ctx context.Context, i int) (int, error) {
	s, err := e.status(ctx, i)
	if err != nil {
		return -1, err
	}
	if at, known := e.member(s.Leader); known {
		return at, nil
	}
	// It goes by an id that nobody has told of itself yet.
	for j := range servers {
		_, _ = e.status(ctx, j)
	}
	at, _ := e.member(s.Leader)
	return at, nil
}

// member is the server of an id, or -1.
func (e *etcd) member(id string) (int, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if at, known := e.ids[id]; known {
		return at, true
	}
	return -1, false
}
