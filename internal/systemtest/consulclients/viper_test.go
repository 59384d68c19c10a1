//go:build e2e

package consulclients

import (
	"bufio"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"herald/internal/systemtest/process"
)

// TestViper has a program with viper's Consul provider read its configuration from a key on one server, and read it again after it
// was changed on another.
func TestViper(t *testing.T) {
	program := filepath.Join(t.TempDir(), "viperremote")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = filepath.Join("..", "etcdclients", "viperremote")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	onServers(t, func(t *testing.T, servers []string) {
		const key = "config/app.yaml"
		change := func(text string) {
			t.Helper()
			if status, answer := process.Put(t, "http://"+servers[len(servers)-1]+"/v1/kv/"+key, text); status != http.StatusOK {
				t.Fatalf("status %d: %s", status, answer)
			}
		}
		change("database:\n  host: db-1\n  port: 5432\n")
		cmd := exec.CommandContext(soon(t), program, "consul", servers[0], key)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		var said strings.Builder
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		want := func(line string) {
			t.Helper()
			if lines.Scan(); lines.Text() != line {
				t.Errorf("the configuration is %q, want %q", lines.Text(), line)
			}
		}
		want("db-1:5432")
		change("database:\n  host: db-2\n  port: 5433\n")
		fmt.Fprintln(in)
		want("db-2:5433")
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v\n%s", err, said.String())
		}
	})
}
