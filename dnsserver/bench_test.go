package dnsserver

import (
	"fmt"
	"testing"

	"github.com/miekg/dns"
)

// BenchmarkHandler answers a query as it comes from miekg/dns, up to the packet
// that is sent: a service of 10 instances.
func BenchmarkHandler(b *testing.B) {
	var recs records
	recs.fleet("web", 10)
	for _, qtype := range []uint16{dns.TypeA, dns.TypeSRV} {
		b.Run(dns.TypeToString[qtype], func(b *testing.B) {
			h := testHandler(b, &recs)
			m := question("web.service.consul", qtype)
			m.SetEdns0(1232, false)
			var w discard
			b.ReportAllocs()
			for b.Loop() {
				h.ServeDNS(&w, m)
			}
			b.ReportMetric(float64(w.bytes)/float64(b.N), "B/answer")
		})
	}
}

type discard struct {
	dns.ResponseWriter
	bytes int
}

func (d *discard) Write(b []byte) (int, error) {
	d.bytes += len(b)
	return len(b), nil
}

// BenchmarkLookup answers for one of many services of 10 instances each: the cost
// does not grow with their number.
func BenchmarkLookup(b *testing.B) {
	for _, services := range []int{10, 10_000} {
		b.Run(fmt.Sprintf("%d_instances", 10*services), func(b *testing.B) {
			var recs records
			for n := range 10 {
				recs.node(fmt.Sprintf("n%d", n), fmt.Sprintf("10.0.0.%d", n))
			}
			for s := range services {
				for n := range 10 {
					recs.instance(fmt.Sprintf("n%d", n), fmt.Sprintf("svc%d", s), fmt.Sprintf("svc%d", s), 80)
				}
			}
			r, x, random := testResponder(b, nil), recs.index(b), seeded(1)
			q, _ := readQuery(question(fmt.Sprintf("svc%d.service.consul", services/2), dns.TypeA), false)
			var buf []byte
			b.ReportAllocs()
			for b.Loop() {
				buf = r.respond(buf, x, q, random).wire
			}
		})
	}
}

// BenchmarkLargeService answers in 512 bytes for a service of 5,000 instances.
func BenchmarkLargeService(b *testing.B) {
	var recs records
	recs.fleet("web", 5000)
	r, x, random := testResponder(b, nil), recs.index(b), seeded(1)
	q, _ := readQuery(question("web.service.consul", dns.TypeSRV), false)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = r.respond(buf, x, q, random).wire
	}
}

// BenchmarkPlan makes the records of a service, as is done once after each change of it.
func BenchmarkPlan(b *testing.B) {
	for _, instances := range []int{10, 1000} {
		for _, qtype := range []uint16{dns.TypeA, dns.TypeSRV} {
			kind := kindOfPlan(qtype)
			b.Run(fmt.Sprintf("%d_instances/%s", instances, dns.TypeToString[qtype]), func(b *testing.B) {
				var recs records
				recs.fleet("web", instances)
				for i := range recs.instances {
					recs.instances[i].Address = fmt.Sprintf("10.1.%d.%d", i/256, i%256)
				}
				r, x := testResponder(b, nil), recs.index(b)
				s := x.Service("web")
				b.ReportAllocs()
				for b.Loop() {
					r.newPlan(s.Name, s.Serving(false), kind, r.primary, nil)
				}
			})
		}
	}
}
