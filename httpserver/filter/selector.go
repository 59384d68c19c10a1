package filter

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// place is where a selector leads: from a document, or from an element that an
// "any" or "all" is at, through fields, keys and lists.
type place struct {
	slot  int // of the element; -1 starts at the document
	steps []step
	leaf  reflect.Type // of what is there, no pointer
}

// step goes from a value to one within it.
type step struct {
	kind  stepKind
	field []int         // into a struct
	key   reflect.Value // into a map
	at    int           // into a list
}

type stepKind uint8

const (
	intoField stepKind = iota
	intoMap
	intoElement
	// intoAll leads to every element of a list: what follows holds if it holds for
	// one of them.
	intoAll
)

// resolve finds where a selector leads, in the document's type alone.
func (c *compiler) resolve(path []string, scope []local) (*place, error) {
	if len(path) == 0 {
		return nil, fmt.Errorf("a selector is empty; want one of %s", names(c.document))
	}
	p := &place{slot: -1}
	at, rest := c.document, path
	// The innermost name counts.
	for _, l := range slices.Backward(scope) {
		if l.name == path[0] {
			p.slot, at, rest = l.slot, l.typ, path[1:]
			break
		}
	}
	if p.slot < 0 {
		c.roots[path[0]] = true
	}
	for len(rest) > 0 {
		at = pointed(at)
		name := rest[0]
		switch at.Kind() {
		case reflect.Struct:
			f, ok := at.FieldByName(name)
			if !ok || !f.IsExported() {
				return nil, invalid(path, "there is no %s, but %s", name, names(at))
			}
			p.steps = append(p.steps, step{kind: intoField, field: f.Index})
			at, rest = f.Type, rest[1:]
		case reflect.Map:
			if at.Key().Kind() != reflect.String {
				return nil, invalid(path, "its keys are no texts")
			}
			p.steps = append(p.steps, step{kind: intoMap, key: reflect.ValueOf(name).Convert(at.Key())})
			at, rest = at.Elem(), rest[1:]
		case reflect.Slice:
			if n, err := strconv.Atoi(name); err == nil {
				p.steps = append(p.steps, step{kind: intoElement, at: n})
				rest = rest[1:]
			} else {
				p.steps = append(p.steps, step{kind: intoAll})
			}
			at = at.Elem()
		default:
			return nil, invalid(path, "there is nothing within a %s", kind(at))
		}
	}
	p.leaf = pointed(at)
	return p, nil
}

// invalid refuses a selector, in the words that clients of this language know.
func invalid(path []string, format string, args ...any) error {
	why := fmt.Sprintf(format, args...)
	//lint:ignore ST1005 it goes into an answer, where clients match on it
	return fmt.Errorf("Selector %q is not valid: %s", strings.Join(path, "."), why)
}

// names are the fields of a document, for a person.
func names(t reflect.Type) string {
	var all []string
	for _, f := range reflect.VisibleFields(t) {
		if f.IsExported() && !f.Anonymous {
			all = append(all, f.Name)
		}
	}
	return strings.Join(all, ", ")
}

func pointed(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// some reports whether check holds for what is at the place, or for one of several.
// It is asked about the zero Value where nothing is.
func (p *place) some(e *env, check func(*env, reflect.Value) bool) bool {
	v := e.document
	if p.slot >= 0 {
		v = e.locals[p.slot]
	}
	return along(e, v, p.steps, check)
}

func along(e *env, v reflect.Value, steps []step, check func(*env, reflect.Value) bool) bool {
	for i, s := range steps {
		if v = target(v); !v.IsValid() {
			return check(e, v)
		}
		switch s.kind {
		case intoField:
			v = v.FieldByIndex(s.field)
		case intoMap:
			v = v.MapIndex(s.key)
		case intoElement:
			if s.at >= v.Len() {
				return check(e, reflect.Value{})
			}
			v = v.Index(s.at)
		case intoAll:
			for j := range v.Len() {
				if along(e, v.Index(j), steps[i+1:], check) {
					return true
				}
			}
			return false
		}
	}
	return check(e, target(v))
}

// target is what a pointer leads to, the zero Value for nil.
func target(v reflect.Value) reflect.Value {
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	return v
}
