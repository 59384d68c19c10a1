package cli

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"herald/internal/node"
	"herald/registry/plugin"
)

// What was given as a flag stays; what is in the file is read as it is now, and what
// is wrong there is refused.
func TestSettingsAgain(t *testing.T) {
	c, err := loadWith(t, "doors:\n  probe:\n    max_size: 9\n    fast: true\n", map[string]string{"HERALD_DOORS_PROBE_EVERY": "3s"},
		"--probe-names", "a,b c", "--probe-address", "127.0.0.1:2", "--data-dir", "/x")
	if err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		if err := os.WriteFile(c.file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("doors:\n  probe:\n    max_size: 10\n    address: 127.0.0.1:3\n")
	next, err := c.again(withTestDoor())
	if err != nil {
		t.Fatal(err)
	}
	want := testDoorConfig{Address: "127.0.0.1:2", Limit: 10, Every: 3 * time.Second, Names: []string{"a", "b c"}}
	if got := next.doors[0].Door.(*testDoor).cfg; !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if next.core.DataDir != "/x" {
		t.Errorf("the data directory is %q", next.core.DataDir)
	}
	if got := c.doors[0].Door.(*testDoor).cfg; got.Limit != 9 {
		t.Errorf("what runs was changed: %+v", got)
	}
	for _, bad := range []string{"doors:\n  probe:\n    max_sise: 10\n", "doors:\n  probe:\n    max_size: -1\n", "doors: ["} {
		write(bad)
		if _, err := c.again(withTestDoor()); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// reloadable is a door of which one setting may change while it runs.
type reloadable struct {
	testDoor
	refuse error
}

func (d *reloadable) Reload(config any) (restart []string, err error) {
	next := config.(*testDoorConfig)
	if d.refuse != nil {
		return nil, d.refuse
	}
	d.cfg.Limit = next.Limit
	if next.Address != d.cfg.Address {
		restart = append(restart, "address")
	}
	return restart, nil
}

// What may change does; what needs a restart is named, once for each setting, and nothing else is.
func TestSettingsAdopted(t *testing.T) {
	for name, tc := range map[string]struct {
		file       string
		reloadable bool
		level      slog.Level
		limit      int // of the door that can be reloaded
		restart    []string
	}{
		"as it was":                {"log: {level: warn}\ndoors: {probe: {max_size: 9}}\ndrain_timeout: 7s\nnode: {meta: [a=b]}", true, slog.LevelWarn, 9, nil},
		"spelled in another way":   {"log: {level: WARN}\ndoors: {probe: {max_size: 9}}\ndrain_timeout: 7000ms\nnode: {meta: 'a=b'}", true, slog.LevelWarn, 9, nil},
		"a level":                  {"log: {level: debug}\ndoors: {probe: {max_size: 9}}\ndrain_timeout: 7s\nnode: {meta: [a=b]}", true, slog.LevelDebug, 9, nil},
		"a limit, and an address":  {"doors: {probe: {max_size: 10, address: '127.0.0.1:9'}}\ndrain_timeout: 7s\nnode: {meta: [a=b]}", true, slog.LevelInfo, 10, []string{"doors.probe.address"}},
		"of a door that cannot":    {"doors: {probe: {max_size: 10, inner: {depth: 2}}}\ndrain_timeout: 7s\nnode: {meta: [a=b]}", false, slog.LevelInfo, 9, []string{"doors.probe.inner.depth", "doors.probe.max_size"}},
		"a door that is shut":      {"doors: {probe: {enabled: false, max_size: 9}}\ndrain_timeout: 7s\nnode: {meta: [a=b]}", true, slog.LevelInfo, 9, []string{"doors.probe.enabled"}},
		"of the process itself":    {"doors: {probe: {max_size: 9}}\ndrain_timeout: 8s", true, slog.LevelInfo, 9, []string{"drain_timeout", "node.meta"}},
		"what a flag has said too": {"doors: {probe: {max_size: 9}}\ndrain_timeout: 7s\nnode: {meta: [a=b]}\ndata_dir: /elsewhere", true, slog.LevelInfo, 9, nil},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := loadWith(t, "log: {level: warn}\ndoors: {probe: {max_size: 9}}\ndrain_timeout: 7s\nnode: {meta: [a=b]}", nil, "--data-dir", "/x")
			if err != nil {
				t.Fatal(err)
			}
			door := &reloadable{testDoor: testDoor{cfg: c.probe(t)}}
			if tc.reloadable {
				c.doors = []node.NamedDoor{{Name: "probe", Door: door}}
			}
			if err := os.WriteFile(c.file, []byte(tc.file), 0o600); err != nil {
				t.Fatal(err)
			}
			next, err := c.again(withTestDoor())
			if err != nil {
				t.Fatal(err)
			}
			var said bytes.Buffer
			c.logger(&bytes.Buffer{}) // the level it began with
			if err := c.adopt(next, slog.New(slog.NewTextHandler(&said, nil))); err != nil {
				t.Fatal(err)
			}
			var restart []string
			for line := range strings.Lines(said.String()) {
				_, name, _ := strings.Cut(strings.TrimSpace(line), "setting=")
				restart = append(restart, name)
			}
			if !slices.Equal(restart, tc.restart) {
				t.Errorf("%v need a restart, want %v", restart, tc.restart)
			}
			if c.level.Level() != tc.level || door.cfg.Limit != tc.limit {
				t.Errorf("level %v and limit %d, want %v and %d", c.level.Level(), door.cfg.Limit, tc.level, tc.limit)
			}
		})
	}
}

// An error of a door says of which.
func TestSettingsThatADoorRefuses(t *testing.T) {
	c, err := loadWith(t, "", nil, "--data-dir", "/x")
	if err != nil {
		t.Fatal(err)
	}
	next, err := c.again(withTestDoor())
	if err != nil {
		t.Fatal(err)
	}
	refused := errors.New("no")
	c.doors = []node.NamedDoor{{Name: "probe", Door: &reloadable{refuse: refused}}}
	if err := c.adopt(next, slog.New(slog.DiscardHandler)); !errors.Is(err, refused) || !strings.HasPrefix(err.Error(), "doors.probe: ") {
		t.Error(err)
	}
}

var _ plugin.Reloader = (*reloadable)(nil)
