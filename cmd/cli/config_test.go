package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"herald/registry/plugin"
)

// testDoor is a door with one setting of each kind and nothing behind it.
type testDoor struct{ cfg testDoorConfig }

type testDoorConfig struct {
	Address string        `config:"address" usage:"where"`
	Limit   int           `config:"max_size" usage:"how much"`
	Fast    bool          `config:"fast" usage:"whether"`
	Every   time.Duration `config:"every" usage:"how often"`
	Names   []string      `config:"names" usage:"which"`
	Inner   struct {
		Depth float64 `config:"depth" usage:"how deep"`
	} `config:"inner"`
}

func (d *testDoor) Config() any { return &d.cfg }
func (d *testDoor) Validate() error {
	if d.cfg.Limit < 0 {
		return errors.New("max_size is negative")
	}
	return nil
}
func (d *testDoor) Open(context.Context, *plugin.Host) error { return nil }
func (d *testDoor) Addresses() []plugin.Address              { return nil }
func (d *testDoor) Run(ctx context.Context) error            { <-ctx.Done(); return nil }

func withTestDoor() *plugin.Registry {
	r := &plugin.Registry{}
	r.Door(plugin.DoorInfo{Name: "probe", Summary: "a door to test settings with", New: func() plugin.Door {
		return &testDoor{cfg: testDoorConfig{Address: "127.0.0.1:1", Limit: 7, Every: time.Second}}
	}})
	return r
}

// loadWith loads settings as a command would.
func loadWith(t *testing.T, file string, env map[string]string, flags ...string) (*config, error) {
	t.Helper()
	cmd := &cobra.Command{Use: "test"}
	c := newConfig(withTestDoor(), cmd.Flags())
	c.addFlags()
	if file != "" {
		path := filepath.Join(t.TempDir(), "herald.yaml")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		flags = append(flags, "--config", path)
	}
	for k, v := range env {
		t.Setenv(k, v)
	}
	if err := cmd.ParseFlags(flags); err != nil {
		t.Fatal(err)
	}
	return c, c.load()
}

func (c *config) probe(t *testing.T) testDoorConfig {
	t.Helper()
	if len(c.doors) != 1 {
		t.Fatalf("%d doors", len(c.doors))
	}
	return c.doors[0].Door.(*testDoor).cfg
}

func TestPrecedence(t *testing.T) {
	const file = "doors:\n  probe:\n    address: file\n    max_size: 2\n    every: 2s\nlog:\n  level: debug\n"
	env := map[string]string{"HERALD_DOORS_PROBE_ADDRESS": "environment", "HERALD_DOORS_PROBE_MAX_SIZE": "3"}
	c, err := loadWith(t, file, env, "--probe-address", "flag")
	if err != nil {
		t.Fatal(err)
	}
	if got := c.probe(t); got.Address != "flag" || got.Limit != 3 || got.Every != 2*time.Second {
		t.Errorf("door settings: %+v", got)
	}
	if c.core.Log.Level != "debug" || c.core.Log.Format != "text" {
		t.Errorf("log settings: %+v", c.core.Log)
	}
	want := map[string]string{
		"doors.probe.address":  "flag --probe-address",
		"doors.probe.max_size": "environment HERALD_DOORS_PROBE_MAX_SIZE",
		"doors.probe.every":    "file " + c.file,
		"log.level":            "file " + c.file,
		"log.format":           "default",
		"doors.probe.enabled":  "default",
	}
	for _, e := range c.effective() {
		if from, ok := want[e.Name]; ok && e.Source != from {
			t.Errorf("%s is said to be from %q, is from %q", e.Name, e.Source, from)
		}
	}
}

