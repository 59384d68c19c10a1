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

// OneWithTLS starts a single etcd that speaks TLS, and wants of its clients what the authority has signed. All
// are files. It tells of its health on another port, as it does not have to speak TLS there.
func (e Etcd) OneWithTLS(t *testing.T, cert, key, authority string) *Process {
	t.Helper()
	free, dir := FreeAddresses(t, 3), t.TempDir()
	door := "https://" + free[0]
	cmd := e.command("--name", Name(0), "--data-dir", dir, "--listen-client-urls", door, "--advertise-client-urls", door,
		"--listen-peer-urls", "http://"+free[1], "--initial-advertise-peer-urls", "http://"+free[1], "--initial-cluster", Name(0)+"=http://"+free[1],
		"--cert-file", cert, "--key-file", key, "--trusted-ca-file", authority, "--client-cert-auth",
		"--listen-metrics-urls", "http://"+free[2])
	p := &Process{t: t, cmd: cmd, Etcd: free[0], ready: "http://" + free[2] + "/health"}
	p.run(io.Discard)
	p.AwaitReady()
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
	c.fourth = func() (string, func() *Process) {
		free := FreeAddresses(t, 2)
		doors, peers := append(c.Etcd[:], free[0]), append(c.Peers[:], free[1])
		return free[1], func() *Process {
			return e.launch(t, dir, doors, peers, 3, append(set, "ETCD_INITIAL_CLUSTER_STATE=existing"))
		}
	}
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
	cmd := e.command("--name", Name(i), "--data-dir", filepath.Join(dir, Name(i)),
		"--listen-client-urls", "http://"+doors[i], "--advertise-client-urls", "http://"+doors[i],
		"--listen-peer-urls", "http://"+peers[i], "--initial-advertise-peer-urls", "http://"+peers[i],
		"--initial-cluster", strings.Join(members, ","))
	cmd.Env = append(cmd.Env, set...)
	p := &Process{t: t, cmd: cmd, Etcd: doors[i], ready: "http://" + doors[i] + "/health"}
	p.run(io.Discard)
	return p
}

// command prepares etcd, which says what is wrong and nothing else, without the ETCD_ variables of the environment.
func (e Etcd) command(args ...string) *exec.Cmd {
	cmd := exec.Command(e.Binary, append(args, "--logger", "zap", "--log-level", "warn")...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "ETCD_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	return cmd
}
