package archtest

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// moduleRoot is the directory of the go.mod above the test's own.
func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the test's directory")
		}
		dir = parent
	}
}

func TestHouseRules(t *testing.T) {
	tr, err := load(os.DirFS(moduleRoot(t)))
	if err != nil {
		t.Fatal(err)
	}
	// A walk that finds nothing would pass every rule.
	for _, dir := range []string{"registry", "registry/plugin", "internal/archtest"} {
		if !slices.ContainsFunc(tr.files, func(f *file) bool { return f.dir == dir }) {
			t.Fatalf("found no file of package %s: the module's source was not read", dir)
		}
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			for _, v := range r.check(tr) {
				t.Error(v)
			}
		})
	}
}

// TestTablesAreCurrent refuses entries for what is no longer there, which would
// let it come back unnoticed.
func TestTablesAreCurrent(t *testing.T) {
	root := moduleRoot(t)
	tr, err := load(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range directions {
		if !slices.ContainsFunc(tr.files, func(f *file) bool { return f.dir == a.dir }) {
			t.Errorf("directions has a row for %s, where there is no code", a.dir)
		}
		if a.why == "" {
			t.Errorf("directions gives no reason for %s", a.dir)
		}
	}
	for _, h := range homes {
		if !slices.ContainsFunc(tr.files, func(f *file) bool {
			for _, spec := range f.ast.Imports {
				if under(importPath(spec), h.module) {
					return true
				}
			}
			return false
		}) {
			t.Errorf("homes has a row for %s, which nobody imports", h.module)
		}
		if h.why == "" {
			t.Errorf("homes gives no reason for %s", h.module)
		}
	}
	for _, e := range slices.Concat(sleepers, skippers) {
		if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(e.file))); err != nil {
			t.Errorf("an exemption for %s, which is not there", e.file)
		}
		if e.why == "" {
			t.Errorf("an exemption for %s without a reason", e.file)
		}
	}
}
