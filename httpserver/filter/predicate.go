package filter

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/hashicorp/go-bexpr/grammar"
)

// predicate returns what an operator asks of a value of type t. raw is what the
// value is compared with.
func predicate(op grammar.MatchOperator, t reflect.Type, raw string) (func(reflect.Value) bool, error) {
	var holds func(reflect.Value) bool
	var err error
	switch op {
	case grammar.MatchEqual, grammar.MatchNotEqual:
		holds, err = equal(t, raw)
	case grammar.MatchIn, grammar.MatchNotIn, grammar.MatchContains, grammar.MatchNotContains:
		holds, err = contains(t, raw)
	case grammar.MatchIsEmpty, grammar.MatchIsNotEmpty:
		holds, err = empty(t)
	case grammar.MatchIsNil, grammar.MatchIsNotNil:
		holds, err = absent(t)
	case grammar.MatchMatches, grammar.MatchNotMatches:
		holds, err = matches(t, raw)
	default:
		err = fmt.Errorf("the operator %v is not known", op)
	}
	if err != nil || !negated(op) {
		return holds, err
	}
	return func(v reflect.Value) bool { return !holds(v) }, nil
}

func negated(op grammar.MatchOperator) bool {
	switch op {
	case grammar.MatchNotEqual, grammar.MatchNotIn, grammar.MatchNotContains,
		grammar.MatchIsNotEmpty, grammar.MatchIsNotNil, grammar.MatchNotMatches:
		return true
	}
	return false
}

func equal(t reflect.Type, raw string) (func(reflect.Value) bool, error) {
	// Numbers may be written as in Go, as 0x50.
	switch t.Kind() {
	case reflect.String:
		return func(v reflect.Value) bool { return v.String() == raw }, nil
	case reflect.Bool:
		want, err := strconv.ParseBool(raw)
		return func(v reflect.Value) bool { return v.Bool() == want }, wrong(err, "true or false")
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		want, err := strconv.ParseInt(raw, 0, 64)
		return func(v reflect.Value) bool { return v.Int() == want }, wrong(err, "a number")
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		want, err := strconv.ParseUint(raw, 0, 64)
		return func(v reflect.Value) bool { return v.Uint() == want }, wrong(err, "a number that is not negative")
	case reflect.Float32, reflect.Float64:
		want, err := strconv.ParseFloat(raw, 64)
		return func(v reflect.Value) bool { return v.Float() == want }, wrong(err, "a number")
	}
	return nil, fmt.Errorf("cannot compare a %s with a value; use in, is empty, or a field within it", kind(t))
}

// contains asks for an element of a list, a key of a map, or a part of a text.
func contains(t reflect.Type, raw string) (func(reflect.Value) bool, error) {
	switch t.Kind() {
	case reflect.String:
		return func(v reflect.Value) bool { return strings.Contains(v.String(), raw) }, nil
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			return nil, errors.New("its keys are no texts")
		}
		key := reflect.ValueOf(raw).Convert(t.Key())
		return func(v reflect.Value) bool { return v.MapIndex(key).IsValid() }, nil
	case reflect.Slice:
		is, err := equal(pointed(t.Elem()), raw)
		if err != nil {
			return nil, err
		}
		return func(v reflect.Value) bool {
			for i := range v.Len() {
				if x := target(v.Index(i)); x.IsValid() && is(x) {
					return true
				}
			}
			return false
		}, nil
	}
	return nil, fmt.Errorf("a %s contains nothing; in and contains are for lists, maps and texts", kind(t))
}

func empty(t reflect.Type) (func(reflect.Value) bool, error) {
	switch t.Kind() {
	case reflect.String, reflect.Map, reflect.Slice:
		return func(v reflect.Value) bool { return v.Len() == 0 }, nil
	}
	return nil, fmt.Errorf("a %s is never empty; is empty is for lists, maps and texts", kind(t))
}

// absent is asked of what is there: only lists and maps can be nil then.
func absent(t reflect.Type) (func(reflect.Value) bool, error) {
	switch t.Kind() {
	case reflect.Map, reflect.Slice:
		return reflect.Value.IsNil, nil
	case reflect.Struct:
		return func(reflect.Value) bool { return false }, nil
	}
	return nil, fmt.Errorf("a %s is never nil; is nil is for lists, maps and documents", kind(t))
}

func matches(t reflect.Type, raw string) (func(reflect.Value) bool, error) {
	if t.Kind() != reflect.String {
		return nil, fmt.Errorf("a %s has no text to match", kind(t))
	}
	re, err := regexp.Compile(raw)
	if err != nil {
		return nil, fmt.Errorf("failed to compile regular expression %q: %w", raw, err)
	}
	return func(v reflect.Value) bool { return re.MatchString(v.String()) }, nil
}

func wrong(err error, want string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("want %s: %w", want, err)
}

// kind names a type as a person knows it.
func kind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Slice:
		return "list"
	case reflect.Struct:
		return "document"
	}
	return t.Kind().String()
}
