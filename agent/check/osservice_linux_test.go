package check

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"herald/registry"
)

// TestOSService asks a service manager that says of a service what the service is called.
func TestOSService(t *testing.T) {
	dir := t.TempDir()
	const systemctl = "#!/bin/sh\n[ \"$1 $2\" = 'is-active --' ] || exit 9\n[ \"$3\" = broken ] && { echo 'Failed to connect to bus' >&2; exit 1; }\necho \"$3\"\n[ \"$3\" = active ] || exit 3\n"
	if err := os.WriteFile(filepath.Join(dir, "systemctl"), []byte(systemctl), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	for name, want := range map[string]struct {
		status registry.HealthStatus
		output string
	}{
		"active":     {registry.Passing, "service active: active"},
		"activating": {registry.Warning, "service activating: activating"},
		"reloading":  {registry.Warning, "service reloading: reloading"},
		"inactive":   {registry.Critical, "service inactive: inactive"},
		"failed":     {registry.Critical, "service failed: failed"},
		"broken":     {registry.Critical, "service broken: exit status 1: Failed to connect to bus"},
	} {
		c, err := NewOSService(registry.CheckDefinition{ID: "c", Kind: OSService, Spec: map[string]any{"service": name}})
		if err != nil {
			t.Fatal(err)
		}
		if status, output := c.Check(t.Context()); status != want.status || output != want.output {
			t.Errorf("%s: %s %q, want %s %q", name, status, output, want.status, want.output)
		}
	}
	t.Setenv("PATH", t.TempDir())
	c, err := NewOSService(registry.CheckDefinition{ID: "c", Kind: OSService, Spec: map[string]any{"service": "nginx"}})
	if err != nil {
		t.Fatal(err)
	}
	if status, output := c.Check(t.Context()); status != registry.Critical || !strings.Contains(output, "systemctl") {
		t.Errorf("without systemctl: %s %q", status, output)
	}
}

func TestOSServiceDefinitions(t *testing.T) {
	for _, name := range []string{"", "--version", "a\nb", "a\x00b"} {
		if _, err := NewOSService(registry.CheckDefinition{ID: "c", Kind: OSService, Spec: map[string]any{"service": name}}); err == nil {
			t.Errorf("a service called %q is accepted", name)
		}
	}
}
