package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"herald/registry"
)

// spec reads a definition's Spec. Each getter takes one name; what is left at the
// end is unknown to the kind and refused. The first problem is kept, and
// later getters return zero values.
//
// Values come in two dialects: as Go callers write them ([]string,
// map[string][]string) and as a JSON decoder makes them ([]any, map[string]any).
type spec struct {
	kind   string
	values map[string]any
	known  []string
	err    error
}

func specOf(d registry.CheckDefinition, kind string) *spec {
	s := &spec{kind: kind, values: d.Spec}
	if d.Kind != kind {
		s.fail("kind", fmt.Sprintf("must be %q, not %q", kind, d.Kind))
	}
	return s
}

// done refuses the names that no getter asked for, and returns the first problem.
func (s *spec) done() error {
	if s.err != nil {
		return s.err
	}
	for _, name := range slices.Sorted(maps.Keys(s.values)) {
		if slices.Contains(s.known, name) {
			continue
		}
		knows := "takes nothing"
		if len(s.known) > 0 {
			slices.Sort(s.known)
			knows = "takes " + strings.Join(s.known, ", ")
		}
		return fmt.Errorf("%w: %s check: unknown field %q; it %s", registry.ErrInvalidDefinition, s.kind, name, knows)
	}
	return nil
}

func (s *spec) fail(name, problem string) {
	if s.err == nil {
		s.err = fmt.Errorf("%w: %s check: %s %s", registry.ErrInvalidDefinition, s.kind, name, problem)
	}
}

func (s *spec) take(name string) any {
	s.known = append(s.known, name)
	return s.values[name]
}

func (s *spec) string(name string) string {
	switch v := s.take(name).(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		s.fail(name, fmt.Sprintf("must be a string, not %T", v))
		return ""
	}
}

func (s *spec) bool(name string) bool { return s.boolOr(name, false) }

// boolOr is what a flag is that may be left out.
func (s *spec) boolOr(name string, otherwise bool) bool {
	switch v := s.take(name).(type) {
	case nil:
		return otherwise
	case bool:
		return v
	default:
		s.fail(name, fmt.Sprintf("must be true or false, not %T", v))
		return false
	}
}

func (s *spec) strings(name string) []string {
	list, ok := stringList(s.take(name))
	if !ok {
		s.fail(name, "must be a list of strings")
	}
	return list
}

// header reads a map from names to one string or several.
func (s *spec) header(name string) map[string][]string {
	out := map[string][]string{}
	put := func(key string, v any) {
		if one, ok := v.(string); ok {
			out[key] = []string{one}
			return
		}
		list, ok := stringList(v)
		if !ok || list == nil {
			s.fail(name, fmt.Sprintf("must give %q a string or a list of strings", key))
		}
		out[key] = list
	}
	switch v := s.take(name).(type) {
	case nil:
	case map[string][]string:
		maps.Copy(out, v)
	case map[string]string:
		for key, one := range v {
			put(key, one)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			put(key, v[key])
		}
	default:
		s.fail(name, "must map names to lists of strings")
	}
	return out
}

func stringList(v any) (list []string, ok bool) {
	switch v := v.(type) {
	case nil:
		return nil, true
	case []string:
		return slices.Clone(v), true
	case []any:
		for _, e := range v {
			one, ok := e.(string)
			if !ok {
				return nil, false
			}
			list = append(list, one)
		}
		return list, true
	default:
		return nil, false
	}
}
