package archtest

import (
	"strings"
	"testing"
	"testing/fstest"
)

// fake makes a tree of files from a text in which each begins with "-- path --".
func fake(t *testing.T, text string) *tree {
	t.Helper()
	fsys := fstest.MapFS{}
	for _, part := range strings.Split("\n"+strings.TrimSpace(text)+"\n", "\n-- ")[1:] {
		name, body, ok := strings.Cut(part, " --\n")
		if !ok {
			t.Fatalf("malformed tree at %q", part)
		}
		fsys[name] = &fstest.MapFile{Data: []byte(body)}
	}
	tr, err := load(fsys)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// Every rule is shown trees that break it and trees that come close. want has
// one text for each violation, in order: its position and a part of its message.
func TestRules(t *testing.T) {
	tests := []struct {
		name  string
		check func(*tree) []violation
		tree  string
		want  []string
	}{
		{
			name:  "a door imports the store's implementation",
			check: importDirections,
			tree: `
-- httpserver/kv.go --
package httpserver

import (
	"herald/raftstore"
	"herald/registry"
)
`,
			want: []string{"httpserver/kv.go:4: httpserver must not import raftstore: a door meets"},
		},
		{
			name:  "a door imports another in its test",
			check: importDirections,
			tree:  "-- dnsserver/x_test.go --\npackage dnsserver_test\n\nimport _ \"herald/httpserver\"\n",
			want:  []string{"dnsserver/x_test.go:3: dnsserver must not import httpserver"},
		},
		{
			name:  "the suite is for tests",
			check: importDirections,
			tree: `
-- dnsserver/server.go --
package dnsserver

import "herald/registry/storetest"
-- dnsserver/server_test.go --
package dnsserver

import "herald/registry/storetest"
`,
			want: []string{"dnsserver/server.go:3: dnsserver must not import registry/storetest"},
		},
		{
			name:  "the vocabulary imports nothing of ours",
			check: importDirections,
			tree:  "-- registry/store.go --\npackage registry\n\nimport \"herald/registry/wire\"\n",
			want:  []string{"registry/store.go:3: registry must not import registry/wire: the vocabulary lies at the bottom, so it knows nobody (it may import nothing of ours)"},
		},
		{
			name:  "an external test imports its own package",
			check: importDirections,
			tree:  "-- registry/store_test.go --\npackage registry_test\n\nimport \"herald/registry\"\n",
		},
		{
			name:  "one file alone may register",
			check: importDirections,
			tree: `
-- agent/check/http.go --
package check

import "herald/registry/plugin"
-- agent/check/setup.go --
package check

import "herald/registry/plugin"
`,
			want: []string{"agent/check/http.go:3: agent/check must not import registry/plugin"},
		},
		{
			name:  "sub-packages by pattern",
			check: importDirections,
			tree: `
-- agent/agent.go --
package agent

import (
	"herald/agent/check"
	"herald/client"
)
`,
			want: []string{"agent/agent.go:5: agent must not import client"},
		},
		{
			name:  "a package that nobody decided on",
			check: importDirections,
			tree:  "-- pkg/things/a.go --\npackage things\n-- pkg/things/b.go --\npackage things\n",
			want:  []string{"pkg/things/a.go: package pkg/things is not in the table"},
		},
		{
			name:  "a wrapped library outside its home",
			check: thirdPartyHomes,
			tree: `
-- registry/catalog/index.go --
package catalog

import "github.com/tidwall/btree"
-- registry/cow/cow.go --
package cow

import "github.com/tidwall/btree"
`,
			want: []string{"registry/catalog/index.go:3: registry/catalog must not import github.com/tidwall/btree: registry/cow is its wrapper"},
		},
		{
			name:  "a module whose name begins like another's",
			check: thirdPartyHomes,
			tree:  "-- raftstore/a.go --\npackage raftstore\n\nimport _ \"github.com/hashicorp/raftish\"\n",
			want:  []string{"raftstore/a.go:3: github.com/hashicorp/raftish has no home"},
		},
		{
			name:  "a package below a module, in a package below its home",
			check: thirdPartyHomes,
			tree:  "-- internal/node/metrics/m.go --\npackage metrics\n\nimport _ \"github.com/prometheus/client_golang/prometheus/promhttp\"\n",
		},
		{
			name:  "a library for tests in the code",
			check: thirdPartyHomes,
			tree: `
-- agent/a.go --
package agent

import _ "go.uber.org/goleak"
-- agent/a_test.go --
package agent

import _ "go.uber.org/goleak"
`,
			want: []string{"agent/a.go:3: agent must not import go.uber.org/goleak: it is for tests (its home is _test.go files)"},
		},
		{
			name:  "a package comment in another file counts, in an external test it does not",
			check: packageComments,
			tree: `
-- a/a.go --
package a
-- a/doc.go --
// Package a is commented.
package a
-- b/b.go --
package b
-- b/b_test.go --
// Package b_test says nothing of b.
package b_test
-- c/c.go --
//go:build linux

package c
`,
			want: []string{"b/b.go: package b has no package comment", "c/c.go: package c has no package comment"},
		},
		{
			name:  "vague package names",
			check: packageNames,
			tree:  "-- internal/util/strings.go --\npackage stringutil\n-- a/a.go --\npackage helpers\n-- utility/u.go --\npackage utility\n",
			want:  []string{"a/a.go: package helpers", "internal/util/strings.go: package stringutil"},
		},
		{
			name:  "sleeping in real time and in a bubble",
			check: sleepingTests,
			tree: `
-- a/a_test.go --
package a

import (
	clock "time"
	"testing"
	"testing/synctest"
)

func TestBubble(t *testing.T) {
	wait := func() { clock.Sleep(1) }
	synctest.Test(t, func(t *testing.T) { wait(); settle() })
}

func TestReal(t *testing.T) {
	clock.Sleep(clock.Second)
	sleep := clock.Sleep
	sleep(1)
}
-- a/settle_test.go --
package a

import "time"

func settle() { time.Sleep(1) }
-- a/a.go --
package a

import "time"

func nap() { time.Sleep(1) }
`,
			want: []string{
				"a/a_test.go:15: sleeps in real time, reached from TestReal:",
				"a/a_test.go:16: sleeps in real time, reached from TestReal:",
			},
		},
		{
			name:  "what a bubble and a real test share",
			check: sleepingTests,
			tree: `
-- a/a_test.go --
package a

import (
	"testing"
	"testing/synctest"
	"time"
)

type cluster struct{}

func (c *cluster) leader() { c.wait() }
func (c *cluster) wait()   { time.Sleep(1) }

func bubble(t *testing.T, f func(*cluster)) {
	synctest.Test(t, func(t *testing.T) { f(new(cluster)) })
}

func TestBubble(t *testing.T) { bubble(t, func(c *cluster) { c.leader() }) }
func TestReal(t *testing.T)   { new(cluster).leader() }

func nap() { time.Sleep(1) }

func TestLocal(t *testing.T) {
	nap := func() {}
	nap()
}

var table = []func(){func() { time.Sleep(1) }}
`,
			want: []string{
				"a/a_test.go:12: sleeps in real time, reached from TestReal",
				"a/a_test.go:28: sleeps in real time, reached from a package-level variable",
			},
		},
		{
			name:  "a variable that hides the package",
			check: sleepingTests,
			tree: `
-- a/a_test.go --
package a

import "time"

func f(time interface{ Sleep(int) }) { time.Sleep(1) }

var _ = time.Now
`,
		},
		{
			name:  "skipped tests",
			check: skippedTests,
			tree: `
-- a/a_test.go --
package a

import "testing"

func TestA(t *testing.T) {
	t.Skip("later")
}

func BenchmarkA(b *testing.B) {
	if testing.Short() {
		b.SkipNow()
	}
	b.Skipf("%d", 1)
}
-- a/a.go --
package a

func f(r interface{ Skip() }) { r.Skip() }
-- registry/storetest/suite.go --
package storetest

import "testing"

func Run(t *testing.T) { t.Skip() }
`,
			want: []string{
				"a/a_test.go:6: Skip hides", "a/a_test.go:11: SkipNow hides", "a/a_test.go:13: Skipf hides",
				"registry/storetest/suite.go:5: Skip hides",
			},
		},
		{
			name:  "discarded steps of a property test",
			check: skippedTests,
			tree: `
-- a/a_test.go --
package a

import (
	"testing"

	"pgregory.net/rapid"
)

func TestA(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		r.Skip("nothing to remove")
		t.Skip("sneaky")
	})
}
`,
			want: []string{"a/a_test.go:12: Skip hides"},
		},
		{
			name:  "printing libraries",
			check: quietLibraries,
			tree: `
-- a/a.go --
package a

import (
	"fmt"
	"log"
	"os"
)

func f() {
	fmt.Println("x")
	fmt.Fprintln(os.Stderr, "x")
	log.Printf("x")
	_ = log.New(os.Stderr, "", 0)
	println("x")
	os.Exit(1)
}
-- a/a_test.go --
package a

import "fmt"

func g() { fmt.Println("x") }
-- cmd/x/main.go --
package main

import "fmt"

func main() { fmt.Println("x") }
`,
			want: []string{
				"a/a.go:10: fmt.Println in a library", "a/a.go:12: log.Printf in a library",
				"a/a.go:14: println in a library", "a/a.go:15: os.Exit in a library",
			},
		},
		{
			name:  "testing in code",
			check: noTestingInCode,
			tree: `
-- a/a.go --
package a

import "testing"
-- b/b.go --
package b

import "testing/fstest"
-- b/b_test.go --
package b

import "testing"
-- registry/storetest/suite.go --
package storetest

import "testing"
`,
			want: []string{"a/a.go:3: imports testing:", "b/b.go:3: imports testing/fstest:"},
		},
		{
			name:  "a state machine that looks around",
			check: determinism,
			tree: `
-- registry/mvcc/state.go --
package mvcc

import (
	"math/rand/v2"
	"time"
)

func f() time.Duration {
	go f()
	return time.Since(time.Unix(0, 0)) + time.Duration(rand.Int())
}
-- registry/mvcc/state_test.go --
package mvcc

import "time"

var _ = time.Now()
-- registry/watch/hub.go --
package watch

import "time"

var _ = time.Now()
`,
			want: []string{
				"registry/mvcc/state.go:4: imports math/rand/v2:",
				"registry/mvcc/state.go:9: starts a goroutine:",
				"registry/mvcc/state.go:10: uses time.Since:",
			},
		},
		{
			name:  "work put off",
			check: nothingLeftForLater,
			tree:  "-- a/a.go --\npackage a\n\n// TO" + "DO: the rest.\nvar methodology, s = 1, \"TO" + "DO\"\n",
			want:  []string{"a/a.go:3: TO" + "DO in a comment"},
		},
		{
			name:  "registration anywhere",
			check: registrationInSetup,
			tree: `
-- dnsserver/server.go --
package dnsserver

import "herald/registry/plugin"

func init() { plugin.Default.Door(plugin.DoorInfo{}) }
-- dnsserver/setup.go --
package dnsserver

import "herald/registry/plugin"

func init() { plugin.Default.Door(plugin.DoorInfo{}) }
-- cmd/herald/plugins.go --
package main

import "herald/registry/plugin"

var all = plugin.Default
`,
			want: []string{"dnsserver/server.go:5: plugin.Default outside setup.go"},
		},
		{
			name:  "what the go command ignores",
			check: packageComments,
			tree: `
-- a/testdata/x.go --
package x
-- .hidden/x.go --
package x
-- a/_x.go --
package x
-- examples/plugin/go.mod --
module example.com/plugin
-- examples/plugin/x.go --
package x
-- seen/x.go --
package x
`,
			want: []string{"seen/x.go: package seen has no package comment"},
		},
	}
	shown := map[string]bool{}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.check(fake(t, tt.tree))
			for i := range max(len(got), len(tt.want)) {
				switch {
				case i >= len(got):
					t.Errorf("no violation %q", tt.want[i])
				case i >= len(tt.want):
					t.Errorf("unexpected violation %q", got[i])
				case !strings.HasPrefix(got[i].String(), tt.want[i]):
					t.Errorf("violation %d is %q, want it to begin %q", i, got[i], tt.want[i])
				}
			}
		})
	}
	for _, r := range rules {
		for _, tt := range tests {
			if len(tt.want) > 0 && len(r.check(fake(t, tt.tree))) > 0 {
				shown[r.name] = true
			}
		}
		if !shown[r.name] {
			t.Errorf("rule %q is not shown to fail", r.name)
		}
	}
}

func TestLoadRefusesBrokenSource(t *testing.T) {
	_, err := load(fstest.MapFS{"a/a.go": {Data: []byte("package a\nfunc {")}})
	if err == nil || !strings.Contains(err.Error(), "a/a.go") {
		t.Errorf("load of a file that does not parse: %v, want an error that names it", err)
	}
}

func TestMatches(t *testing.T) {
	for _, tt := range []struct {
		pattern, dir string
		want         bool
	}{
		{"...", "anything/at/all", true},
		{"agent", "agent", true},
		{"agent", "agent/check", false},
		{"agent/...", "agent/check", true},
		{"agent/...", "agent", false},
		{"agent/...", "agentry/check", false},
	} {
		if got := matches(tt.pattern, tt.dir); got != tt.want {
			t.Errorf("matches(%q, %q) = %v", tt.pattern, tt.dir, got)
		}
	}
}
