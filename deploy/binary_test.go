package deploy

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// binary is the herald that the files are put to: the one that HERALD_BIN names, or one
// built for the purpose.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		if binary = os.Getenv("HERALD_BIN"); binary != "" {
			return m.Run()
		}
		dir, err := os.MkdirTemp("", "herald-deploy-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "herald")
		if out, err := exec.Command("go", "build", "-o", binary, "herald/cmd/herald").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "building herald: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// root is a path of the checkout, as seen from this package's directory.
func root(elem ...string) string { return filepath.Join(append([]string{".."}, elem...)...) }

// herald runs the binary with an environment of nothing but env.
func herald(env map[string]string, args ...string) (string, error) {
	cmd := exec.Command(binary, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	for k, v := range env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = fmt.Errorf("herald %s: %w: %s", strings.Join(args, " "), err, exit.Stderr)
	}
	return string(out), err
}

// setting is what "herald config show" says of one.
type setting struct {
	Name   string `json:"name"`
	Value  any    `json:"value"`
	Source string `json:"source"`
}

// settings is what a process started with this command line and environment would
// run with. It fails unless the program takes every flag, value and variable
// of its own, and each has an effect.
func settings(env map[string]string, args []string) (map[string]setting, error) {
	if len(args) == 0 || args[0] != "server" && args[0] != "agent" {
		return nil, fmt.Errorf("%q does not start a server or an agent", args)
	}
	if _, err := herald(nil, args[0], "--help"); err != nil {
		return nil, err
	}
	for _, a := range args[1:] {
		if !strings.HasPrefix(a, "--") || !strings.Contains(a, "=") {
			return nil, fmt.Errorf("argument %q is not of the form --flag=value", a)
		}
	}
	out, err := herald(env, append([]string{"config", "show", "--output=json"}, args[1:]...)...)
	if err != nil {
		return nil, err
	}
	var list []setting
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return nil, err
	}
	byName, sources := map[string]setting{}, map[string]bool{}
	for _, s := range list {
		byName[s.Name] = s
		sources[s.Source] = true
	}
	for _, a := range args[1:] {
		flag, _, _ := strings.Cut(a, "=")
		if !sources["flag "+flag] {
			return nil, fmt.Errorf("flag %s sets nothing", flag)
		}
	}
	for name := range env {
		if strings.HasPrefix(name, "HERALD_") && !sources["environment "+name] {
			return nil, fmt.Errorf("the environment's %s sets nothing, or a flag overrides it", name)
		}
	}
	return byName, nil
}

// text is a setting's value as one would write it.
func (s setting) text() string { return fmt.Sprint(s.Value) }

func TestSettingsRefusesWhatIsNotOne(t *testing.T) {
	for _, tt := range []struct {
		name string
		env  map[string]string
		args []string
		want string
	}{
		{"a flag", nil, []string{"server", "--no-such-flag=1"}, "no-such-flag"},
		{"a value", nil, []string{"server", "--log-format=xml"}, "log.format"},
		{"a variable", map[string]string{"HERALD_NO_SUCH": "1"}, []string{"server"}, "HERALD_NO_SUCH"},
		{"a command", nil, []string{"serve"}, "serve"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := settings(tt.env, tt.args); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("settings: %v, want an error about %s", err, tt.want)
			}
		})
	}
}
