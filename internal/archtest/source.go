package archtest

import (
	"fmt"
	"go/ast"
	"path"
	"regexp"
	"slices"
	"strings"
)

// packageComments wants a package comment in every directory with code in it.
func packageComments(t *tree) []violation {
	type state struct {
		first     string
		commented bool
	}
	dirs := map[string]*state{}
	var order []string
	for _, f := range t.files {
		s := dirs[f.dir]
		if s == nil {
			s = &state{first: f.path}
			dirs[f.dir] = s
			order = append(order, f.dir)
		}
		// A test's own package (package x_test) documents nothing.
		if f.ast.Doc.Text() != "" && !strings.HasSuffix(f.ast.Name.Name, "_test") {
			s.commented = true
		}
	}
	var bad []violation
	for _, dir := range order {
		if !dirs[dir].commented {
			bad = append(bad, violation{dirs[dir].first, fmt.Sprintf("package %s has no package comment: say what it owns, what it refuses to know, and who owns its goroutines", dir)})
		}
	}
	return bad
}

var vagueNames = []string{"util", "utils", "common", "helper", "helpers", "misc", "shared", "base", "types"}

// packageNames refuses package names that say nothing of what is inside.
func packageNames(t *tree) []violation {
	var bad []violation
	for _, f := range t.files {
		name := strings.TrimSuffix(f.ast.Name.Name, "_test")
		if slices.Contains(vagueNames, name) || slices.Contains(vagueNames, path.Base(f.dir)) {
			bad = append(bad, violation{f.path, fmt.Sprintf("package %s: a package is named after what it provides", name)})
		}
	}
	return bad
}

// exemption lets one file break one rule.
type exemption struct{ file, why string }

func exempt(list []exemption, f *file) bool {
	return slices.ContainsFunc(list, func(e exemption) bool { return e.file == f.path })
}

// skippers are the files that may skip a test.
var skippers = []exemption{
	{"internal/systemtest/replay_test.go", "the conversations that it replays lie beside the project and not in it; where CI runs they are there"},
	{"internal/systemtest/etcdclients/peer_test.go", "a real etcd, driven in Herald's place when one asks for it, has not all that Herald has; with Herald nothing is skipped"},
}

// skippedTests refuses tests that skip: a test that did not run reads like one that passed. The
// Skip of a *rapid.T is another thing: it discards one step of a generated history,
// and rapid fails a test that discards too many.
func skippedTests(t *tree) []violation {
	var bad []violation
	for _, f := range t.files {
		if !testCode(f) || exempt(skippers, f) {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if ok && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name) && !f.isRapid(sel.X) {
				bad = append(bad, violation{t.at(call), fmt.Sprintf("%s hides what it does not run: make what the test needs, or fail "+
					"(an exemption goes into internal/archtest/source.go with a reason)", sel.Sel.Name)})
			}
			return true
		})
	}
	return bad
}

// isRapid reports whether x is a parameter of type *rapid.T.
func (f *file) isRapid(x ast.Expr) bool {
	id, ok := x.(*ast.Ident)
	if !ok || id.Obj == nil {
		return false
	}
	param, ok := id.Obj.Decl.(*ast.Field)
	if !ok {
		return false
	}
	pointer, ok := param.Type.(*ast.StarExpr)
	if !ok {
		return false
	}
	p, name, _ := f.used(pointer.X)
	return p == "pgregory.net/rapid" && name == "T"
}

// forTests are the packages that several packages' tests share.
var forTests = []string{"registry/storetest", "registry/plugin/certfile/certtest", "internal/systemtest/process"}

// testCode reports whether a file is compiled for tests alone.
func testCode(f *file) bool { return f.test || slices.Contains(forTests, f.dir) }

