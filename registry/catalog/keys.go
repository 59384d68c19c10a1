package catalog

import (
	"fmt"
	"strings"

	"herald/registry"
)

// Keys are made of a letter that says what the record is, and the names that
// identify it, separated by a NUL:
//
//	n NUL node                         a node
//	s NUL node NUL instance            an instance
//	c NUL node NUL instance NUL check  a check of an instance
//	c NUL node NUL NUL check           a check of a node
//
// A node's name is in lower case. No name contains a NUL, so the keys below a
// prefix that ends in one are exactly those of the thing it names, and key order
// is the order of the names.
const separator = "\x00"

type recordKind byte

const (
	nodeRecord     recordKind = 'n'
	instanceRecord recordKind = 's'
	checkRecord    recordKind = 'c'
)

// NodeKey is the key of a node's record.
func NodeKey(node string) string {
	return string(nodeRecord) + separator + fold(node)
}

// InstanceKey is the key of an instance's record.
func InstanceKey(node, id string) string {
	return instancePrefix(node) + id
}

// CheckKey is the key of a check's record. A check of the node itself has
// serviceID "".
func CheckKey(node, serviceID, checkID string) string {
	return checkPrefix(node) + serviceID + separator + checkID
}

func instancePrefix(node string) string {
	return string(instanceRecord) + separator + fold(node) + separator
}

func checkPrefix(node string) string {
	return string(checkRecord) + separator + fold(node) + separator
}

// RangesOfNode are where all records of a node lie: its own, those of its instances, and those
// of all checks.
func RangesOfNode(node string) [3]registry.KeyRange {
	return [3]registry.KeyRange{
		registry.One(NodeKey(node)),
		registry.Prefix(instancePrefix(node)),
		registry.Prefix(checkPrefix(node)),
	}
}

// identity is what a key names. Its strings are parts of the key.
type identity struct {
	kind     recordKind
	node     string // folded
	instance string // "" for a node, and for a check of a node
	check    string
}

// parseKey is the inverse of NodeKey, InstanceKey and CheckKey.
func parseKey(key string) (identity, error) {
	kind, rest, ok := strings.Cut(key, separator)
	if !ok || len(kind) != 1 {
		return identity{}, fmt.Errorf("key %q is of no kind of record", key)
	}
	id := identity{kind: recordKind(kind[0])}
	parts := 0
	switch id.kind {
	case nodeRecord:
		id.node, parts = rest, 1
	case instanceRecord:
		id.node, id.instance, ok = strings.Cut(rest, separator)
		parts = 2
	case checkRecord:
		id.node, rest, ok = strings.Cut(rest, separator)
		if ok {
			id.instance, id.check, ok = strings.Cut(rest, separator)
		}
		parts = 3
	default:
		return identity{}, fmt.Errorf("key %q is of no kind of record", key)
	}
	if !ok || strings.Count(key, separator) != parts {
		return identity{}, fmt.Errorf("key %q does not have the %d names of its kind", key, parts)
	}
	switch {
	case id.node == "",
		id.kind == instanceRecord && id.instance == "",
		id.kind == checkRecord && id.check == "":
		return identity{}, fmt.Errorf("key %q has an empty name", key)
	case fold(id.node) != id.node:
		return identity{}, fmt.Errorf("key %q spells its node in upper case", key)
	}
	return id, nil
}

// fold returns a name as it is compared: node and service names are equal
// whatever their case. A name that is in lower case already costs nothing.
func fold(name string) string { return strings.ToLower(name) }
