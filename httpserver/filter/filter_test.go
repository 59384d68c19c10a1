package filter

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-bexpr"
	"pgregory.net/rapid"
)

type check struct {
	ID     string
	Status string
	Tags   []string
}

type node struct {
	Name string
	Meta map[string]string
}

type extra struct{ Namespace string }

type document struct {
	Name    string
	Port    int
	Index   uint64
	Weight  float64
	Ready   bool
	Tags    []string
	Meta    map[string]string
	Ports   []int
	Node    *node
	Checks  []check
	Address map[string]node
	Nobody  *node
	extra2
	extra
	hidden string
}

type extra2 struct{ Partition string }

func sample() *document {
	return &document{
		Name: "web-1", Port: 80, Index: 1 << 63, Weight: 0.5, Ready: true, Tags: []string{"v1", "blue"},
		Meta: map[string]string{"env": "prod", "": "none", "a b": "c"}, Ports: []int{1, 2},
		Node:    &node{Name: "n1", Meta: map[string]string{"zone": "a"}},
		Checks:  []check{{"c1", "passing", []string{"x"}}, {"c2", "critical", nil}},
		Address: map[string]node{"lan": {Name: "10.0.0.1"}}, hidden: "h",
	}
}

// expressions say what they select of sample. Those marked own mean something here
// that go-bexpr's evaluator has no meaning for.
var expressions = []struct {
	expression string
	want       bool
	own        bool
}{
	{expression: `Name == "web-1"`, want: true},
	{expression: `Name == web`, want: false},
	{expression: `Name != web`, want: true},
	{expression: "Name == `web-1`", want: true},
	{expression: `Port == 80`, want: true},
	{expression: `Port == "0x50"`, want: true},
	{expression: `Port == "80"`, want: true},
	{expression: `Port != 81 and Ready == true`, want: true},
	{expression: `Index == 9223372036854775808`, want: true},
	{expression: `Weight == 0.5`, want: true},
	{expression: `"v1" in Tags`, want: true},
	{expression: `v1 in Tags`, want: true},
	{expression: `v not in Tags`, want: true},
	{expression: `Tags contains blue`, want: true},
	{expression: `Tags not contains blue`, want: false},
	{expression: `2 in Ports`, want: true},
	{expression: `web in Name`, want: true},
	{expression: `Name contains "eb-"`, want: true},
	{expression: `env in Meta`, want: true},
	{expression: `Meta.env == prod`, want: true},
	{expression: `Meta["a b"] == c`, want: true},
	{expression: `Meta[""] == none`, want: true},
	{expression: `Meta.none == prod`, want: false},
	{expression: `Meta.none != prod`, want: true},
	{expression: `Meta.none is empty`, want: true},
	{expression: `Meta.none is not empty`, want: false},
	{expression: `x in Meta.none`, want: false},
	{expression: `x not in Meta.none`, want: true},
	{expression: `Meta.none matches ".*"`, want: false},
	{expression: `Meta is not empty and Tags is not empty`, want: true},
	{expression: `Tags is nil`, want: false},
	{expression: `Node.Meta.zone == a`, want: true},
	{expression: `Nobody is nil`, want: true},
	{expression: `Node is nil`, want: false},
	{expression: `Nobody.Name == ""`, want: false, own: true},
	{expression: `Name matches "^web-[0-9]+$"`, want: true},
	{expression: `Name not matches "^db"`, want: true},
	{expression: `not Port == 80`, want: false},
	{expression: `not not Port == 80`, want: true},
	{expression: `Port == 1 or Port == 80 and Name == web`, want: false},
	{expression: `(Port == 80 or Port == 1) and not (Name == web)`, want: true},
	{expression: `"/Node/Name" == n1`, want: true},
	{expression: `Checks.0.Status == passing`, want: true},
	{expression: `Checks.7.Status == passing`, want: false, own: true},
	{expression: `Checks is not empty`, want: true},
	{expression: `Checks.Status == critical`, want: true, own: true},
	{expression: `Checks.Status == warning`, want: false, own: true},
	{expression: `Checks.Status != passing`, want: true, own: true}, // of one of them
	{expression: `not Checks.Status == warning`, want: true, own: true},
	{expression: `x in Checks.Tags`, want: true, own: true},
	{expression: `Address.lan.Name == "10.0.0.1"`, want: true},
	{expression: `Namespace == "" and Partition == ""`, want: true, own: true}, // of embedded documents
	{expression: `any Checks as c { c.Status == critical }`, want: true},
	{expression: `all Checks as c { c.Status == critical }`, want: false},
	{expression: `all Checks as c { c.Status != warning and Port == 80 }`, want: true},
	{expression: `any Checks as i, c { i == 1 and c.ID == c2 }`, want: true},
	{expression: `any Checks as i, _ { i == 2 }`, want: false},
	{expression: `any Meta as k { k == env }`, want: true},
	{expression: `any Meta as k, v { k == env and v == prod }`, want: true},
	{expression: `any Meta as _, v { v == nowhere }`, want: false},
	{expression: `any Checks as c { any c.Tags as t { t == x } }`, want: true},
	{expression: `any Tags as Name { Name == blue }`, want: true}, // the inner name counts
}

