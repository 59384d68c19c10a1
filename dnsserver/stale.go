package dnsserver

import (
	"encoding/binary"
	"strconv"
	"time"

	"github.com/miekg/dns"
)

// maxExtended is how long an extended error may be, with its code and length.
const maxExtended = 48

// stale says whether the catalog, or for a keyed zone the tree, is too old to answer from, and has the answer say how old it
// is where that is asked for.
func (r *responder) stale(q *query, keyed bool) (tooOld bool) {
	q.edns.extendedSize = 0
	what := "catalog too old: "
	if keyed {
		q.age, what = q.treeAge, "records too old: "
	}
	tooOld = r.maxStale > 0 && q.age > r.maxStale
	switch {
	case r.staleErrorAfter <= 0 || q.age <= r.staleErrorAfter:
	case tooOld:
		q.edns.extend(dns.ExtendedErrorCodeNoReachableAuthority, what, q.age)
	default:
		q.edns.extend(dns.ExtendedErrorCodeStaleAnswer, "age ", q.age)
	}
	return tooOld
}

// extend has the answer carry an extended error (RFC 8914), with an age in whole seconds.
func (e *edns) extend(code uint16, text string, age time.Duration) {
	if !e.present {
		return
	}
	b := binary.BigEndian.AppendUint16(e.extended[:0], dns.EDNS0EDE)
	b = binary.BigEndian.AppendUint16(b, 0)
	b = binary.BigEndian.AppendUint16(b, code)
	b = append(b, text...)
	if age == maxAge {
		b = append(b, "unknown"...)
	} else {
		b = append(strconv.AppendInt(b, int64(age/time.Second), 10), 's')
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)-4))
	e.extendedSize = uint8(len(b))
}

// maxAge is the age of a catalog of which none is known.
const maxAge = time.Duration(1<<63 - 1)

// optionsSize is how long the options of the answer are.
func (e *edns) optionsSize() int { return int(e.subnetSize) + int(e.replySize) + int(e.extendedSize) }
