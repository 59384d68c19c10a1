package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestConfigGetAndPut(t *testing.T) {
	url, c := door(t)
	dir := t.TempDir()
	write := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	put(t, c, "shop/old", "x")
	if _, stderr, status := run("config", "put", "shop", write("a.YAML", "db: {host: h, port: 5432}\n"), "--server", url); status != 0 {
		t.Fatalf("status %d: %s", status, stderr)
	}
	for _, tc := range []struct{ args, want string }{
		{"shop", `{"db":{"host":"h","port":"5432"},"old":"x"}`},
		{"shop/db --format yaml --typed", "host: h\nport: 5432\n"},
		{"shop/db --format env", "host=h\nport=5432\n"},
	} {
		out, stderr, status := run(append(append([]string{"config", "get"}, strings.Fields(tc.args)...), "--server", url)...)
		if squeezed := strings.NewReplacer(" ", "", "\n", "").Replace(out); status != 0 || out != tc.want && squeezed != tc.want || !strings.HasSuffix(out, "\n") {
			t.Errorf("get %s: status %d, %q, %s", tc.args, status, out, stderr)
		}
	}
	if _, stderr, status := run("config", "put", "shop", write("b", `{"new":"y"}`), "--prune", "--server", url); status != 0 {
		t.Fatalf("status %d: %s", status, stderr)
	}
	if got := value(t, c, "shop/new") + value(t, c, "shop/old") + value(t, c, "shop/db/host"); got != "y(none)(none)" {
		t.Errorf("after a document that prunes: %s", got)
	}
	for _, tc := range []struct{ args, want string }{
		{"get none", `"none"`},
		{"get shop --format xml", "xml"},
		{"put shop " + write("c.json", "[1]"), "list"},
		{"put shop " + filepath.Join(dir, "nofile"), "nofile"},
	} {
		if _, stderr, status := run(append(append([]string{"config"}, strings.Fields(tc.args)...), "--server", url)...); status != 1 || !strings.Contains(stderr, tc.want) {
			t.Errorf("%s: status %d, %s", tc.args, status, stderr)
		}
	}
}
