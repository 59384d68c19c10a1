package dnsserver

import (
	"sync"
	"time"

	"herald/registry/plugin"

	"github.com/miekg/dns"
)

// metrics counts queries. It is safe for concurrent use.
type metrics struct {
	queries  plugin.Counter
	duration interface{ Observe(seconds float64) }
	// counters are those of queries, by outcomeLabels.
	counters sync.Map
}

// outcomeLabels tell queries apart. There are few of them, whatever is asked.
type outcomeLabels struct {
	qtype uint16 // one of knownTypes, or 0
	rcode int
}

// knownTypes are the types that are counted by name; the others are "other".
var knownTypes = map[uint16]bool{
	dns.TypeA: true, dns.TypeAAAA: true, dns.TypeSRV: true, dns.TypeANY: true, dns.TypeTXT: true, dns.TypeNS: true,
	dns.TypeSOA: true, dns.TypePTR: true, dns.TypeCNAME: true, dns.TypeMX: true, dns.TypeDS: true, dns.TypeHTTPS: true,
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
	if !knownTypes[qtype] {
		qtype = 0
	}
	labels := outcomeLabels{qtype, rcode}
	c, ok := m.counters.Load(labels)
	if !ok {
		name := "other"
		if qtype != 0 {
			name = dns.TypeToString[qtype]
		}
		c, _ = m.counters.LoadOrStore(labels, m.queries.With(name, rcodeName(rcode)))
	}
	c.(interface{ Inc() }).Inc()
}

func rcodeName(rcode int) string {
	if rcode == dns.RcodeBadVers { // the name that dns has for 16 is another use of it
		return "BADVERS"
	}
	return dns.RcodeToString[rcode]
}
