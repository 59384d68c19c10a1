package cli

import (
	"strings"
	"testing"
)

func TestTree(t *testing.T) {
	keys := []string{"app/", "app/db/host", "app/db/port", "app/name", "apple", "b//c", "z\n"}
	for _, tc := range []struct {
		prefix, want string
		depth        int
	}{
		{"", `
├── app/
│   ├── db/
│   │   ├── host
│   │   └── port
│   └── name
├── apple
├── b/
│   └── /
│       └── c
└── "z\n"
`, 0},
		{"", `
├── app/ (4)
├── apple
├── b/ (1)
└── "z\n"
`, 1},
		{"", `
├── app/
│   ├── db/ (2)
│   └── name
├── apple
├── b/
│   └── / (1)
└── "z\n"
`, 2},
		{"app/", `
├── db/
│   ├── host
│   └── port
└── name
`, 0},
		{"app/d", `
└── db/
    ├── host
    └── port
`, 0},
		{"ap", `
├── app/ (4)
└── apple
`, 1},
		{"none", "\n", 0},
	} {
		var below []string
		for _, k := range keys {
			if strings.HasPrefix(k, tc.prefix) {
				below = append(below, k)
			}
		}
		var out strings.Builder
		if err := newFolder(below, tc.prefix).print(&out, "", tc.depth); err != nil {
			t.Fatal(err)
		}
		if got := "\n" + out.String(); got != tc.want {
			t.Errorf("%q, %d levels:%s\nwant:%s", tc.prefix, tc.depth, got, tc.want)
		}
	}
}

func TestTreeOfAServer(t *testing.T) {
	url, c := door(t)
	put(t, c, "a/b", "1")
	put(t, c, "a/c/d", "2")
	if out, stderr, status := run("kv", "tree", "--depth", "2", "--server", url); status != 0 || out != "└── a/\n    ├── b\n    └── c/ (1)\n" {
		t.Errorf("status %d, %s, %s", status, out, stderr)
	}
}
