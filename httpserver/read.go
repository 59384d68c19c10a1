package httpserver

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"herald/httpserver/api"
	"herald/registry"
)

// mode is how fresh a read has to be.
type mode uint8

const (
	// modeDefault is answered from this process's own copy while it leads the
	// cluster with a quorum behind it, and linearizably otherwise.
	modeDefault mode = iota
	// modeConsistent is linearizable.
	modeConsistent
	// modeStale is answered from this process's own copy, whatever its age.
	modeStale
)

var modeHeaders = [...][]string{{"leader"}, {"consistent"}, {"stale"}}

// The bounds of how long a blocking query waits.
const (
	defaultWait = 5 * time.Minute
	maxWait     = 10 * time.Minute
	// waitJitter is the share of the wait by which it may last longer, at random, so
	// that queries that began together do not all end together.
	waitJitter = 16
)

// readOptions is what every read can be asked for.
type readOptions struct {
	mode   mode
	cached bool
	// index is the last index the client has seen; 0 does not block.
	index uint64
	// wait is how long to block for one above it, without jitter.
	wait time.Duration
}

// parseReadOptions reads the consistency mode and what to block on. Empty values
// count as absent, except that a mode counts by being there.
func parseReadOptions(p *params) (readOptions, error) {
	o := readOptions{wait: defaultWait, cached: p.has("cached")}
	stale, consistent := p.has("stale"), p.has("consistent")
	switch {
	case stale && consistent:
		return o, refuse(http.StatusBadRequest, "Cannot specify ?stale with ?consistent, conflicting semantics.")
	case o.cached && consistent:
		return o, refuse(http.StatusBadRequest, "Cannot specify ?cached with ?consistent, conflicting semantics.")
	case stale:
		o.mode = modeStale
	case consistent:
		o.mode = modeConsistent
	}
	if v := p.get("index"); v != "" {
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			return o, refuse(http.StatusBadRequest, "Invalid index")
		}
		o.index = n
	}
	if v := p.get("wait"); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil || d < 0 {
			return o, refuse(http.StatusBadRequest, "Invalid wait time")
		}
		if d > 0 {
			o.wait = min(d, maxWait)
		}
	}
	return o, nil
}

// blocking returns the context a blocking query waits under: it ends with the
// request, after the wait, and when the door stops. Its end is no error but the
// time to answer with what there is, unless the request itself is over.
func (s *surface) blocking(q *request, o *readOptions) (ctx context.Context, stop func(), err error) {
	leave, err := s.block(q)
	if err != nil {
		return nil, nil, err
	}
	wait := o.wait
	if n := int64(wait / waitJitter); n > 0 {
		wait += time.Duration(rand.Int64N(n))
	}
	ctx, cancel := context.WithTimeout(q.r.Context(), wait)
	unhook := context.AfterFunc(s.draining, cancel)
	return ctx, func() {
		unhook()
		cancel()
		leave()
	}, nil
}

// block counts a query that may wait until leave is called, and refuses it if too
// many wait already: each holds a connection and its memory.
func (s *surface) block(q *request) (leave func(), err error) {
	forget := func() {}
	if addr, limited := s.clientOf(q); limited {
		var ok bool
		if forget, ok = s.clients.block(addr, time.Now()); !ok {
			q.header()["Retry-After"] = []string{"1"}
			s.metrics.refuse("max_blocked_queries_per_client")
			return nil, refusef(http.StatusTooManyRequests, "%d queries of %v wait for a change here, which is all that the HTTP door's setting max_blocked_queries_per_client allows a client; ask again when one has been answered, or ask another server.", s.live().MaxBlockedPerClient, addr)
		}
	}
	n, most := s.metrics.blocked.Add(1), s.live().MaxBlockedQueries
	if most > 0 && n > int64(most) {
		s.metrics.blocked.Add(-1)
		forget()
		q.header()["Retry-After"] = []string{"1"}
		s.metrics.refuse("max_blocked_queries")
		return nil, refusef(http.StatusTooManyRequests, "%d queries wait for a change here, which is all that the HTTP door's setting max_blocked_queries allows; ask again, or ask another server.", most)
	}
	q.blocked = true
	return func() {
		s.metrics.blocked.Add(-1)
		forget()
	}, nil
}

// readHeaders sets what every read of the store answers with. age is how old the
// answer may be, which is asked of stale ones alone: any other is as fresh as its
// question. A client takes an index of 0 for none, and spins.
func (s *surface) readHeaders(h http.Header, m mode, index uint64, age time.Duration) {
	h[api.HeaderIndex] = headerUint(max(index, 1))
	h[api.HeaderLastContact], h[api.HeaderKnownLeader] = zero, yes
	if m != modeStale {
		return // it would have failed without a leader
	}
	h[api.HeaderLastContact] = headerUint(uint64(max(age, 0).Milliseconds()))
	if s.cluster.Status().Leader == "" {
		h[api.HeaderKnownLeader] = no
	}
}

// read reads a range as fresh as the mode asks for.
func (s *surface) read(ctx context.Context, m mode, r registry.RangeRequest) (registry.RangeResult, error) {
	if m != modeConsistent {
		r.Consistency = registry.Stale
		res, err := s.store.Range(ctx, r)
		if err != nil || m == modeStale || res.Age == 0 {
			return res, err
		}
	}
	r.Consistency = registry.Linearizable
	return s.store.Range(ctx, r)
}

// index turns a revision into an index.
func index(rev int64) uint64 { return uint64(max(rev, 1)) }

// tooLarge refuses a body in the words that clients match on.
func tooLarge(size int64, limit int, setting string) error {
	return because(registry.ErrTooLarge, http.StatusRequestEntityTooLarge,
		"Request body(%s bytes) too large, max size: %d bytes. See the HTTP door's setting %s.", bodySize(size, limit), limit, setting)
}

// bodySize spells a body's size, which is not known if it came in chunks.
func bodySize(size int64, limit int) string {
	if size >= 0 {
		return strconv.FormatInt(size, 10)
	}
	return fmt.Sprintf("more than %d", limit)
}
