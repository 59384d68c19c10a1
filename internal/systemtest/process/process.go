//go:build unix

package process

import (
	"bufio"
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

// Process is a herald that runs, or has run.
type Process struct {
	// HTTP, DNS and Etcd are where its doors listen, host:port. They do not change.
	HTTP, DNS, Etcd string

	t    *testing.T
	cmd  *exec.Cmd
	log  *Buffer
	done chan struct{} // closed once it has exited
	err  error         // how, after done
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
	p := &Process{t: t, cmd: Command(args...), log: &Buffer{}, done: make(chan struct{})}
	p.cmd.Env = append(p.cmd.Env, "TMPDIR="+t.TempDir()) // what a killed dev node leaves
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stderr = p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	listening := make(chan struct{})
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer func() {
			select {
			case <-listening:
			default:
				close(listening)
			}
		}()
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			fmt.Fprintln(p.log, lines.Text())
			switch f := strings.Fields(lines.Text()); {
			case len(f) > 1 && f[0] == "http": // the last of the doors
				p.HTTP = strings.TrimSuffix(f[1], "/tcp")
				close(listening)
				io.Copy(p.log, out)
				return
			case len(f) > 1 && f[0] == "etcd":
				p.Etcd = strings.TrimSuffix(f[1], "/tcp")
			case len(f) > 1 && f[0] == "dns":
				p.DNS = strings.TrimSuffix(strings.TrimSuffix(f[1], "/udp"), "/tcp")
			}
		}
	}()
	go func() {
		<-read
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("herald %s printed:\n%s", strings.Join(args, " "), p.log)
		}
	})
	<-listening
	if p.HTTP == "" {
		<-p.done
		t.Fatalf("herald %s did not start: %v\n%s", strings.Join(args, " "), p.err, p.log)
	}
	return p
}

// AwaitReady waits until /readyz of the HTTP door says that the process is ready, and fails the
// test if that takes more than 20 s.
func (p *Process) AwaitReady() {
	p.t.Helper()
	hasty := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	Eventually(p.t, 20*time.Second, "ready", func() error {
		resp, err := hasty.Get(p.URL("/readyz"))
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("/readyz of %s answered %s", p.HTTP, resp.Status)
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
