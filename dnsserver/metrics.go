package dnsserver

import (
	"sync/atomic"
	"time"

	"herald/registry/plugin"

	"github.com/miekg/dns"
)

// metrics counts queries. It is safe for concurrent use.
type metrics struct {
	queries  plugin.Counter
	duration interface{ Observe(seconds float64) }
	// counters are those of queries, by type and response code, each made when it first counts.
	counters [len(countedTypes) + 1][len(countedRcodes) + 1]atomic.Pointer[counter]
}

type incrementer interface{ Inc() }

type counter struct{ incrementer }

// countedTypes are the types that are counted by name; the others are "other".
var countedTypes = [...]uint16{
	dns.TypeA, dns.TypeAAAA, dns.TypeSRV, dns.TypeANY, dns.TypeTXT, dns.TypeNS,
	dns.TypeSOA, dns.TypePTR, dns.TypeCNAME, dns.TypeMX, dns.TypeDS, dns.TypeHTTPS,
}

// countedRcodes are the response codes that are given.
var countedRcodes = [...]int{
	dns.RcodeSuccess, dns.RcodeNameError, dns.RcodeServerFailure, dns.RcodeRefused, dns.RcodeFormatError, dns.RcodeNotImplemented,
	dns.RcodeBadVers, dns.RcodeBadCookie,
}

func newMetrics(m plugin.Metrics) *metrics {
	return &metrics{
		queries: m.Counter("herald_dns_queries_total", "DNS queries answered, by type of record asked for and response code.", "type", "rcode"),
		duration: m.Histogram("herald_dns_query_duration_seconds",
			"Time from a DNS query's arrival at the handler to its answer being handed to the network.").With(),
	}
}

// answered counts a query.
func (m *metrics) answered(qtype uint16, rcode int, took time.Duration) {
	m.count(qtype, rcode)
	m.duration.Observe(took.Seconds())
}

// count counts a query that took no time, such as one turned away by its header.
func (m *metrics) count(qtype uint16, rcode int) {
	t, r := len(countedTypes), len(countedRcodes)
	for i, known := range &countedTypes {
		if known == qtype {
			t = i
			break
		}
	}
	for i, known := range &countedRcodes {
		if known == rcode {
			r = i
			break
		}
	}
	at := &m.counters[t][r]
	c := at.Load()
	if c == nil {
		name := "other"
		if t < len(countedTypes) {
			name = dns.TypeToString[qtype]
		}
		c = &counter{m.queries.With(name, rcodeName(rcode))}
		at.Store(c)
	}
	c.Inc()
}

func rcodeName(rcode int) string {
	if rcode == dns.RcodeBadVers { // the name that dns has for 16 is another use of it
		return "BADVERS"
	}
	if name := dns.RcodeToString[rcode]; name != "" {
		return name
	}
	return "other"
}
