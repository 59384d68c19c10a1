package cli

import (
	"os"
	"reflect"
	"testing"
	"time"
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
