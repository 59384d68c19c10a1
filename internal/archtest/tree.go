package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// modulePath is what the import path of every package of ours begins with.
const modulePath = "herald"

// tree is the source of one module.
type tree struct {
	fset  *token.FileSet
	files []*file
}

// file is one parsed Go file.
type file struct {
	path string // slash-separated, from the module's root
	dir  string // its directory; "." is the root
	test bool   // the name ends in _test.go
	ast  *ast.File
	// names maps the name by which the file knows an imported package to its
	// import path. Dot imports and blank imports are not in it.
	names map[string]string
}

// violation is one place that breaks a rule.
type violation struct {
	pos string // file, or file:line
	msg string
}

func (v violation) String() string { return v.pos + ": " + v.msg }

// load parses every Go file of the module at the root of fsys. What the go
// command ignores is left out (testdata, vendor, names that begin with a dot or an
// underscore), and so are the modules nested in it.
func load(fsys fs.FS) (*tree, error) {
	t := &tree{fset: token.NewFileSet()}
	err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if p != "." && (ignored(d.Name()) || isModule(fsys, p)) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(p, ".go") || ignored(d.Name()) {
			return nil
		}
		src, err := fs.ReadFile(fsys, p)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(t.fset, p, src, parser.ParseComments)
		if err != nil {
			return err
		}
		t.files = append(t.files, &file{
			path:  p,
			dir:   path.Dir(p),
			test:  strings.HasSuffix(p, "_test.go"),
			ast:   parsed,
			names: importNames(parsed),
		})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the module's source: %w", err)
	}
	return t, nil
}

func ignored(name string) bool {
	return name == "testdata" || name == "vendor" || name[0] == '.' || name[0] == '_'
}

func isModule(fsys fs.FS, dir string) bool {
	_, err := fs.Stat(fsys, path.Join(dir, "go.mod"))
	return err == nil
}

func importNames(f *ast.File) map[string]string {
	names := map[string]string{}
	for _, spec := range f.Imports {
		p := importPath(spec)
		name := path.Base(p)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		if name != "." && name != "_" {
			names[name] = p
		}
	}
	return names
}

func importPath(spec *ast.ImportSpec) string {
	p, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return spec.Path.Value // the parser accepts nothing that comes here
	}
	return p
}

// own reports whether an import path is of this module, and the package's
// directory from the root.
func own(importPath string) (dir string, ok bool) {
	if importPath == modulePath {
		return ".", true
	}
	return strings.CutPrefix(importPath, modulePath+"/")
}

// standard reports whether an import path is of the standard library: the first
// element of any other has a dot in it.
func standard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".") && first != modulePath
}

// under reports whether a path is dir, or below it.
func under(p, dir string) bool {
	return p == dir || strings.HasPrefix(p, dir+"/")
}

// at names a position in a file.
func (t *tree) at(n ast.Node) string {
	p := t.fset.Position(n.Pos())
	return fmt.Sprintf("%s:%d", p.Filename, p.Line)
}

// used returns the import path and the name of a package-level object that e
// refers to, as in time.Sleep; ok is false for any other expression, a method
// or field of a variable that hides the package included.
func (f *file) used(e ast.Expr) (importPath, name string, ok bool) {
	sel, isSel := e.(*ast.SelectorExpr)
	if !isSel {
		return "", "", false
	}
	x, isIdent := sel.X.(*ast.Ident)
	if !isIdent || x.Obj != nil {
		return "", "", false
	}
	importPath, ok = f.names[x.Name]
	return importPath, sel.Sel.Name, ok
}