func TestExpressions(t *testing.T) {
	for _, test := range expressions {
		t.Run(test.expression, func(t *testing.T) {
			f, err := Compile[document](test.expression)
			if err != nil {
				t.Fatal(err)
			}
			if got := f.Match(sample()); got != test.want {
				t.Errorf("got %v", got)
			}
			if test.own {
				return
			}
			reference, err := bexpr.CreateEvaluator(test.expression)
			if err != nil {
				t.Fatalf("go-bexpr: %v", err)
			}
			if got, err := reference.Evaluate(sample()); err != nil || got != test.want {
				t.Errorf("go-bexpr says %v, %v", got, err)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	for _, test := range []struct{ expression, says string }{
		{`bogus`, "no match found"},
		{`bogus ~`, "no match found"},
		{`   `, "no match found"},
		{`Bogus == 1`, `Selector "Bogus" is not valid: there is no Bogus, but Name, Port`},
		{`name == web`, `Selector "name" is not valid`},
		{`hidden == h`, `Selector "hidden" is not valid`},
		{`Node.Port == 1`, `Selector "Node.Port" is not valid: there is no Port, but Name, Meta`},
		{`Name.First == x`, "nothing within a string"},
		{`Port == many`, "Port: want a number"},
		{`Index == -1`, "not negative"},
		{`Ready == maybe`, "want true or false"},
		{`Tags == v1`, "cannot compare a list"},
		{`Node == n1`, "cannot compare a document"},
		{`one in Ports`, "want a number"},
		{`x in Port`, "contains nothing"},
		{`x in Checks`, "cannot compare a document"},
		{`Port is empty`, "never empty"},
		{`Port is nil`, "never nil"},
		{`Port matches 8`, "no text to match"},
		{`Name matches "("`, "failed to compile regular expression"},
		{`any Meta.none as x { x == a }`, "not a list or a map"},
		{`any Name as c { c == x }`, "not a list or a map"},
		{`any Meta as x, x { x == y }`, "cannot name both"},
		{`any Tags as t { t.x == y }`, "nothing within a string"},
		{`any Tags as a {any Tags as b {any Tags as c {any Tags as d {any Tags as e { e == y }}}}}`, "more than 4"},
		{strings.Repeat("(", 12) + "Port == 80" + strings.Repeat(")", 12), "fewer parentheses"},
		{`Name == "` + strings.Repeat("x", MaxLength) + `"`, "4096 are allowed"},
		{"Name == \"\xff\"", "invalid encoding"},
	} {
		if f, err := Compile[document](test.expression); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%.60q: got %v, %v; want an error that says %q", test.expression, f, err, test.says)
		}
	}
}

// As the error says.
func TestFourParentheses(t *testing.T) {
	if _, err := Compile[document](`((((Port == 80 and Name == web) or "v1" in Tags) and Ready == true) or Meta.env == prod) and ((((Port == 1)))) and Name != x`); err != nil {
		t.Error(err)
	}
}

func TestNoFilter(t *testing.T) {
	var c Cache[document]
	f, err := c.Compile("")
	if f != nil || err != nil || !f.Match(sample()) || f.String() != "" || f.LooksAt("Name") || len(f.Select([]document{{}, {}})) != 2 {
		t.Errorf("no expression: %v, %v", f, err)
	}
}

func TestSelect(t *testing.T) {
	f, err := Compile[document](`Port == 2 or Port == 4`)
	if err != nil {
		t.Fatal(err)
	}
	some := f.Select([]document{{Port: 1}, {Port: 2}, {Port: 3}, {Port: 4}})
	if len(some) != 2 || some[0].Port != 2 || some[1].Port != 4 {
		t.Errorf("got %v", some)
	}
	if none := f.Select([]document{{Port: 1}}); none == nil || len(none) != 0 {
		t.Errorf("nothing selected is %#v, want an empty list", none)
	}
}

func TestLooksAt(t *testing.T) {
	f, err := Compile[document](`(any Checks as Name { Name.Status == Port }) and Meta.Ready == 1`)
	if err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]bool{"Checks": true, "Meta": true, "Name": false, "Port": false, "Ready": false, "Status": false} {
		if f.LooksAt("Nothing", field) != want {
			t.Errorf("LooksAt(%s) = %v", field, !want)
		}
	}
}

// The cache holds what is used, and a bounded number.
func TestCache(t *testing.T) {
	var c Cache[document]
	first, err := c.Compile("Port == 80")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 10 * kept {
		if _, err := c.Compile(fmt.Sprintf("Port == %d", i+1000)); err != nil {
			t.Fatal(err)
		}
		if again, _ := c.Compile("Port == 80"); again != first {
			t.Fatalf("what is used all the time was compiled again, after %d others", i)
		}
	}
	if n := len(c.young) + len(c.old); n > 2*kept {
		t.Errorf("%d filters are kept", n)
	}
	if f, err := c.Compile("bogus"); f != nil || err == nil {
		t.Errorf("got %v, %v", f, err)
	}
}

// One filter serves many at a time; the race detector watches.
func TestShared(t *testing.T) {
	var c Cache[document]
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				f, err := c.Compile(`Name matches "^web" and (any Checks as c { c.Status == critical })`)
				if err != nil || !f.Match(sample()) {
					t.Errorf("got %v, %v", f, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// Where go-bexpr's evaluator has an answer, it is the same one.
func TestAgreesWithReference(t *testing.T) {
	operand := rapid.SampledFrom([]string{
		`Name == "web-1"`, `Name != x`, `Port == 80`, `v1 in Tags`, `Tags contains v2`, `Meta.env == prod`, `Meta.nope != a`,
		`Tags is empty`, `Meta is not empty`, `Node.Meta.zone matches "^[a-c]$"`, `Name not matches "9"`, `3 not in Ports`,
		`any Tags as t { t == blue }`, `all Ports as i, p { p == 1 or i == 1 }`, `Nobody is nil`,
	})
	var expression func(depth int) *rapid.Generator[string]
	expression = func(depth int) *rapid.Generator[string] {
		return rapid.Custom(func(t *rapid.T) string {
			form := rapid.IntRange(0, 3).Draw(t, "form")
			if depth == 0 || form == 0 {
				return "(" + operand.Draw(t, "operand") + ")" // "any" and "all" need them
			}
			inner := expression(depth - 1)
			switch form {
			case 1:
				return "(not " + inner.Draw(t, "inner") + ")"
			case 2:
				return "(" + inner.Draw(t, "left") + " and " + inner.Draw(t, "right") + ")"
			default:
				return "(" + inner.Draw(t, "left") + " or " + inner.Draw(t, "right") + ")"
			}
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		text := expression(2).Draw(t, "expression")
		d := sample()
		d.Port = rapid.SampledFrom([]int{1, 80}).Draw(t, "port")
		d.Tags = rapid.SliceOfN(rapid.SampledFrom([]string{"v1", "v2", "blue"}), 0, 3).Draw(t, "tags")
		d.Name = rapid.SampledFrom([]string{"web-1", "db-9"}).Draw(t, "name")
		reference, err := bexpr.CreateEvaluator(text)
		if err != nil {
			t.Fatalf("%s: go-bexpr: %v", text, err)
		}
		want, err := reference.Evaluate(d)
		if err != nil {
			t.Fatalf("%s: go-bexpr: %v", text, err)
		}
		f, err := Compile[document](text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got := f.Match(d); got != want {
			t.Errorf("%s of %+v: got %v, go-bexpr says %v", text, d, got, want)
		}
	})
}

func FuzzCompile(f *testing.F) {
	for _, test := range expressions {
		f.Add(test.expression)
	}
	f.Add(`((a == 1)`)
	f.Add(`"/" == 1`)
	f.Add(`"" is empty`)
	f.Fuzz(func(t *testing.T, expression string) {
		if len(expression) > 256 {
			return
		}
		filter, err := Compile[document](expression)
		if (filter == nil) == (err == nil) {
			t.Fatalf("%q: got %v, %v", expression, filter, err)
		}
		if err != nil {
			return
		}
		// Nothing is kept from one document to the next.
		first := filter.Match(sample())
		if filter.Match(sample()) != first {
			t.Errorf("%q: it depends", expression)
		}
		filter.Match(&document{})
		if filter.String() != expression {
			t.Errorf("%q became %q", expression, filter)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	f, err := Compile[document](`Port == 80 and "blue" in Tags and Node.Meta.zone == a and Checks.Status == passing`)
	if err != nil {
		b.Fatal(err)
	}
	d := sample()
	b.ReportAllocs()
	for b.Loop() {
		if !f.Match(d) {
			b.Fatal("not selected")
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compile[document](`Port == 80 and "blue" in Tags`); err != nil {
			b.Fatal(err)
		}
	}
}
