// Package filter selects documents by a boolean expression over their fields, as
// ?filter= asks for: `Service.Port == 80 and "v1" in Service.Tags`.
//
// Expressions are in the language of hashicorp/go-bexpr, whose parser reads them.
// What they mean is decided here, against the type of the document and once for an
// expression: a field that there is not, or a comparison that the field's type
// does not have, is an error whether or not there is a document to look at, and
// what is left to do for a document is to compare. A filter is immutable, so that
// one can serve any number of requests at a time.
//
// The package knows nothing of the documents but their exported fields, and has no
// goroutines.
package filter

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/hashicorp/go-bexpr/grammar"
)

// MaxLength is how many bytes an expression may have.
const MaxLength = 4096

// maxSteps bounds what the parser may try, some 30 ms of it. It tries each group
// in parentheses in several ways, so that groups within groups multiply.
const maxSteps = 400_000

// Filter selects documents of type T, a struct. A nil Filter selects all. It is
// safe for concurrent use.
type Filter[T any] struct {
	expression string
	match      test
	roots      map[string]bool // the document's fields that are looked at
}

// Compile makes a filter of an expression.
func Compile[T any](expression string) (*Filter[T], error) {
	if len(expression) > MaxLength {
		return nil, fmt.Errorf("the expression has %d bytes, and %d are allowed: select the rest in the answer", len(expression), MaxLength)
	}
	tree, err := grammar.Parse("", []byte(expression), grammar.MaxExpressions(maxSteps))
	if err != nil {
		if strings.Contains(err.Error(), "max number of expressions parsed") {
			return nil, errors.New("the expression is too complex: write it with fewer parentheses within parentheses, of which four are always possible, or select the rest in the answer")
		}
		return nil, err
	}
	root, ok := tree.(grammar.Expression)
	if !ok {
		return nil, errors.New("the expression is empty")
	}
	c := compiler{document: reflect.TypeFor[T](), roots: map[string]bool{}}
	match, err := c.expression(root, nil)
	if err != nil {
		return nil, err
	}
	return &Filter[T]{expression, match, c.roots}, nil
}

// Match reports whether the expression holds for a document.
func (f *Filter[T]) Match(document *T) bool {
	if f == nil {
		return true
	}
	e := env{document: reflect.ValueOf(document).Elem()}
	return f.match(&e)
}

// String is the expression, "" for a nil Filter.
func (f *Filter[T]) String() string {
	if f == nil {
		return ""
	}
	return f.expression
}

// LooksAt reports whether what is selected depends on any of these fields of the
// document.
func (f *Filter[T]) LooksAt(fields ...string) bool {
	if f == nil {
		return false
	}
	for _, name := range fields {
		if f.roots[name] {
			return true
		}
	}
	return false
}

// Select returns the documents that f selects, in a slice that may be list's own.
func (f *Filter[T]) Select(list []T) []T {
	if f == nil {
		return list
	}
	some := list[:0]
	var e env
	for i := range list {
		e.document = reflect.ValueOf(&list[i]).Elem()
		if f.match(&e) {
			some = append(some, list[i])
		}
	}
	return some
}
