package httpserver

import (
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"herald/registry"
	"herald/registry/session"
)

// kvPut is PUT /v1/kv/<key>. Everything it depends on is decided when the
// transaction is applied; a put that changes nothing writes nothing.
func (s *surface) kvPut(q *request) error {
	key, err := q.need("Missing key name")
	if err != nil {
		return err
	}
	if err := q.conflicts("cas", "acquire", "release"); err != nil {
		return err
	}
	flags, err := q.uint("flags")
	if err != nil {
		return err
	}
	t, err := q.kvCompare(key)
	if err != nil {
		return err
	}
	lease, err := q.attachment()
	if err != nil {
		return err
	}
	ctx := q.caller(registry.ReasonClient)
	if most := s.live().MaxKeyBytes; len(key) > most {
		s.metrics.refuse("max_key_bytes")
		return because(registry.ErrTooLarge, http.StatusRequestEntityTooLarge, "Key(%d bytes) too large, max size: %d bytes. See the HTTP door's setting max_key_bytes.", len(key), most)
	}
	value, err := s.readBody(q, s.live().MaxValueBytes, "max_value_bytes")
	if err != nil {
		return err
	}
	put := registry.PutRequest{
		Space: registry.SpaceKV, Key: key, Value: value, Flags: flags, Lease: lease.id,
		Lock: registry.LockForget, IfChanged: true,
	}
	done, locks, err := s.lock(ctx, q, put, &lease)
	if !locks {
		t.Then = lease.with(registry.Op{Put: &put})
		var res registry.TxnResult
		res, err = s.store.Txn(ctx, t)
		done = res.Succeeded
	}
	if err != nil {
		return lease.missing(err)
	}
	if done {
		lease.tell(q)
	}
	return q.bool(done)
}

// kvDelete is DELETE /v1/kv/<key>. A key that is not there is deleted already,
// also with ?cas=.
func (s *surface) kvDelete(q *request) error {
	recurse := q.query.has("recurse")
	if q.arg == "" && !recurse {
		return refuse(http.StatusBadRequest, "Missing key name")
	}
	if err := q.conflicts("recurse", "cas"); err != nil {
		return err
	}
	keys := registry.One(q.arg)
	var t registry.Txn
	if recurse {
		keys = registry.Prefix(q.arg)
	} else if q.query.has("cas") {
		cas, err := q.uint("cas")
		if err != nil {
			return err
		}
		t.Compare = []registry.Compare{{Space: registry.SpaceKV, KeyRange: keys, Target: registry.CompareMod, Int: casRevision(cas)}}
		t.Else = []registry.Op{{Range: &registry.RangeRequest{Space: registry.SpaceKV, KeyRange: keys, CountOnly: true}}}
	}
	t.Then = []registry.Op{
		{Delete: &registry.DeleteRequest{Space: registry.SpaceKV, KeyRange: keys}},
		{Delete: &registry.DeleteRequest{Space: registry.SpaceSession, KeyRange: session.Delays(keys)}},
	}
	res, err := s.store.Txn(q.caller(registry.ReasonClient), t)
	if err != nil {
		return err
	}
	return q.bool(res.Succeeded || res.Results[0].Range.Count == 0)
}

// kvCompare compiles ?cas= of a put: 0 wants the key absent, anything else wants
// it as that index left it.
func (q *request) kvCompare(key string) (t registry.Txn, err error) {
	if !q.query.has("cas") {
		return t, nil
	}
	cas, err := q.uint("cas")
	if err != nil {
		return t, err
	}
	c := registry.Compare{Space: registry.SpaceKV, KeyRange: registry.One(key), Target: registry.CompareMod, Int: casRevision(cas)}
	if cas == 0 {
		c.Target, c.Int = registry.CompareCreate, 0
	}
	t.Compare = []registry.Compare{c}
	return t, nil
}

// casRevision is the revision that a ?cas= means. None is -1, which 0 and what
// no revision can be are: a missing key has revision 0, and must not match.
func casRevision(cas uint64) int64 {
	if cas == 0 || cas > math.MaxInt64 {
		return -1
	}
	return int64(cas)
}

// uint returns a parameter that is a number of 64 bits, 0 if it is absent. Clients
// of this API expect 500 for one that is not.
func (q *request) uint(name string) (uint64, error) {
	v, ok := q.query.lookup(name)
	if !ok {
		return 0, nil
	}
	n, err := strconv.ParseUint(v, 10, 64)
	if err != nil {
		return 0, refusef(http.StatusInternalServerError, "Invalid value %q for ?%s=: want a whole number from 0 to %d", v, name, uint64(math.MaxUint64))
	}
	return n, nil
}

// conflicts refuses more than one of several parameters.
func (q *request) conflicts(names ...string) error {
	var there []string
	for _, n := range names {
		if q.query.has(n) {
			there = append(there, n)
		}
	}
	if len(there) < 2 {
		return nil
	}
	slices.Sort(there)
	return refuse(http.StatusBadRequest, "Conflicting flags: "+strings.Join(there, "&"))
}
