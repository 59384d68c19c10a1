//go:build linux

package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// The ports of every node.
const (
	peerPort = "7400"
	httpPort = "8500"
	dnsPort  = "8600"
	etcdPort = "2379"
	doorPort = "7999"
)

// Node is one machine of the lab and the process on it.
type Node struct {
	Name    string
	Address string

	lab    *Lab
	index  int
	dir    string
	binary string
	args   []string

	mounted, frozen bool

	mu      sync.Mutex
	process *process
	life    int64 // how often a process was started
}

// process is a herald that runs, or has run.
type process struct {
	cmd    *exec.Cmd
	ended  chan struct{} // closed when it has ended, after err was set
	err    error
	asked  bool // it was told to end, or killed
	paused bool
}

// Peer, HTTP, DNS and Door are where the node's process listens.
func (n *Node) Peer() string { return n.Address + ":" + peerPort }

// HTTP is where the node's HTTP door listens.
func (n *Node) HTTP() string { return n.Address + ":" + httpPort }

// DNS is where the node's DNS door listens.
func (n *Node) DNS() string { return n.Address + ":" + dnsPort }

// Etcd is where the node's etcd door listens.
func (n *Node) Etcd() string { return n.Address + ":" + etcdPort }

// Door is where the node's test door listens.
func (n *Node) Door() string { return n.Address + ":" + doorPort }

func (n *Node) namespace() string { return namespaceOf(n.lab.dir, n.Name) }

// DataDir is the process's data directory, on the node's own disk.
func (n *Node) DataDir() string { return filepath.Join(n.disk(), "data") }

// Start starts the node's process. args come after all others.
func (n *Node) Start(args ...string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process != nil && n.process.runs() {
		return fmt.Errorf("%s runs already", n.Name)
	}
	log, err := os.OpenFile(n.logFile(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	argv := []string{
		"netns", "exec", n.namespace(), n.binary, "server",
		"--data-dir", n.DataDir(),
		"--node-name", n.Name, "--node-address", n.Address,
		"--peer-address", n.Peer(), "--http-address", n.HTTP(), "--dns-address", n.DNS(),
		"--etcd-address", n.Etcd(), "--chaos-address", n.Door(),
	}
	argv = append(append(argv, n.args...), args...)
	// ip puts the binary in its own place, so that the process is herald's.
	cmd := exec.Command("ip", argv...)
	cmd.Stdout, cmd.Stderr = log, log
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "HERALD_") {
			cmd.Env = append(cmd.Env, e)
		}
	}
	cmd.Env = append(cmd.Env, "HERALD_CHAOS_CLOCK="+n.clockFile(), "HERALD_CHAOS_STALL="+n.stallFile())
	// Signals at the terminal are for the runner.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	fmt.Fprintf(log, "--- start %s\n", strings.Join(argv[3:], " "))
	if err := cmd.Start(); err != nil {
		return err
	}
	p := &process{cmd: cmd, ended: make(chan struct{})}
	n.process = p
	n.life++
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	return nil
}

func (p *process) runs() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// Running reports whether the node's process runs; a paused one does. Any goroutine may ask.
func (n *Node) Running() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.process != nil && n.process.runs()
}

// Life numbers the node's processes, from 1; 0 while none runs. Any goroutine may ask.
func (n *Node) Life() int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process == nil || !n.process.runs() {
		return 0
	}
	return n.life
}

// Fallen is the error with which the process ended that nobody had told to end, or nil.
// Any goroutine may ask.
func (n *Node) Fallen() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.process
	if p == nil || p.runs() || p.asked {
		return nil
	}
	if p.err == nil {
		return errors.New("it ended without being told to")
	}
	return p.err
}

// signal sends a signal to the process, if it runs.
func (n *Node) signal(s syscall.Signal) (*process, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.process
	if p == nil || !p.runs() {
		return nil, nil
	}
	switch s {
	case syscall.SIGKILL, syscall.SIGTERM:
		p.asked = true
	case syscall.SIGSTOP:
		p.paused = true
	case syscall.SIGCONT:
		if !p.paused {
			return p, nil
		}
		p.paused = false
	}
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return p, fmt.Errorf("%s: %w", n.Name, err)
	}
	return p, nil
}

// Kill ends the process as a crash would, and waits for its end.
func (n *Node) Kill() error {
	p, err := n.signal(syscall.SIGKILL)
	if p == nil || err != nil {
		return err
	}
	if n.frozen {
		return nil // it ends when it is thawed
	}
	<-p.ended
	return nil
}

// Stop tells the process to end, and waits for it until ctx ends; then it is killed, and that
// is an error.
func (n *Node) Stop(ctx context.Context) error {
	p, err := n.signal(syscall.SIGTERM)
	if p == nil || err != nil {
		return err
	}
	select {
	case <-p.ended:
		if p.err != nil {
			return fmt.Errorf("%s, told to end: %w", n.Name, p.err)
		}
		return nil
	case <-ctx.Done():
		return errors.Join(fmt.Errorf("%s did not end when told to", n.Name), n.Kill())
	}
}

// Pause freezes the process.
func (n *Node) Pause() error {
	_, err := n.signal(syscall.SIGSTOP)
	return err
}

// Resume ends Pause.
func (n *Node) Resume() error {
	_, err := n.signal(syscall.SIGCONT)
	return err
}

// Command prepares a command that runs at the node, beside its process.
func (n *Node) Command(name string, args ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", n.namespace(), name}, args...)...)
}

// Panics are the lines of the node's log that a process leaves which ends by a mistake of its program.
func (n *Node) Panics() ([]string, error) {
	b, err := os.ReadFile(n.logFile())
	if err != nil {
		return nil, err
	}
	var found []string
	for line := range strings.Lines(string(b)) {
		for _, mark := range []string{"panic:", "fatal error:", "WARNING: DATA RACE"} {
			if strings.HasPrefix(line, mark) {
				found = append(found, n.Name+": "+strings.TrimSpace(line))
			}
		}
	}
	return found, nil
}
