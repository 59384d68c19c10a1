package skydns

import (
	"errors"
	"fmt"
	"strings"

	"herald/registry"
)

const (
	maxLabel = 63
	// maxPath is how long a path may be: with the root's zero it is as long as the name in wire form, which
	// has 255 bytes at most (RFC 1035).
	maxPath = 254
	// labelEnd follows each label of a path. No label has it, and it is below every byte that one has,
	// so that a name comes right before the names beneath it.
	labelEnd = "\x00"
)

// Prefix is what the keys that hold records begin with.
type Prefix struct {
	text string // with a slash at the end
}

// ParsePrefix reads a prefix as a setting has it, with or without a slash at the end. A slash at its beginning
// counts: keys are compared byte by byte.
func ParsePrefix(s string) (Prefix, error) {
	text := strings.TrimRight(s, "/")
	if text == "" {
		return Prefix{}, fmt.Errorf("%q is no prefix of keys: it has a part that is not a slash, such as /skydns", s)
	}
	return Prefix{text + "/"}, nil
}

// String is the prefix with a slash at its end.
func (p Prefix) String() string { return p.text }

// Range is where the keys are.
func (p Prefix) Range() registry.KeyRange { return registry.Prefix(p.text) }

// What is wrong with a key that is no name.
var (
	errNoLabel   = errors.New("it names the root, which has no records")
	errLabel     = fmt.Errorf("a part of it is no label: those have 1 to %d bytes, none of which is a dot, a slash or zero", maxLabel)
	errLong      = errors.New("the name has more than 255 bytes")
	errElsewhere = errors.New("it does not lie below the prefix")
)

// path is a key's name as a path (AppendLabel). Parts are compared without their case, as labels are; a
// slash at the end says nothing.
func (p Prefix) path(key string) (string, error) {
	rest, ok := strings.CutPrefix(key, p.text)
	if !ok {
		return "", errElsewhere
	}
	rest = strings.TrimSuffix(rest, "/")
	if rest == "" {
		return "", errNoLabel
	}
	path := make([]byte, 0, len(rest)+1)
	for label, more := "", true; more; {
		label, rest, more = strings.Cut(rest, "/")
		if path, ok = AppendLabel(path, label); !ok {
			return "", errLabel
		}
		if len(path) > maxPath {
			return "", errLong
		}
	}
	return string(path), nil
}

// canonical is the key that a path is mostly written as.
func (p Prefix) canonical(path string) string {
	return p.text + strings.ReplaceAll(strings.TrimSuffix(path, labelEnd), labelEnd, "/")
}

// AppendLabel appends the next label of a name to its path: labels from the right to the left, in lower case, each
// followed by a zero. It reports false, appending nothing, for what cannot be a part of a key and is no label of a name that
// has one: it is empty, longer than 63 bytes, or has a zero, a dot or a slash in it.
func AppendLabel[T ~string | ~[]byte](path []byte, label T) ([]byte, bool) {
	start := len(path)
	if len(label) == 0 || len(label) > maxLabel {
		return path, false
	}
	for i := range len(label) {
		c := label[i]
		if c == 0 || c == '.' || c == '/' {
			return path[:start], false
		}
		path = append(path, lower(c))
	}
	return append(path, labelEnd...), true
}

// lower folds the case of a letter as names do: only ASCII has cases there.
func lower[T byte | rune](c T) T {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// isHostName reports whether a host of a value can be written as a name.
func isHostName(s string) bool {
	s = strings.TrimSuffix(s, ".")
	if len(s) > maxPath-1 {
		return false
	}
	for label, more := "", true; more; {
		label, s, more = strings.Cut(s, ".")
		if label == "" || len(label) > maxLabel {
			return false
		}
	}
	return true
}
