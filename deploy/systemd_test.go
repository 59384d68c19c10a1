package deploy

import (
	"bufio"
	"os"
	"path"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// readUnit reads a unit's settings: section.Name to its values in order.
func readUnit(t *testing.T, file string) map[string][]string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unit, section := map[string][]string{}, ""
	for s := bufio.NewScanner(f); s.Scan(); {
		line := strings.TrimSpace(s.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if line[0] == '[' {
			section = strings.Trim(line, "[]")
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			t.Fatalf("%s: %q is neither a section nor a setting", file, line)
		}
		unit[section+"."+name] = append(unit[section+"."+name], value)
	}
	return unit
}

// The units run what the sample configurations beside them configure. What
// systemd thinks of the units themselves is for systemd-analyze (make deploy-check).
func TestUnits(t *testing.T) {
	for _, tt := range []struct{ unit, command, installed, sample string }{
		{"systemd/herald-server.service", "server", "/etc/herald/server.yaml", "single.yaml"},
		{"systemd/herald-agent.service", "agent", "/etc/herald/agent.yaml", "agent.yaml"},
	} {
		t.Run(tt.command, func(t *testing.T) {
			unit := readUnit(t, tt.unit)
			one := func(name string) string {
				t.Helper()
				if len(unit[name]) != 1 {
					t.Fatalf("%s is set %d times, want once", name, len(unit[name]))
				}
				return unit[name][0]
			}

			want := "/usr/local/bin/herald " + tt.command + " --config " + tt.installed
			if got := one("Service.ExecStart"); got != want {
				t.Errorf("ExecStart is %q, want %q", got, want)
			}
			if help, err := herald(nil, tt.command, "--help"); err != nil || !strings.Contains(help, "--config ") {
				t.Errorf("herald %s takes no --config (%v)", tt.command, err)
			}
			if got := one("Unit.ConditionFileNotEmpty"); got != tt.installed {
				t.Errorf("it starts if %s is there, and reads %s", got, tt.installed)
			}
			if b, err := os.ReadFile(tt.unit); err != nil || !strings.Contains(string(b), "configs/"+tt.sample) {
				t.Errorf("it does not say that configs/%s is a start (%v)", tt.sample, err)
			}

			var sample struct {
				DataDir string `yaml:"data_dir"`
				Agent   struct {
					ConfigDirs []string `yaml:"config_dirs"`
				}
			}
			b, err := os.ReadFile(root("configs", tt.sample))
			if err != nil {
				t.Fatal(err)
			}
			if err := yaml.Unmarshal(b, &sample); err != nil {
				t.Fatal(err)
			}
			if _, err := herald(nil, "config", "validate", root("configs", tt.sample)); err != nil {
				t.Error(err)
			}
			if got := path.Join("/var/lib", one("Service.StateDirectory")); got != sample.DataDir {
				t.Errorf("systemd lets it write %s, and configs/%s has its data in %s", got, tt.sample, sample.DataDir)
			}
			for _, dir := range sample.Agent.ConfigDirs {
				if want := path.Join("/etc", one("Service.ConfigurationDirectory")); !strings.HasPrefix(dir, want+"/") {
					t.Errorf("configs/%s reads services from %s, outside of %s", tt.sample, dir, want)
				}
			}
		})
	}
}
