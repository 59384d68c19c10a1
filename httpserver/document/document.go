// Package document spells keys whose names are paths as one configuration document, and
// reads such a document as keys. Slashes are nesting: {"db/host": "a"} is db: {host: a}
// in YAML, db__host=a in the form of an environment, and db.host=a in properties.
//
// It knows nothing of where keys are kept. All is pure; it starts no goroutines.
package document

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ErrDocument is returned for a document that cannot be read, or keys that the format
// has no way to spell. Wrapped with which, and why.
var ErrDocument = errors.New("invalid document")

// maxDepth bounds how deep documents nest.
const maxDepth = 64

// Format is a way to spell a document.
type Format struct {
	Name        string
	ContentType string
	render      func(tree map[string]any) ([]byte, error)
	parse       func(b []byte, k *keys) error
}

var formats = []Format{
	{"json", "application/json", renderJSON, parseJSON},
	{"yaml", "application/yaml", renderYAML, parseYAML},
	{"toml", "application/toml", renderTOML, parseTOML},
	{"env", "text/plain; charset=utf-8", renderEnv, parseEnv},
	{"properties", "text/x-java-properties; charset=utf-8", renderProperties, parseProperties},
}

// Named returns the format of a name.
func Named(name string) (Format, bool) {
	i := slices.IndexFunc(formats, func(f Format) bool { return f.Name == name })
	if i < 0 {
		return Format{}, false
	}
	return formats[i], true
}

// Render spells keys, in order of their names. Values are text; typed makes numbers and
// booleans of those that are spelled as such, where the format has them. A key
// that ends in a slash and is empty marks a folder, and is left out.
func (f Format) Render(values map[string]string, typed bool) ([]byte, error) {
	tree := map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		value := values[key]
		if value == "" && strings.HasSuffix(key, "/") {
			continue
		}
		if !utf8.ValidString(value) || !utf8.ValidString(key) {
			return nil, fmt.Errorf("%w: key %q or its value is not UTF-8", ErrDocument, key)
		}
		if err := place(tree, key, value, typed); err != nil {
			return nil, err
		}
	}
	return f.render(tree)
}

// place puts a value where its path leads.
func place(tree map[string]any, key, value string, typed bool) error {
	path := strings.Split(key, "/")
	if len(path) > maxDepth {
		return fmt.Errorf("%w: key %q is nested deeper than %d", ErrDocument, key, maxDepth)
	}
	for i, name := range path {
		if name == "" {
			return fmt.Errorf("%w: key %q has an empty name between its slashes", ErrDocument, key)
		}
		have, taken := tree[name]
		if i == len(path)-1 {
			if taken {
				return fmt.Errorf("%w: key %q is a value, and other keys are below it", ErrDocument, key)
			}
			tree[name] = scalar(value, typed)
			return nil
		}
		below, ok := have.(map[string]any)
		switch {
		case taken && !ok:
			return fmt.Errorf("%w: key %q is a value, and other keys are below it: %q", ErrDocument, strings.Join(path[:i+1], "/"), key)
		case !taken:
			below = map[string]any{}
			tree[name] = below
		}
		tree = below
	}
	return nil
}

// scalar makes a number or a boolean of text which each format gives back as it was.
func scalar(s string, typed bool) any {
	if !typed {
		return s
	}
	if s == "true" || s == "false" {
		return s == "true"
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && strconv.FormatInt(n, 10) == s {
		return n
	}
	// With a fraction, and not so small that it would get an exponent.
	if x, err := strconv.ParseFloat(s, 64); err == nil && strings.Contains(s, ".") && (x >= 1e-4 || x <= -1e-4) && floatText(x) == s {
		return x
	}
	return s
}

func floatText(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }

// Parse reads a document as keys. What has no key or no text (a list, a null) is refused
// by name, and so is a name that is there twice, is empty, or has a slash.
func (f Format) Parse(b []byte) (map[string]string, error) {
	if !utf8.Valid(b) {
		return nil, fmt.Errorf("%w: it is not UTF-8", ErrDocument)
	}
	k := &keys{values: map[string]string{}}
	if err := f.parse(b, k); err != nil {
		if !errors.Is(err, ErrDocument) {
			err = fmt.Errorf("%w: %s: %w", ErrDocument, f.Name, err)
		}
		return nil, err
	}
	// What is both a value and a prefix has no place in any document.
	tree := map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(k.values)) {
		if err := place(tree, key, "", false); err != nil {
			return nil, err
		}
	}
	return k.values, nil
}

// keys is what has been read of a document.
type keys struct{ values map[string]string }

func (k *keys) set(path []string, value string) error {
	key := strings.Join(path, "/")
	if _, twice := k.values[key]; twice {
		return fmt.Errorf("%w: %q is there twice", ErrDocument, key)
	}
	if len(path) == 0 {
		return fmt.Errorf("%w: it is one value, and has no names", ErrDocument)
	}
	k.values[key] = value
	return nil
}

// below is the path of a name within path.
func below(path []string, name string) ([]string, error) {
	switch {
	case name == "" || strings.Contains(name, "/"):
		return nil, fmt.Errorf("%w: in %q: the name %q is empty or has a slash", ErrDocument, strings.Join(path, "/"), name)
	case len(path) >= maxDepth:
		return nil, fmt.Errorf("%w: it is nested deeper than %d", ErrDocument, maxDepth)
	}
	return append(path[:len(path):len(path)], name), nil
}

// noKey refuses what cannot be the value of a key.
func noKey(path []string, what string) error {
	return fmt.Errorf("%w: %q is %s, which no key can be", ErrDocument, strings.Join(path, "/"), what)
}

// flatten calls each for every value of a tree, in order of its path.
func flatten(tree map[string]any, path []string, each func(path []string, value string) error) error {
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		p := append(path[:len(path):len(path)], name)
		var err error
		switch v := tree[name].(type) {
		case map[string]any:
			err = flatten(v, p, each)
		default:
			err = each(p, text(v))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// text spells a scalar.
func text(v any) string {
	if x, ok := v.(float64); ok {
		return floatText(x)
	}
	return fmt.Sprint(v)
}
