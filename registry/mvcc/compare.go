package mvcc

import (
	"cmp"
	"fmt"
	"strings"
	"unsafe"

	"herald/registry"
)

// absent is what a key that does not exist compares as.
var absent = &record{}

func validateCompare(c *registry.Compare) error {
	switch {
	case !c.Space.Valid():
		return invalidSpace(c.Space)
	case c.Target > registry.CompareLockCount:
		return fmt.Errorf("%w: unknown compare target %d", registry.ErrInvalid, c.Target)
	case c.Result > registry.Less:
		return fmt.Errorf("%w: unknown compare operator %d", registry.ErrInvalid, c.Result)
	}
	return validateKeys(c.KeyRange)
}

// firstFailure returns a record of the range for which the compare does not
// hold, absent for a range without keys, or nil if it holds for all.
func (s *space) firstFailure(c *registry.Compare) *record {
	var failed *record
	none := true
	s.scan(c.KeyRange, func(r *record) bool {
		none = false
		if !r.satisfies(c) {
			failed = r
		}
		return failed == nil
	})
	if none && !absent.satisfies(c) {
		return absent
	}
	return failed
}

func (s *space) holds(c *registry.Compare) bool { return s.firstFailure(c) == nil }

// satisfies evaluates a compare for one key.
func (r *record) satisfies(c *registry.Compare) bool {
	var order int
	switch c.Target {
	case registry.CompareVersion:
		order = cmp.Compare(r.version, c.Int)
	case registry.CompareCreate:
		order = cmp.Compare(r.create, c.Int)
	case registry.CompareMod:
		order = cmp.Compare(r.mod, c.Int)
	case registry.CompareValue:
		if r.deleted() {
			return false // whatever the operator: there is no value to compare
		}
		order = strings.Compare(r.valueString(), unsafe.String(unsafe.SliceData(c.Bytes), len(c.Bytes)))
	case registry.CompareLease:
		order = cmp.Compare(r.extra().lease, registry.LeaseID(c.Int))
	case registry.CompareFlags:
		order = cmp.Compare(r.extra().flags, c.Uint)
	case registry.CompareLockHolder:
		order = cmp.Compare(r.extra().lock.Holder, registry.LeaseID(c.Int))
	case registry.CompareLockCount:
		order = cmp.Compare(r.extra().lock.Count, c.Uint)
	}
	switch c.Result {
	case registry.Equal:
		return order == 0
	case registry.NotEqual:
		return order != 0
	case registry.Greater:
		return order > 0
	case registry.Less:
		return order < 0
	}
	return false
}
