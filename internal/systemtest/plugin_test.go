//go:build e2e

package systemtest

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"herald/internal/systemtest/process"
)

// TestPluginsFromAnotherModule builds the example module and runs the binary it
// makes: a door and a kind of check that Herald's own packages know nothing of.
func TestPluginsFromAnotherModule(t *testing.T) {
	plus := filepath.Join(t.TempDir(), "herald-plus")
	build := exec.Command("go", "build", "-o", plus, "./herald-plus")
	build.Dir = filepath.Join("..", "..", "examples", "plugin")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	process.Use(t, plus)

	listed := output(t, plus, "plugins")
	for _, want := range []string{"line", "banner"} {
		if !strings.Contains(listed, want) {
			t.Errorf("herald-plus plugins lists no %q:\n%s", want, listed)
		}
	}

	greeter, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer greeter.Close()
	go func() {
		for {
			c, err := greeter.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(c, "SSH-2.0-test\r\n")
			c.Close()
		}
	}()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	line := l.Addr().String()
	l.Close()

	dir := t.TempDir()
	definition := fmt.Sprintf(`{"service": {"name": "ssh", "address": "127.0.0.1", "port": %d, "check":
		{"kind": "banner", "interval": "100ms", "timeout": "1s", "spec": {"address": %q, "expect": "SSH-2.0-"}}}}`,
		greeter.Addr().(*net.TCPAddr).Port, greeter.Addr())
	if err := os.WriteFile(filepath.Join(dir, "ssh.json"), []byte(definition), 0o600); err != nil {
		t.Fatal(err)
	}
	p := process.Dev(t, "--line-address", line, "--config-dir", dir)
	curl(t, "-X", "PUT", "-d", "hello", p.URL("/v1/kv/greeting"))
	process.Eventually(t, 5*time.Second, "passing by the plugin's check", func() error { return serves(t, p, "ssh") })

	c, err := net.Dial("tcp", line)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	answers := bufio.NewReader(c)
	for ask, want := range map[string]string{
		"get greeting": "ok hello", "get nothing": "error: no key nothing",
		"find ssh": "ok " + greeter.Addr().String(), "find nobody": "error: no service nobody",
	} {
		fmt.Fprintln(c, ask)
		got, err := answers.ReadString('\n')
		if err != nil || strings.TrimSpace(got) != want {
			t.Errorf("%q: got %q, %v, want %q", ask, got, err, want)
		}
	}
}
