package archtest

import (
	"go/ast"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"
)

var (
	markdownLink = regexp.MustCompile(`\]\(([^)#\s]+)(?:#[^)]*)?\)`)
	makeTarget   = regexp.MustCompile("`make ([a-z0-9-]+)`")
	benchmark    = regexp.MustCompile(`Benchmark[A-Z][A-Za-z0-9]*`)
	makeRule     = regexp.MustCompile(`(?m)^([a-z0-9-]+):`)
)

// brokenReferences finds what documents refer to and the tree does not have: files
// behind relative links, and targets of the Makefile.
func brokenReferences(fsys fs.FS) ([]violation, error) {
	makefile, err := fs.ReadFile(fsys, "Makefile")
	if err != nil {
		return nil, err
	}
	targets := map[string]bool{}
	text := string(makefile)
	for _, m := range makeRule.FindAllStringSubmatch(text, -1) {
		targets[m[1]] = true
	}
	var bad []violation
	err = fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && p != "." && ignored(d.Name()) {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(p, ".md") {
			return nil
		}
		doc, err := fs.ReadFile(fsys, p)
		if err != nil {
			return err
		}
		for _, m := range markdownLink.FindAllStringSubmatch(string(doc), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			if _, err := fs.Stat(fsys, path.Join(path.Dir(p), m[1])); err != nil {
				bad = append(bad, violation{p, "links to " + m[1] + ", which is not there"})
			}
		}
		for _, m := range makeTarget.FindAllStringSubmatch(string(doc), -1) {
			if !targets[m[1]] {
				bad = append(bad, violation{p, "names make " + m[1] + ", which the Makefile has not"})
			}
		}
		return nil
	})
	return bad, err
}

func TestDocumentsReferToWhatIsThere(t *testing.T) {
	bad, err := brokenReferences(os.DirFS(moduleRoot(t)))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range bad {
		t.Error(v)
	}
}

// Commands that measure name benchmarks that there are: go test runs none, and says ok,
// where a name matches nothing.
func TestDocumentsNameBenchmarks(t *testing.T) {
	root := os.DirFS(moduleRoot(t))
	tr, err := load(root)
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, f := range tr.files {
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && f.test {
				there[fn.Name.Name] = true
			}
		}
	}
	doc, err := fs.ReadFile(root, "docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	names := benchmark.FindAllString(string(doc), -1)
	if len(names) == 0 {
		t.Fatal("docs/performance.md names no benchmark")
	}
	for _, name := range names {
		if !there[name] {
			t.Errorf("docs/performance.md measures with %s, which is not there", name)
		}
	}
}

func TestBrokenReferences(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	bad, err := brokenReferences(fstest.MapFS{
		"Makefile":  file("check: test\n\ntest:\n\tgo test\n"),
		"docs/a.md": file("[b](b.md#part) [up](../README.md) [gone](gone.md) [web](https://example.com/x) `make check`, `make chekc`"),
		"docs/b.md": file(""),
		"README.md": file("[docs](docs) [a](docs/a.md)"),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []violation{
		{"docs/a.md", "links to gone.md, which is not there"},
		{"docs/a.md", "names make chekc, which the Makefile has not"},
	}
	if len(bad) != len(want) || bad[0] != want[0] || bad[1] != want[1] {
		t.Errorf("found %v, want %v", bad, want)
	}
}
