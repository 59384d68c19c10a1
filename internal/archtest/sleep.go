package archtest

import (
	"fmt"
	"go/ast"
	"maps"
	"regexp"
	"slices"
)

// sleepers are the test files that may sleep in real time.
var sleepers = []exemption{}

// sleepingTests refuses time.Sleep where a test would wait for it in real time. In the
// bubble of a synctest.Test it is welcome: there it sleeps on a clock that
// waits for everything else. A function that calls synctest.Test counts as being in the
// bubble with all that it calls, and so does what is handed to such a function; what
// a test reaches on another way does not.
func sleepingTests(t *tree) []violation {
	var bad []violation
	for _, dir := range t.testDirs() {
		bad = append(bad, sleepingIn(t, dir)...)
	}
	return bad
}

func (t *tree) testDirs() []string {
	dirs := map[string]bool{}
	for _, f := range t.files {
		if f.test {
			dirs[f.dir] = true
		}
	}
	return slices.Sorted(maps.Keys(dirs))
}

// testFunc is what the rule needs to know of a function in a test file.
type testFunc struct {
	name   string
	bubble bool
	sleeps []string // where
	uses   []string // names of functions and methods it may call
}

var startsByItself = regexp.MustCompile(`^(Test|Benchmark|Fuzz|Example|init$)`)

// sleepingIn follows what the tests of one directory use, by name: a method counts
// as used where any of its name is. That errs on the side of finding too much.
func sleepingIn(t *tree, dir string) []violation {
	var files []*file
	bubbles := map[string]bool{}
	for _, f := range t.files {
		if f.dir == dir && f.test && !exempt(sleepers, f) {
			files = append(files, f)
			f.addBubbles(bubbles)
		}
	}
	byName := map[string][]*testFunc{}
	var starts []*testFunc
	for _, f := range files {
		for _, d := range f.ast.Decls {
			fn := newTestFunc(t, f, d, bubbles)
			byName[fn.name] = append(byName[fn.name], fn)
			if fn.name == "" || startsByItself.MatchString(fn.name) {
				starts = append(starts, fn)
			}
		}
	}
	var bad []violation
	found := map[*testFunc]bool{}
	for _, start := range starts {
		queue := []*testFunc{start}
		for seen := map[*testFunc]bool{start: true}; len(queue) > 0; queue = queue[1:] {
			fn := queue[0]
			if fn.bubble {
				continue
			}
			if !found[fn] {
				for _, at := range fn.sleeps {
					bad = append(bad, violation{at, fmt.Sprintf("sleeps in real time, reached from %s: wait for the condition, or run it under testing/synctest", start)})
				}
				found[fn] = true
			}
			for _, name := range fn.uses {
				for _, next := range byName[name] {
					if !seen[next] {
						seen[next] = true
						queue = append(queue, next)
					}
				}
			}
		}
	}
	return bad
}

func (fn *testFunc) String() string {
	if fn.name == "" {
		return "a package-level variable"
	}
	return fn.name
}

// addBubbles adds the functions that call synctest.Test.
func (f *file) addBubbles(bubbles map[string]bool) {
	for _, d := range f.ast.Decls {
		decl, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		ast.Inspect(decl, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && f.isSynctest(call.Fun) {
				bubbles[decl.Name.Name] = true
			}
			return true
		})
	}
}

func (f *file) isSynctest(fun ast.Expr) bool {
	p, name, _ := f.used(fun)
	return p == "testing/synctest" && name == "Test"
}

// newTestFunc reads a declaration: a function, or variables, which run by themselves and
// have no name.
func newTestFunc(t *tree, f *file, d ast.Decl, bubbles map[string]bool) *testFunc {
	fn := &testFunc{}
	if decl, ok := d.(*ast.FuncDecl); ok {
		fn.name = decl.Name.Name
		fn.bubble = bubbles[fn.name]
	}
	var read func(n ast.Node) bool
	read = func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if id, ok := n.Fun.(*ast.Ident); ok && bubbles[id.Name] {
				return false
			}
		case *ast.SelectorExpr:
			switch p, name, ok := f.used(n); {
			case p == "time" && name == "Sleep":
				fn.sleeps = append(fn.sleeps, t.at(n))
			case !ok:
				fn.uses = append(fn.uses, n.Sel.Name)
			}
			ast.Inspect(n.X, read)
			return false
		case *ast.Ident:
			// What is neither of another file nor a function of this one is local.
			if n.Obj == nil || n.Obj.Kind == ast.Fun {
				fn.uses = append(fn.uses, n.Name)
			}
		}
		return true
	}
	ast.Inspect(d, read)
	return fn
}
