//go:build unix

package process

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Process is a server that runs, or has run: herald, or etcd.
type Process struct {
	// HTTP, DNS and Etcd are where its doors listen, host:port. They do not change. A real
	// etcd has Etcd alone.
	HTTP, DNS, Etcd string

	t     *testing.T
	cmd   *exec.Cmd
	ready string // URL that answers with 200 once it is ready
	log   *Buffer
	done  chan struct{} // closed once it has exited
	err   error         // how, after done
}

// Buffer collects what a process prints. Its methods may be called by several goroutines.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write never fails.
func (l *Buffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String is all that was written.
func (l *Buffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Dev starts a single node, on ports that it chooses where args say none, and waits until it is ready.
func Dev(t *testing.T, args ...string) *Process {
	t.Helper()
	return Start(t, append([]string{"dev", "--http-address", "127.0.0.1:0", "--dns-address", "127.0.0.1:0",
		"--peer-address", "127.0.0.1:0", "--etcd-address", "127.0.0.1:0"}, args...)...)
}

// Start starts herald and waits until it is ready.
func Start(t *testing.T, args ...string) *Process {
	t.Helper()
	p := Launch(t, args...)
	p.AwaitReady()
	return p
}

// Launch starts herald and waits until it listens. Nobody says that it is ready.
func Launch(t *testing.T, args ...string) *Process {
	t.Helper()
	cmd := Command(args...)
	cmd.Env = append(cmd.Env, "TMPDIR="+t.TempDir()) // what a killed dev node leaves
	p := &Process{t: t, cmd: cmd}
	listening := make(chan struct{})
	p.run(&announcement{p: p, whole: listening})
	select {
	case <-listening:
	case <-p.done:
		t.Fatalf("herald %s did not start: %v\n%s", strings.Join(args, " "), p.err, p.log)
	}
	p.ready = p.URL("/readyz")
	return p
}

// run starts the process, to be ended with the test. What it prints goes to its log, and to
// out as well, whose Write never fails.
func (p *Process) run(out io.Writer) {
	p.t.Helper()
	p.log, p.done = &Buffer{}, make(chan struct{})
	p.cmd.Stdout, p.cmd.Stderr = io.MultiWriter(p.log, out), p.log
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	p.t.Cleanup(func() {
		p.Kill()
		if p.t.Failed() {
			p.t.Logf("%s printed:\n%s", strings.Join(p.cmd.Args, " "), p.log)
		}
	})
}

// announcement hears from the first lines that herald prints where its doors listen. What comes after
// the last of them, http, is not its business.
type announcement struct {
	p     *Process
	line  []byte
	whole chan<- struct{} // closed by the last, and nil then
}

// Write is called by one goroutine at a time.
func (a *announcement) Write(b []byte) (int, error) {
	a.line = append(a.line, b...)
	for a.whole != nil {
		line, rest, ended := bytes.Cut(a.line, []byte("\n"))
		if !ended {
			return len(b), nil
		}
		a.line = rest
		f := strings.Fields(string(line))
		if len(f) < 2 {
			continue
		}
		switch address := strings.TrimSuffix(strings.TrimSuffix(f[1], "/udp"), "/tcp"); f[0] {
		case "etcd":
			a.p.Etcd = address
		case "dns":
			a.p.DNS = address
		case "http":
			a.p.HTTP = address
			close(a.whole)
			a.whole = nil
		}
	}
	a.line = nil
	return len(b), nil
}

// AwaitReady waits until the process says to probes that it is ready, and fails the
// test if that takes more than 20 s.
func (p *Process) AwaitReady() {
	p.t.Helper()
	hasty := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	Eventually(p.t, 20*time.Second, "ready", func() error {
		resp, err := hasty.Get(p.ready)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answered %s", p.ready, resp.Status)
		}
		return nil
	})
}

// Kill ends the process as a crash would, and waits for its end.
func (p *Process) Kill() {
	p.cmd.Process.Kill()
	<-p.done
}

// Stop asks the process to end and expects it to do so in order, within 20 s.
func (p *Process) Stop() {
	p.t.Helper()
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		p.t.Fatal("no end within 20 s of SIGTERM")
	}
	if p.err != nil {
		p.t.Fatalf("after SIGTERM: %v", p.err)
	}
}

// Freeze stops the process's threads where they are: it keeps its connections and answers nothing. The
// returned function has it go on, once.
func (p *Process) Freeze() (thaw func()) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		p.t.Fatal(err)
	}
	return sync.OnceFunc(func() { _ = p.cmd.Process.Signal(syscall.SIGCONT) })
}

// Signal sends the process a signal.
func (p *Process) Signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// Done is closed once the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Printed is what the process has printed so far, errors included.
func (p *Process) Printed() string { return p.log.String() }

// URL is an address in the process's HTTP door.
func (p *Process) URL(path string) string { return "http://" + p.HTTP + path }

// Herald runs a command of the binary against p and returns what it printed, without the last newline.
func (p *Process) Herald(args ...string) string {
	p.t.Helper()
	out, err := Command(append(args, "--server", p.HTTP)...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			p.t.Fatalf("herald %s: %v\n%s", strings.Join(args, " "), err, exit.Stderr)
		}
		p.t.Fatalf("herald %s: %v", strings.Join(args, " "), err)
	}
	return strings.TrimSuffix(string(out), "\n")
}

// Eventually polls until check is content, and fails the test at the deadline. It
// returns how long it took.
func Eventually(t *testing.T, within time.Duration, what string, check func() error) time.Duration {
	t.Helper()
	begin := time.Now()
	for {
		err := check()
		if err == nil {
			return time.Since(begin)
		}
		if time.Since(begin) > within {
			t.Fatalf("%s: not within %v: %v", what, within, err)
		}
		<-time.After(5 * time.Millisecond)
	}
}