func TestEveryKindOfSettingFromEverySource(t *testing.T) {
	want := testDoorConfig{Address: "a:2", Limit: 9, Fast: true, Every: 90 * time.Second, Names: []string{"x", "y"}}
	want.Inner.Depth = 1.5
	check := func(t *testing.T, c *config, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		got, _ := json.Marshal(c.probe(t))
		wanted, _ := json.Marshal(want)
		if !bytes.Equal(got, wanted) {
			t.Errorf("got %s\nwant %s", got, wanted)
		}
	}
	t.Run("file", func(t *testing.T) {
		c, err := loadWith(t, "doors: {probe: {address: 'a:2', max_size: 9, fast: true, every: 90s, names: [x, y], inner: {depth: 1.5}}}", nil)
		check(t, c, err)
	})
	t.Run("environment", func(t *testing.T) {
		c, err := loadWith(t, "", map[string]string{
			"HERALD_DOORS_PROBE_ADDRESS": "a:2", "HERALD_DOORS_PROBE_MAX_SIZE": "9", "HERALD_DOORS_PROBE_FAST": "true",
			"HERALD_DOORS_PROBE_EVERY": "90s", "HERALD_DOORS_PROBE_NAMES": "x,y", "HERALD_DOORS_PROBE_INNER_DEPTH": "1.5"})
		check(t, c, err)
	})
	t.Run("flags", func(t *testing.T) {
		c, err := loadWith(t, "", nil, "--probe-address", "a:2", "--probe-max-size", "9", "--probe-fast", "--probe-every", "90s",
			"--probe-names", "x", "--probe-names", "y", "--probe-inner-depth", "1.5")
		check(t, c, err)
	})
}

func TestBadSettings(t *testing.T) {
	for _, tc := range []struct{ name, file, want string }{
		{"unknown at the top", "bogus: 1", `unknown setting "bogus"`},
		{"a slip is suggested", "log:\n  levle: debug", `did you mean "log.level"?`},
		{"unknown in a door", "doors:\n  probe:\n    adress: x", `did you mean "doors.probe.address"?`},
		{"unknown door", "doors:\n  finger:\n    port: 79", `unknown setting "doors.finger.port"`},
		{"bad level", "log:\n  level: loud", "log.level"},
		{"bad format", "log:\n  format: xml", "log.format"},
		{"bad duration", "drain_timeout: soon", "drain_timeout"},
		{"bad number", "doors:\n  probe:\n    max_size: many", "max_size"},
		{"the door's own rule", "doors:\n  probe:\n    max_size: -1", "doors.probe: max_size is negative"},
		{"duration without a unit", "drain_timeout: 5", "has no unit"},
		{"duration of a door without a unit", "doors:\n  probe:\n    every: 5", "has no unit"},
		{"log store", "raft: {log_store: foo}", "log store"},
		{"lease too short", "agent: {lease_ttl: 1ms}", "1ms"},
		{"negative history", "history: {age: -1s}", "history age"},
		{"request size", "limits: {request_bytes: -5}", "request size"},
		{"peer address", "peer: {address: garbage}", "peer address"},
		{"no datacenter", "datacenter: ''", "datacenter"},
		{"negative drain", "drain_timeout: -1s", "drain_timeout"},
		{"join", "join: ['foo://x']", "join"},
		{"a group as a value", "doors: {probe: off}", `such as "doors.probe.enabled"`},
		{"bad pair", "node:\n  meta: [zone]", "node.meta"},
		{"not YAML", "a: [", "herald.yaml"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := loadWith(t, tc.file, nil); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
		})
	}
	t.Run("no such file", func(t *testing.T) {
		cmd := &cobra.Command{Use: "test"}
		c := newConfig(withTestDoor(), cmd.Flags())
		c.file = filepath.Join(t.TempDir(), "none.yaml")
		if err := c.load(); err == nil || !strings.Contains(err.Error(), "none.yaml") {
			t.Errorf("got %v", err)
		}
	})
}

func TestADoorThatIsNotEnabledIsLeftOut(t *testing.T) {
	c, err := loadWith(t, "doors: {probe: {enabled: false, max_size: -1}}", nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.doors) != 0 {
		t.Errorf("%d doors", len(c.doors))
	}
}

func TestNoTwoSettingsShareAFlagOrVariable(t *testing.T) {
	cmd := &cobra.Command{Use: "test"}
	c := newConfig(withTestDoor(), cmd.Flags())
	flags, envs := map[string]string{}, map[string]string{}
	for _, s := range c.all {
		if first, taken := flags[s.flag]; taken {
			t.Errorf("%s and %s share --%s", first, s.name, s.flag)
		}
		if first, taken := envs[s.env]; taken {
			t.Errorf("%s and %s share %s", first, s.name, s.env)
		}
		flags[s.flag], envs[s.env] = s.name, s.name
		if s.usage == "" {
			t.Errorf("%s says nothing in the help", s.name)
		}
	}
}

func TestADurationOfZeroNeedsNoUnit(t *testing.T) {
	c, err := loadWith(t, "history: {age: 0}", nil)
	if err != nil || c.core.History.Age != 0 {
		t.Errorf("%v, %v", c.core.History.Age, err)
	}
}
