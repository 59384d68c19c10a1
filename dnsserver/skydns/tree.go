package skydns

import (
	"strings"

	"herald/registry/cow"
)

const (
	// MaxWork is how many records are to be looked at for one question at most.
	MaxWork = 4096
	// nameWork is how many records a name counts for that a wildcard stands for, with more labels to come: it is found, and what
	// is beneath it, at about that cost.
	nameWork = 8
)

// Tree is all records as they were at a revision. It is immutable.
type Tree struct {
	records  *cow.Set[*Record]
	revision int64
}

// NewTree returns a tree without records, at a revision.
func NewTree(revision int64) *Tree { return &Tree{records: &cow.Set[*Record]{}, revision: revision} }

// Revision is that of the store's key-value space at which a record was last written or deleted: the same on every server.
func (t *Tree) Revision() int64 { return t.revision }

// Len is how many records there are.
func (t *Tree) Len() int { return t.records.Len() }

// Lookup appends to dst[:0] the records of the name that a path stands for and of all names beneath it, by their
// paths. A label that is a wildcard, * or any (IsWildcard), stands for each label. If
// there are more than work of them to be looked at, those that come first are returned, and whole is false; a name that a wildcard
// stands for, with more labels to come, counts for several.
func (t *Tree) Lookup(dst []*Record, path string, work int) (found []*Record, whole bool) {
	s := search{tree: t, found: dst[:0], left: work}
	whole = s.match("", path)
	return s.found, whole
}

// search is one Lookup.
type search struct {
	tree  *Tree
	found []*Record
	left  int // of the work
}

// match finds what begins with the labels of at, and goes on with those of pattern, of which wildcards stand for any. It
// reports false if that is too much work.
func (s *search) match(at, pattern string) bool {
	literal, rest, wild := cutWildcard(pattern)
	at = join(at, literal)
	// Records of the name at itself have no label in a wildcard's place: what follows them begins with one.
	switch {
	case !wild:
		return s.collect(at, at)
	case rest == "":
		return s.collect(at, at+"\x01")
	}
	for it := s.tree.records.Seek(at + "\x01"); it.Valid(); {
		key := it.Item().Key()
		if !strings.HasPrefix(key, at) {
			break
		}
		if s.left -= nameWork; s.left < 0 {
			return false
		}
		label := key[len(at):][:strings.Index(key[len(at):], labelEnd)]
		if !s.match(at+label+labelEnd, rest) {
			return false
		}
		it = s.tree.records.Seek(at + label + "\x01")
	}
	return true
}

// join is a+b, for which nothing is made where a is empty, as it is without wildcards.
func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + b
}

// collect takes all records whose keys begin with a path, from one key on.
func (s *search) collect(path, from string) bool {
	for it := s.tree.records.Seek(from); it.Valid(); it.Next() {
		r := it.Item()
		if !strings.HasPrefix(r.key, path) {
			break
		}
		if s.left--; s.left < 0 {
			return false
		}
		s.found = append(s.found, r)
	}
	return true
}

// cutWildcard cuts a path at its first wildcard.
func cutWildcard(path string) (before, after string, found bool) {
	for at := 0; at < len(path); {
		end := at + strings.IndexByte(path[at:], 0)
		if IsWildcard(path[at:end]) {
			return path[:at], path[end+1:], true
		}
		at = end + 1
	}
	return path, "", false
}

// IsWildcard reports whether a label stands for any in a lookup.
func IsWildcard(label string) bool { return label == "*" || label == "any" }

// Grouped leaves out of records, in place, those of other groups, and returns the rest. The group is that of the record with the fewest
// labels of those that have one; records without a group are in every one. If records with
// as many labels are of different groups, nothing is left out.
func Grouped(records []*Record) []*Record {
	group, fewest, several := "", 0, false
	for _, r := range records {
		if r.Group == "" {
			continue
		}
		switch n := r.labels(); {
		case group == "" || n < fewest:
			group, fewest, several = r.Group, n, false
		case n == fewest && r.Group != group:
			several = true
		}
	}
	if group == "" || several {
		return records
	}
	kept := records[:0]
	for _, r := range records {
		if r.Group == "" || r.Group == group {
			kept = append(kept, r)
		}
	}
	return kept
}
