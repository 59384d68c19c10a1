//go:build unix

package process

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Etcd is a real etcd, of any version since 3.4, that is started where Herald would be.
type Etcd struct {
	Binary string
}

// One starts a single etcd, and waits until it is ready. Each of set is a setting as etcd
// takes it from the environment, NAME=value; those that its version does not know are passed over.
func (e Etcd) One(t *testing.T, set ...string) *Process {
	t.Helper()
	p, _ := e.Server(t, set...)
	return p
}

// Server is One, and what starts it again on the same data and addresses.
func (e Etcd) Server(t *testing.T, set ...string) (p *Process, again func() *Process) {
	t.Helper()
	free, dir := FreeAddresses(t, 2), t.TempDir()
	again = func() *Process {
		t.Helper()
		p := e.launch(t, dir, free[:1], free[1:], 0, set)
		p.AwaitReady()
		return p
	}
	return again(), again
}

// Trio starts three that are one cluster. Those of its methods that ask with herald's
// commands are not for them.
func (e Etcd) Trio(t *testing.T, set ...string) *Trio {
	t.Helper()
	c := &Trio{t: t}
	free, dir := FreeAddresses(t, 6), t.TempDir()
	copy(c.Etcd[:], free[:3])
	copy(c.Peers[:], free[3:])
	c.launch = func(i int) *Process { return e.launch(t, dir, c.Etcd[:], c.Peers[:], i, set) }
	c.start()
	return c
}

// launch starts the one at i of those at the addresses.
func (e Etcd) launch(t *testing.T, dir string, doors, peers []string, i int, set []string) *Process {
	t.Helper()
	var members []string
	for j, p := range peers {
		members = append(members, fmt.Sprintf("%s=http://%s", Name(j), p))
	}
	cmd := exec.Command(e.Binary, "--name", Name(i), "--data-dir", filepath.Join(dir, Name(i)),
		"--listen-client-urls", "http://"+doors[i], "--advertise-client-urls", "http://"+doors[i],
		"--listen-peer-urls", "http://"+peers[i], "--initial-advertise-peer-urls", "http://"+peers[i],
		"--initial-cluster", strings.Join(members, ","), "--logger", "zap", "--log-level", "warn")
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "ETCD_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, set...)
	p := &Process{t: t, cmd: cmd, Etcd: doors[i], ready: "http://" + doors[i] + "/health"}
	p.run(io.Discard)
	return p
}
