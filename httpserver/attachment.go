package httpserver

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"time"

	"herald/httpserver/api"
	"herald/registry"
)

// attachment is the lease that what is written ends with. The zero value is none.
type attachment struct {
	id registry.LeaseID
	// grant makes the lease, in the transaction that writes; nil if there is one already.
	grant *registry.GrantRequest
}

// attachment reads which lease a write is to end with: ?lease= names one, ?ttl= asks
// for a new one.
func (q *request) attachment() (attachment, error) {
	ttl, makes := q.query.lookup("ttl")
	v, named := q.query.lookup("lease")
	switch {
	case makes && named:
		return attachment{}, refuse(http.StatusBadRequest, "Conflicting flags: lease&ttl")
	case named:
		id, err := api.ParseLeaseID(v)
		if err != nil || id == 0 {
			return attachment{}, refusef(http.StatusBadRequest, "Invalid lease %q: want the id that /v1/lease/grant returned", v)
		}
		return attachment{id: registry.LeaseID(id)}, nil
	case makes:
		d, err := time.ParseDuration(ttl)
		if err != nil || d <= 0 || d > registry.MaxTTL {
			return attachment{}, because(registry.ErrInvalidTTL, http.StatusBadRequest, "Invalid ttl %q: want a duration above 0 and at most %v, such as 30s", ttl, registry.MaxTTL)
		}
		// At random, so that it is not one that ended a moment ago.
		id := registry.LeaseID(1 + rand.Int64N(1<<63-1))
		return attachment{id: id, grant: &registry.GrantRequest{ID: id, TTL: d}}, nil
	}
	return attachment{}, nil
}

// with returns what makes the lease, if it has to be made, before the operations
// that name it.
func (a *attachment) with(ops ...registry.Op) []registry.Op {
	if a.grant == nil {
		return ops
	}
	return append([]registry.Op{{Grant: a.grant}}, ops...)
}

// missing says which lease a write named in vain; other errors it leaves.
func (a *attachment) missing(err error) error {
	var said *refusal
	if a.id == 0 || a.grant != nil || errors.As(err, &said) {
		return err
	}
	return noLease(err, a.id)
}

// tell says in the answer which lease was made.
func (a *attachment) tell(q *request) {
	if a.grant != nil {
		q.header()[api.HeaderLease] = []string{api.LeaseID(a.id).String()}
	}
}
