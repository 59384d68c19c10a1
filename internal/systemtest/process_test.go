//go:build e2e

package systemtest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		for _, tool := range []string{"dig", "curl", "python3", "etcdctl"} {
			if _, err := exec.LookPath(tool); err != nil {
				fmt.Fprintf(os.Stderr, "systemtest: %s is needed and not installed: %v\n", tool, err)
				return 1
			}
		}
		if binary = os.Getenv("HERALD_BIN"); binary == "" {
			dir, err := os.MkdirTemp("", "herald-bin-")
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
			defer os.RemoveAll(dir)
			binary = filepath.Join(dir, "herald")
			build := exec.Command("go", "build", "-o", binary, "herald/cmd/herald")
			build.Env = append(os.Environ(), "CGO_ENABLED=0")
			if out, err := build.CombinedOutput(); err != nil {
				fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
				return 1
			}
		}
		return m.Run()
	}())
}

// process is a herald that runs.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	http string // host:port
	dns  string
	etcd string
	log  *lockedBuffer
	done chan struct{} // closed once it has exited
	err  error         // how, after done
}

// lockedBuffer collects what a process prints.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// command prepares herald with a clean environment.
func command(args ...string) *exec.Cmd {
	cmd := exec.Command(binary, args...)
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "HERALD_") {
			cmd.Env = append(cmd.Env, e)
		}
	}
	return cmd
}

// start starts herald and waits until it is ready, on the ports it chose.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	p := launch(t, args...)
	p.awaitReady()
	return p
}

// launch starts herald and waits until it listens. Nobody says that it is ready.
func launch(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: command(args...), log: &lockedBuffer{}, done: make(chan struct{})}
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
			case len(f) > 1 && f[0] == "http":
				p.http = strings.TrimSuffix(f[1], "/tcp")
				close(listening)
				io.Copy(p.log, out)
				return
			case len(f) > 1 && f[0] == "etcd":
				p.etcd = strings.TrimSuffix(f[1], "/tcp")
			case len(f) > 1 && f[0] == "dns":
				p.dns = strings.TrimSuffix(strings.TrimSuffix(f[1], "/udp"), "/tcp")
			}
		}
	}()
	go func() {
		<-read
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("herald %s printed:\n%s", strings.Join(args, " "), p.log)
		}
	})
	<-listening
	if p.http == "" {
		<-p.done
		t.Fatalf("herald %s did not start: %v\n%s", strings.Join(args, " "), p.err, p.log)
	}
	return p
}

func (p *process) awaitReady() {
	p.t.Helper()
	eventually(p.t, 20*time.Second, "ready", func() error {
		if status := curlStatus(p.t, p.url("/readyz")); status != "200" {
			return fmt.Errorf("/readyz of %s answered %s", p.http, status)
		}
		return nil
	})
}

// kill ends the process as a crash would.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.done
}

// stop asks the process to end and expects it to do so in order.
func (p *process) stop() {
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

// eventually polls until check is content, and fails the test at the deadline.
// It returns how long it took.
func eventually(t *testing.T, within time.Duration, what string, check func() error) time.Duration {
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
