//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"herald/internal/systemtest/chaos/check"
	"herald/internal/systemtest/chaos/fault"
)

// TestBugsAreWhatTheySay wants each bug of the table to have a file that its build tag compiles in,
// faults and workloads that exist, and each such file to have its bug in the table.
func TestBugsAreWhatTheySay(t *testing.T) {
	planted := map[string]bool{}
	for _, dir := range []string{"raftstore", "registry/mvcc", "registry/watch", "registry/session", "registry/catalog", "httpserver"} {
		files, err := filepath.Glob(filepath.Join("../../..", dir, "bug_*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			if tag, ok := strings.CutPrefix(strings.SplitN(string(b), "\n", 2)[0], "//go:build bug_"); ok {
				planted[tag] = true
			}
		}
	}
	for _, b := range bugs {
		if tag := strings.TrimPrefix(tags(b.name), "chaos,bug_"); !planted[tag] {
			t.Errorf("%s: nothing is compiled in by the tag bug_%s", b.name, tag)
		} else {
			delete(planted, tag)
		}
		s := settings{bug: b.name, seed: 1}
		p, err := s.plan()
		if err != nil {
			t.Errorf("%s: %v", b.name, err)
			continue
		}
		if err := p.clients.Validate(); err != nil {
			t.Errorf("%s: %v", b.name, err)
		}
		if len(p.faults.Kinds) != len(b.faults) {
			t.Errorf("%s: has %d of the faults %q", b.name, len(p.faults.Kinds), b.faults)
		}
	}
	for tag := range planted {
		t.Errorf("the bug behind the tag bug_%s is in no table, so nobody looks whether it is caught", tag)
	}
}

func TestInnerProcessIsToldWhatTheOuterOneWas(t *testing.T) {
	want := settings{duration: 7e9, seed: 5, nodes: 5, faults: "kill,pause", bug: "lost-write", keep: "/k", binary: "/b"}
	got, err := parse(want.args(), io.Discard)
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestPlan(t *testing.T) {
	for _, tc := range []struct {
		s      settings
		kinds  []string
		failed string
	}{
		{settings{}, nil, ""},
		{settings{faults: "kill,flap"}, []string{"kill", "flap"}, ""},
		{settings{faults: "kill,nonsense"}, nil, `no fault is called "nonsense"`},
		{settings{bug: "nonsense"}, nil, `no bug is called "nonsense"`},
		{settings{bug: "lock-twice", faults: "kill"}, []string{"kill"}, ""},
	} {
		p, err := tc.s.plan()
		if tc.failed != "" {
			if err == nil || !strings.Contains(err.Error(), tc.failed) {
				t.Errorf("%+v: %v, want %q in it", tc.s, err, tc.failed)
			}
			continue
		}
		if err != nil {
			t.Errorf("%+v: %v", tc.s, err)
		}
		var names []string
		for _, k := range p.faults.Kinds {
			names = append(names, k.Name)
		}
		if tc.kinds == nil && len(names) != len(fault.Kinds) || tc.kinds != nil && !slices.Equal(names, tc.kinds) {
			t.Errorf("%+v: faults %q", tc.s, names)
		}
	}
}

func TestFaultThatNeverHappenedIsMissed(t *testing.T) {
	r := &check.Report{Faults: []check.Count{{Kind: "kill", OK: 3}, {Kind: "flap"}}}
	for _, tc := range []struct {
		s    settings
		want int
	}{
		{settings{duration: shortDuration, faults: "kill"}, 0},
		{settings{duration: shortDuration, faults: "kill,flap,pause"}, 2},
		{settings{duration: shortDuration}, len(fault.Kinds) - 1},
		{settings{duration: time.Second}, 0}, // it had no time
	} {
		if missed := tc.s.missed(r); len(missed) != tc.want {
			t.Errorf("%+v: %q, want %d", tc.s, missed, tc.want)
		}
	}
}

func TestServersKnowAllOthers(t *testing.T) {
	args := strings.Join(serverArgs(5), " ")
	for i := range 5 {
		if want := fmt.Sprintf("--join 10.77.0.%d:7400", i+1); !strings.Contains(args, want) {
			t.Errorf("no %q in %q", want, args)
		}
	}
	if !strings.Contains(args, "--bootstrap-expect 5") {
		t.Errorf("%q starts no cluster of 5", args)
	}
}
