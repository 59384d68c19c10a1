//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

const (
	// base is where every lab has its directory. It is the same for all, whatever
	// TMPDIR says, so that each finds what others left behind.
	base = "/var/tmp"
	// prefix begins the names of directories and namespaces.
	prefix = "herald-chaos-"

	// insideVar tells the inner process which lab it is in, nodesVar how many nodes that has.
	insideVar = "HERALD_CHAOS_LAB"
	nodesVar  = "HERALD_CHAOS_NODES"

	lockFile = "lock"
)

// Building is the outer process's part of a lab.
type Building struct {
	dir   string
	nodes int
	lock  *os.File
}

// Build makes the namespaces and wires of a lab, after removing what crashed runs left.
func Build(nodes int) (_ *Building, err error) {
	if nodes < 1 || nodes > 50 {
		return nil, fmt.Errorf("a lab of %d nodes: want 1 to 50", nodes)
	}
	if err := checkMachine(); err != nil {
		return nil, fmt.Errorf("this machine cannot run the lab: %w", err)
	}
	if err := removeStale(); err != nil {
		return nil, fmt.Errorf("what an earlier run left behind: %w", err)
	}
	dir, err := os.MkdirTemp(base, prefix)
	if err != nil {
		return nil, err
	}
	b := &Building{dir: dir, nodes: nodes}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Remove())
		}
	}()
	if b.lock, err = lock(dir); err != nil {
		return nil, err
	}
	return b, b.wire()
}

// lock takes a directory's lock, or fails with syscall.EWOULDBLOCK.
func lock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// wire makes the bridge's namespace, the clients' and each node's, and joins them.
func (b *Building) wire() error {
	hub := b.namespace("net")
	steps := [][]string{
		{"netns", "add", hub},
		{"-n", hub, "link", "add", "br0", "type", "bridge"},
		{"-n", hub, "link", "set", "br0", "up"},
	}
	join := func(name, address string) {
		ns := b.namespace(name)
		steps = append(steps,
			[]string{"netns", "add", ns},
			[]string{"-n", hub, "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", ns},
			[]string{"-n", hub, "link", "set", name, "master", "br0", "up"},
			[]string{"-n", ns, "address", "add", address + "/24", "dev", "eth0"},
			[]string{"-n", ns, "link", "set", "eth0", "up"},
			[]string{"-n", ns, "link", "set", "lo", "up"})
	}
	join("clients", clientAddress)
	for i := range b.nodes {
		join(nodeName(i), nodeAddress(i))
	}
	for _, args := range steps {
		if err := run("ip", args...); err != nil {
			return err
		}
	}
	return nil
}

const clientAddress = "10.77.0.100"

func nodeName(i int) string    { return "n" + strconv.Itoa(i+1) }
func nodeAddress(i int) string { return "10.77.0." + strconv.Itoa(i+1) }

// PeerAddress is where the process of a node listens for the others, by the number of the node from 0.
func PeerAddress(i int) string { return nodeAddress(i) + ":" + peerPort }

func (b *Building) namespace(name string) string { return namespaceOf(b.dir, name) }

func namespaceOf(dir, name string) string { return filepath.Base(dir) + "-" + name }

// Run runs a command in the clients' namespace, where Enter finds the lab, and waits for
// it. When ctx ends the command is told to end, by SIGTERM.
func (b *Building) Run(ctx context.Context, argv []string) error {
	cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", b.namespace("clients")}, argv...)...)
	cmd.Env = append(os.Environ(), insideVar+"="+b.dir, nodesVar+"="+strconv.Itoa(b.nodes))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	// A group of its own, so that an interrupt at the terminal reaches it once, through ctx.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd.Run()
}

// Remove ends whatever still runs in the lab and removes all of it.
func (b *Building) Remove() error {
	err := remove(b.dir)
	if b.lock != nil {
		b.lock.Close()
	}
	return err
}