// quietLibraries refuses printing, and ending the process, outside package main.
func quietLibraries(t *tree) []violation {
	var bad []violation
	for _, f := range t.files {
		if testCode(f) || f.ast.Name.Name == "main" {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if what := noise(f, call.Fun); what != "" {
				bad = append(bad, violation{t.at(call), fmt.Sprintf("%s in a library: log with the *slog.Logger that was handed in, return an error, and leave the terminal and the process to cmd", what)})
			}
			return true
		})
	}
	return bad
}

func noise(f *file, fun ast.Expr) string {
	if id, ok := fun.(*ast.Ident); ok && id.Obj == nil && (id.Name == "print" || id.Name == "println") {
		return id.Name
	}
	p, name, _ := f.used(fun)
	switch {
	case p == "fmt" && slices.Contains([]string{"Print", "Printf", "Println"}, name),
		p == "log" && name != "New",
		p == "os" && name == "Exit":
		return p + "." + name
	}
	return ""
}

// noTestingInCode refuses the testing packages in code that is not for tests.
func noTestingInCode(t *tree) []violation {
	var bad []violation
	for _, f := range t.files {
		if testCode(f) {
			continue
		}
		for _, spec := range f.ast.Imports {
			if p := importPath(spec); under(p, "testing") {
				bad = append(bad, violation{t.at(spec), fmt.Sprintf("imports %s: it would be linked into the binary; what tests share lives in _test.go files or %s", p, strings.Join(forTests, " or "))})
			}
		}
	}
	return bad
}

// deterministic is the package whose code must give the same result on every
// replica, whenever it runs.
const deterministic = "registry/mvcc"

var (
	randomOrOutside = []string{"math/rand", "math/rand/v2", "crypto/rand", "hash/maphash", "os", "net", "syscall", "log", "log/slog"}
	clock           = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}
)

// determinism keeps the clock, chance, the outside world and goroutines out of the
// state machine.
func determinism(t *tree) []violation {
	const why = "the state machine depends on its state and on log entries alone, or replicas diverge"
	var bad []violation
	for _, f := range t.files {
		if f.test || !under(f.dir, deterministic) {
			continue
		}
		for _, spec := range f.ast.Imports {
			if p := importPath(spec); slices.ContainsFunc(randomOrOutside, func(x string) bool { return under(p, x) }) {
				bad = append(bad, violation{t.at(spec), fmt.Sprintf("imports %s: %s", p, why)})
			}
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				bad = append(bad, violation{t.at(n), "starts a goroutine: " + why})
			case *ast.SelectorExpr:
				if p, name, ok := f.used(n); ok && p == "time" && slices.Contains(clock, name) {
					bad = append(bad, violation{t.at(n), fmt.Sprintf("uses time.%s: %s", name, why)})
				}
			}
			return true
		})
	}
	return bad
}

var leftForLater = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b`)

// nothingLeftForLater refuses comments that put work off: it is done, or it is an issue.
func nothingLeftForLater(t *tree) []violation {
	var bad []violation
	for _, f := range t.files {
		for _, group := range f.ast.Comments {
			for _, c := range group.List {
				if word := leftForLater.FindString(c.Text); word != "" {
					bad = append(bad, violation{t.at(c), fmt.Sprintf("%s in a comment: do it, or file an issue", word)})
				}
			}
		}
	}
	return bad
}

// registrationInSetup wants what init functions register in files called setup.go, where a reader looks
// for it. Choosing among what is registered is for cmd, and for the programs that take its place.
func registrationInSetup(t *tree) []violation {
	var bad []violation
	for _, f := range t.files {
		if f.test || path.Base(f.path) == "setup.go" || under(f.dir, "cmd") || f.ast.Name.Name == "main" {
			continue
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if p, name, _ := f.used(sel); p == modulePath+"/registry/plugin" && name == "Default" {
					bad = append(bad, violation{t.at(sel), "plugin.Default outside setup.go: a plugin registers in its setup.go, and everyone else is handed a *plugin.Registry"})
				}
			}
			return true
		})
	}
	return bad
}
