//go:build e2e

package etcdclients

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestViper has a program with viper's remote provider read its configuration from a key, over
// etcd's door and over Consul's, and read it again after it was changed.
func TestViper(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "viperremote")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = "viperremote"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	p := one(t)
	c := connect(t, p.Etcd)
	const key = "config/app.yaml"
	providers := map[string]string{"etcd3": "http://" + p.Etcd, "consul": p.HTTP}
	if realEtcd != nil {
		delete(providers, "consul")
	}
	for provider, endpoint := range providers {
		put(t, c, key, "database:\n  host: db-1\n  port: 5432\n")
		cmd := exec.CommandContext(t.Context(), program, provider, endpoint, key)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		lines := linesOf(t, cmd)
		if got := next(t, lines); got != "db-1:5432" {
			t.Errorf("%s: the configuration is %q", provider, got)
		}
		put(t, c, key, "database:\n  host: db-2\n  port: 5433\n")
		fmt.Fprintln(in)
		if got := next(t, lines); got != "db-2:5433" {
			t.Errorf("%s: the configuration that was changed is %q", provider, got)
		}
	}
}
