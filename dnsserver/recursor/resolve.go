package recursor

import (
	"context"
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// mostAliases is how many CNAMEs are followed within an answer.
const mostAliases = 16

// Record is a record of class IN, in wire form and without pointers.
type Record struct {
	Name []byte
	Type uint16
	TTL  uint32 // seconds
	Data []byte
}

// Resolve asks for the records of a name, in wire form, of a type. It returns the
// CNAMEs that lead on from the name, in their order, and the records at their end, of
// which there may be none; and the rcode, which is NOERROR or that of the last name (RFC
// 6604). It fails as Forward does, and where the recursors say SERVFAIL.
func (f *Forwarder) Resolve(ctx context.Context, name []byte, qtype uint16) ([]Record, int, error) {
	q, err := newQuestion(name, qtype)
	if err != nil {
		return nil, 0, err
	}
	m, err := f.ask(ctx, q)
	if err != nil {
		return nil, 0, err
	}
	return m.resolved(qtype)
}

// resolved are the records of an answer that belong to its question, and its rcode.
func (m *message) resolved(qtype uint16) ([]Record, int, error) {
	if !m.settles() {
		return nil, 0, fmt.Errorf("the recursors answer with rcode %d", m.rcode())
	}
	var answer dns.Msg
	if err := answer.Unpack(m.raw); err != nil {
		return nil, 0, fmt.Errorf("the recursors' answer: %w", err)
	}
	records, err := chain(answer.Answer, answer.Question[0].Name, qtype)
	return records, m.rcode(), err
}

// chain picks what belongs to a question from the records of an answer.
func chain(answer []dns.RR, name string, qtype uint16) ([]Record, error) {
	var records []Record
	add := func(rr dns.RR) error {
		r, err := newRecord(rr)
		if err == nil {
			records = append(records, r)
		}
		return err
	}
	for range mostAliases {
		var alias *dns.CNAME
		found := false
		for _, rr := range answer {
			h := rr.Header()
			if h.Class != dns.ClassINET || !strings.EqualFold(h.Name, name) {
				continue
			}
			if c, ok := rr.(*dns.CNAME); ok && alias == nil {
				alias = c
			}
			if h.Rrtype == qtype || qtype == dns.TypeANY {
				found = true
				if err := add(rr); err != nil {
					return nil, err
				}
			}
		}
		if found || alias == nil {
			return records, nil
		}
		if err := add(alias); err != nil {
			return nil, err
		}
		name = alias.Target
	}
	return nil, fmt.Errorf("the recursors' answer: more than %d CNAMEs follow each other", mostAliases)
}

func newRecord(rr dns.RR) (Record, error) {
	b := make([]byte, dns.Len(rr)+maxName)
	end, err := dns.PackRR(rr, b, 0, nil, false)
	if err != nil {
		return Record{}, fmt.Errorf("the recursors' answer: %w", err)
	}
	at := skipLabels(b, 0)
	if at+recordFixed == end {
		// Only an update has records without data (RFC 2136), which dns reads like others.
		return Record{}, fmt.Errorf("the recursors' answer: a %s record without data", dns.Type(rr.Header().Rrtype))
	}
	return Record{Name: b[:at:at], Type: rr.Header().Rrtype, TTL: rr.Header().Ttl, Data: b[at+recordFixed : end]}, nil
}
