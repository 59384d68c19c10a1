package httpserver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"herald/registry/plugin"
)

// described is the served document, for holding answers against it.
type described struct {
	paths map[string]map[string]describedOperation

	mu      sync.Mutex
	schemas *jsonschema.Compiler
	byRef   map[string]*jsonschema.Schema
	checked map[string]int // answers, by operation
}

type describedOperation struct {
	OperationID string `json:"operationId"`
	Parameters  []describedParameter
	Responses   map[string]struct {
		Ref     string `json:"$ref"`
		Content map[string]struct{ Schema json.RawMessage }
	}
}

type describedParameter struct {
	Ref string `json:"$ref"`
}

const documentURL = "http://test/openapi.json"

// theDescription is of a door with everything. Every answer that the tests of this package get is held against it.
var theDescription = sync.OnceValue(func() *described {
	b, err := (&surface{cfg: Config{Pprof: true}}).describeAll()
	if err != nil {
		panic(err)
	}
	d, err := newDescribed(b)
	if err != nil {
		panic(err)
	}
	return d
})

func newDescribed(text []byte) (*described, error) {
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(text, &doc); err != nil || doc.OpenAPI != "3.1.0" {
		return nil, fmt.Errorf("version %q, %w", doc.OpenAPI, err)
	}
	d := &described{paths: map[string]map[string]describedOperation{}, byRef: map[string]*jsonschema.Schema{}, checked: map[string]int{}}
	for path, methods := range doc.Paths {
		d.paths[path] = map[string]describedOperation{}
		for m, raw := range methods {
			if m == "parameters" {
				continue
			}
			var o describedOperation
			if err := json.Unmarshal(raw, &o); err != nil {
				return nil, fmt.Errorf("%s %s: %w", m, path, err)
			}
			d.paths[path][strings.ToUpper(m)] = o
		}
	}
	whole, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	d.schemas = jsonschema.NewCompiler()
	d.schemas.DefaultDraft(jsonschema.Draft2020)
	d.schemas.AssertFormat()
	return d, d.schemas.AddResource(documentURL, whole)
}

// find is the described path that a request's is of: the one with the most that is literal.
func (d *described) find(path string) (template string) {
	best := -1
	for t := range d.paths {
		literal, ok := matches(t, path)
		if ok && literal > best {
			best, template = literal, t
		}
	}
	return template
}

// matches reports whether a path is of a template, whose last name takes the rest with its slashes.
func matches(template, path string) (literal int, ok bool) {
	want, have := strings.Split(template, "/"), strings.Split(path, "/")
	for i, w := range want {
		if strings.HasPrefix(w, "{") {
			if i == len(want)-1 {
				return literal, len(have) >= i // a key may be empty
			}
			if i >= len(have) {
				return 0, false
			}
			continue
		}
		if i >= len(have) || have[i] != w {
			return 0, false
		}
		literal++
	}
	return literal + 1, len(have) == len(want) // before one whose last name would be empty
}

// parameters wants a request's to be the operation's.
func (d *described) parameters(t *testing.T, method, target string) {
	t.Helper()
	path, query, _ := strings.Cut(target, "?")
	o := d.paths[d.find(path)][method]
	for part := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(part, "=")
		if name != "" && !slices.Contains(o.Parameters, describedParameter{"#/components/parameters/" + name}) {
			t.Errorf("%s %s: the document has no parameter %q there", method, path, name)
		}
	}
}

// check holds an answer against the document.
func (d *described) check(t testing.TB, method, path string, a answered) {
	t.Helper()
	template := d.find(path)
	o, ok := d.paths[template][method]
	if !ok {
		return // a path or a method that there is not
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.checked[o.OperationID]++
	status := strconv.Itoa(a.status)
	r, ok := o.Responses[status]
	if !ok {
		if a.status == http.StatusOK {
			t.Errorf("%s %s: the document has no status %s", method, path, status)
		}
		return
	}
	if !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
		return
	}
	if _, ok := r.Content["application/json"]; !ok {
		if r.Content["*/*"].Schema == nil && len(r.Content) == 0 {
			t.Errorf("%s %s: answers %s with JSON that the document does not have", method, path, status)
		}
		return
	}
	schema, err := d.schema(template, method, status)
	if err != nil {
		t.Errorf("%s %s: %v", method, template, err)
		return
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(a.body))
	if err == nil {
		err = schema.Validate(v)
	}
	if err != nil {
		t.Errorf("%s %s answers %.300s\nwhich is not what the document says: %v", method, path, a.body, err)
	}
}

