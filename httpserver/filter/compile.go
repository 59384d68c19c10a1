package filter

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/hashicorp/go-bexpr/grammar"
)

// test is an expression, ready to be asked about a document.
type test func(*env) bool

// env is what a test looks at: the document, and the elements that the "any" and
// "all" around it are at.
type env struct {
	document reflect.Value
	locals   [maxNesting * 2]reflect.Value
}

// maxNesting is how many "any" and "all" may be within each other.
const maxNesting = 4

// local is a name that an "any" or "all" gives: where its value is at the time, and
// of what type.
type local struct {
	name string
	slot int
	typ  reflect.Type
}

// compiler turns the parser's tree into tests of one type of document.
type compiler struct {
	document reflect.Type
	roots    map[string]bool
}

func (c *compiler) expression(x grammar.Expression, scope []local) (test, error) {
	switch x := x.(type) {
	case *grammar.UnaryExpression:
		inner, err := c.expression(x.Operand, scope)
		if err != nil {
			return nil, err
		}
		return func(e *env) bool { return !inner(e) }, nil
	case *grammar.BinaryExpression:
		left, err := c.expression(x.Left, scope)
		if err != nil {
			return nil, err
		}
		right, err := c.expression(x.Right, scope)
		if err != nil {
			return nil, err
		}
		if x.Operator == grammar.BinaryOpAnd {
			return func(e *env) bool { return left(e) && right(e) }, nil
		}
		return func(e *env) bool { return left(e) || right(e) }, nil
	case *grammar.MatchExpression:
		return c.comparison(x, scope)
	case *grammar.CollectionExpression:
		return c.collection(x, scope)
	}
	return nil, fmt.Errorf("cannot evaluate %T", x)
}

func (c *compiler) comparison(x *grammar.MatchExpression, scope []local) (test, error) {
	p, err := c.resolve(x.Selector.Path, scope)
	if err != nil {
		return nil, err
	}
	raw := ""
	if x.Value != nil {
		raw = x.Value.Raw
	}
	holds, err := predicate(x.Operator, p.leaf, raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", strings.Join(x.Selector.Path, "."), err)
	}
	absent := x.Operator.NotPresentDisposition()
	check := func(_ *env, v reflect.Value) bool {
		if !v.IsValid() {
			return absent
		}
		return holds(v)
	}
	return func(e *env) bool { return p.some(e, check) }, nil
}

// collection compiles "any" and "all", which look at the elements of a list or at
// the entries of a map.
func (c *compiler) collection(x *grammar.CollectionExpression, scope []local) (test, error) {
	p, err := c.resolve(x.Selector.Path, scope)
	if err != nil {
		return nil, err
	}
	if len(scope) > (maxNesting-1)*2 {
		return nil, fmt.Errorf("more than %d of any and all are within each other", maxNesting)
	}
	// The first slot is for the place of an element, the second for the element.
	index := local{slot: len(scope), typ: reflect.TypeFor[int]()}
	value := local{slot: len(scope) + 1}
	switch p.leaf.Kind() {
	case reflect.Slice:
		value.typ = p.leaf.Elem()
	case reflect.Map:
		index.typ, value.typ = p.leaf.Key(), p.leaf.Elem()
	default:
		return nil, fmt.Errorf("%s is not a list or a map, which %s takes", x.Selector, strings.ToLower(string(x.Op)))
	}
	index.name, value.name = x.NameBinding.Index, x.NameBinding.Value
	if one := x.NameBinding.Default; one != "" {
		if p.leaf.Kind() == reflect.Map {
			index.name = one
		} else {
			value.name = one
		}
	}
	if index.name != "" && index.name == value.name {
		return nil, fmt.Errorf("%q cannot name both the place and the value", index.name)
	}
	inner, err := c.expression(x.Inner, append(scope[:len(scope):len(scope)], index, value))
	if err != nil {
		return nil, err
	}
	all := x.Op == grammar.CollectionOpAll
	return func(e *env) bool {
		return p.some(e, func(e *env, v reflect.Value) bool {
			if !v.IsValid() {
				return all
			}
			return overElements(e, v, index.slot, func() bool { return inner(e) == all }) == all
		})
	}, nil
}

// overElements puts each element into the slots and asks goOn about it, until that
// says no. It reports whether it never did. For "any", goOn says no at what is
// looked for.
func overElements(e *env, v reflect.Value, slot int, goOn func() bool) bool {
	if v.Kind() == reflect.Map {
		for it := v.MapRange(); it.Next(); {
			e.locals[slot], e.locals[slot+1] = it.Key(), it.Value()
			if !goOn() {
				return false
			}
		}
		return true
	}
	for i := range v.Len() {
		e.locals[slot], e.locals[slot+1] = reflect.ValueOf(i), v.Index(i)
		if !goOn() {
			return false
		}
	}
	return true
}
