package agent

import (
	"maps"
	"reflect"
	"slices"

	"herald/registry"
)

// cloneService copies a definition, its checks aside, so that its giver may go on
// using it. Empty maps and slices become nil, so that definitions that mean the
// same compare equal.
func cloneService(d registry.ServiceDefinition) registry.ServiceDefinition {
	d.Tags = cloneSlice(d.Tags)
	d.Meta = cloneMap(d.Meta)
	d.TaggedAddresses = cloneMap(d.TaggedAddresses)
	if d.Weights != nil {
		w := *d.Weights
		d.Weights = &w
	}
	return d
}

func cloneCheck(d registry.CheckDefinition) registry.CheckDefinition {
	spec := make(map[string]any, len(d.Spec))
	for k, v := range d.Spec {
		spec[k] = cloneValue(v)
	}
	d.Spec = cloneMap(spec)
	return d
}

// cloneValue copies the values that definitions are read as. A value of another
// type belongs to a kind of its own and is taken as immutable.
func cloneValue(v any) any {
	switch v := v.(type) {
	case []string:
		return slices.Clone(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = cloneValue(v[i])
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k := range v {
			out[k] = cloneValue(v[k])
		}
		return out
	case map[string]string:
		return maps.Clone(v)
	case map[string][]string:
		out := make(map[string][]string, len(v))
		for k := range v {
			out[k] = slices.Clone(v[k])
		}
		return out
	default:
		return v
	}
}

func cloneSlice[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	return slices.Clone(s)
}

func cloneMap[M ~map[K]V, K comparable, V any](m M) M {
	if len(m) == 0 {
		return nil
	}
	return maps.Clone(m)
}

// sameDefinition compares definitions that were cloned.
func sameDefinition[T any](a, b T) bool { return reflect.DeepEqual(a, b) }