// schema is of an answer in JSON. mu is held.
func (d *described) schema(template, method, status string) (*jsonschema.Schema, error) {
	ref := documentURL + "#/paths/" + strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(template) +
		"/" + strings.ToLower(method) + "/responses/" + status + "/content/application~1json/schema"
	if have := d.byRef[ref]; have != nil {
		return have, nil
	}
	made, err := d.schemas.Compile(ref)
	d.byRef[ref] = made
	return made, err
}

// The document has every route and no other, and every parameter that the surface looks for.
func TestDescriptionIsOfTheRoutes(t *testing.T) {
	h := open(t, func(cfg *Config, _ *plugin.Host) { cfg.Pprof = true })
	d := theDescription()
	described := map[string]bool{}
	ids := map[string]string{}
	for path, methods := range d.paths {
		literal, _, _ := strings.Cut(path, "{")
		for m, o := range methods {
			described[m+" "+routeOf(h.door.surface, literal)] = true
			if other, twice := ids[o.OperationID]; twice {
				t.Errorf("%s %s and %s have one id, %s", m, path, other, o.OperationID)
			}
			ids[o.OperationID] = m + " " + path
		}
	}
	for _, r := range h.door.surface.routes() {
		for _, m := range []string{http.MethodGet, http.MethodPut, http.MethodPost, http.MethodDelete} {
			at := m + " " + r.path
			switch has := r.handler(m) != nil; {
			case has && !described[at]:
				t.Errorf("the document lacks %s", at)
			case !has && described[at]:
				t.Errorf("the document has %s, and there is no such route", at)
			}
			delete(described, at)
		}
	}
	for at := range described {
		t.Errorf("the document has %s, and there is no such route", at)
	}
}

// Every name that the source looks up in a query is a parameter of some operation, and the other way round.
func TestDescriptionHasTheParameters(t *testing.T) {
	looked := lookedUp(t)
	used := map[string]bool{"pretty": true, "dc": true, "token": true, "ns": true, "partition": true}
	for _, o := range describedOperations {
		for _, q := range o.Query {
			used[q] = true
		}
	}
	// Other spellings of what is described; and what clients send that is refused.
	for _, name := range []string{"datacenter", "seperator", "connect"} {
		if !looked[name] {
			t.Errorf("nothing looks for %q any more", name)
		}
		delete(looked, name)
	}
	for name := range looked {
		if !used[name] {
			t.Errorf("a handler looks for the parameter %q, and no operation has it", name)
		}
	}
	for name := range describedParameters {
		if !used[name] {
			t.Errorf("the parameter %q is of no operation", name)
		}
		if !looked[name] && name != "token" { // which means nothing
			t.Errorf("nothing looks for the parameter %q", name)
		}
	}
}

// lookedUp are the literal names in calls of methods of params, and in the lists that are passed on to them.
func lookedUp(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	add := func(e ast.Expr) {
		if l, ok := e.(*ast.BasicLit); ok && l.Kind == token.STRING {
			name, err := strconv.Unquote(l.Value)
			if err != nil {
				t.Fatal(err)
			}
			names[name] = true
		}
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "describe") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				sel, ok := n.Fun.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				of := ""
				switch x := sel.X.(type) {
				case *ast.Ident:
					of = x.Name
				case *ast.SelectorExpr:
					of = x.Sel.Name
				}
				asks := slices.Contains([]string{"get", "has", "all", "first", "lookup"}, sel.Sel.Name) && (of == "query" || of == "p")
				if asks || sel.Sel.Name == "conflicts" || sel.Sel.Name == "uint" {
					for _, a := range n.Args {
						add(a)
					}
				}
			case *ast.RangeStmt: // for _, name := range [...]string{…}, in which each is looked up
				if l, ok := n.X.(*ast.CompositeLit); ok {
					for _, e := range l.Elts {
						add(e)
					}
				}
			}
			return true
		})
	}
	delete(names, "")
	return names
}

// A document with the version, whole for whoever asks, and compressed for those who take that.
func TestDescriptionIsServed(t *testing.T) {
	h := open(t)
	a := h.ok(http.MethodGet, "/v1/openapi.json", "")
	var doc struct{ Info struct{ Version string } }
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil || doc.Info.Version != "1.2.3" {
		t.Errorf("version %q, %v", doc.Info.Version, err)
	}
	if kind := a.header.Get("Content-Type"); kind != "application/json" {
		t.Errorf("it is %s", kind)
	}
	tag := a.header.Get("ETag")
	if again := h.doWith("GET", "/v1/openapi.json", "", "If-None-Match", tag); tag == "" || again.status != http.StatusNotModified || again.body != "" {
		t.Errorf("what the client has, by tag %s, is answered with %d and %d bytes", tag, again.status, len(again.body))
	}
	if other := h.doWith("GET", "/v1/openapi.json", "", "If-None-Match", `"other"`); other.body != a.body {
		t.Errorf("who has another is answered with %d and %d bytes", other.status, len(other.body))
	}
}
