package recursor

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/miekg/dns"
)

// text gives records in their text form again.
func text(t *testing.T, records []Record) string {
	t.Helper()
	var lines []string
	for _, r := range records {
		name, end, err := dns.UnpackDomainName(r.Name, 0)
		if err != nil || end != len(r.Name) {
			t.Fatalf("%x: %v", r.Name, err)
		}
		h := dns.RR_Header{Name: name, Rrtype: r.Type, Class: dns.ClassINET, Ttl: r.TTL, Rdlength: uint16(len(r.Data))}
		rr, end, err := dns.UnpackRRWithHeader(h, r.Data, 0)
		if err != nil || end != len(r.Data) {
			t.Fatalf("%v %x: %v", h, r.Data, err)
		}
		lines = append(lines, strings.ReplaceAll(rr.String(), "\t", " "))
	}
	return strings.Join(lines, "\n")
}

func wire(t *testing.T, name string) []byte {
	t.Helper()
	b := make([]byte, maxName)
	end, err := dns.PackDomainName(name, b, 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	return b[:end]
}

func TestResolve(t *testing.T) {
	var long []string
	for i := range mostAliases {
		long = append(long, fmt.Sprintf("n%d.example. 60 IN CNAME n%d.example.", i, i+1))
	}
	for _, c := range []struct {
		name    string
		asked   string
		qtype   uint16
		rcode   int
		records []string
		want    []string
		err     string
	}{
		{"addresses", "a.example.", dns.TypeA, 0, []string{"a.example. 60 IN A 192.0.2.1", "A.example. 61 IN A 192.0.2.2"}, []string{"a.example. 60 IN A 192.0.2.1", "A.example. 61 IN A 192.0.2.2"}, ""},
		{"an alias, in any order", "a.example.", dns.TypeAAAA, 0,
			[]string{"b.example. 60 IN AAAA 2001:db8::1", "a.example. 5 IN CNAME B.example."},
			[]string{"a.example. 5 IN CNAME B.example.", "b.example. 60 IN AAAA 2001:db8::1"}, ""},
		{"names within data", "a.example.", dns.TypeSRV, 0,
			[]string{"a.example. 5 IN SRV 1 2 80 host.a.example.", "a.example. 5 IN SRV 1 2 81 host.a.example."},
			[]string{"a.example. 5 IN SRV 1 2 80 host.a.example.", "a.example. 5 IN SRV 1 2 81 host.a.example."}, ""},
		{"what was not asked for", "a.example.", dns.TypeA, 0,
			[]string{"a.example. 60 IN TXT \"x\"", "b.example. 60 IN A 192.0.2.66", "a.example. 60 IN A 192.0.2.1"},
			[]string{"a.example. 60 IN A 192.0.2.1"}, ""},
		{"the alias itself", "a.example.", dns.TypeCNAME, 0,
			[]string{"a.example. 5 IN CNAME b.example.", "b.example. 60 IN A 192.0.2.1"}, []string{"a.example. 5 IN CNAME b.example."}, ""},
		{"nothing", "a.example.", dns.TypeA, 0, nil, nil, ""},
		{"an alias to nothing", "a.example.", dns.TypeA, dns.RcodeNameError,
			[]string{"a.example. 5 IN CNAME b.example."}, []string{"a.example. 5 IN CNAME b.example."}, ""},
		{"aliases in a circle", "a.example.", dns.TypeA, 0,
			[]string{"a.example. 5 IN CNAME b.example.", "b.example. 5 IN CNAME a.example."}, nil, "more than 16 CNAMEs"},
		{"too many aliases", "n0.example.", dns.TypeA, 0, long, nil, "more than 16 CNAMEs"},
		{"failure", "a.example.", dns.TypeA, dns.RcodeServerFailure, nil, nil, "rcode 2"},
		{"the root", ".", dns.TypeNS, 0, []string{". 5 IN NS a.root."}, []string{". 5 IN NS a.root."}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := bubble(t, config(first), map[string]func(string, []byte) []byte{first: func(network string, query []byte) []byte {
					if q := unpack(t, query); !q.RecursionDesired || q.IsEdns0() == nil || q.Question[0].Name != c.asked || q.Question[0].Qtype != c.qtype {
						t.Errorf("asked %v", q)
					}
					return says(t, c.rcode, c.records...)(network, query)
				}})
				records, rcode, err := f.Resolve(t.Context(), wire(t, c.asked), c.qtype)
				if c.err != "" {
					if err == nil || !strings.Contains(err.Error(), c.err) {
						t.Errorf("%v, want %q", err, c.err)
					}
					return
				}
				if err != nil || rcode != c.rcode {
					t.Fatalf("rcode %d, %v", rcode, err)
				}
				if got, want := text(t, records), strings.Join(c.want, "\n"); got != want {
					t.Errorf("got\n%s\nwant\n%s", got, want)
				}
			})
		})
	}
	f := forwarder(t, config(first))
	for _, name := range []string{"", "\x01", "\x01a", "\x01a\x00\x00", "\xc0\x0c", strings.Repeat("\x01a", 128) + "\x00"} {
		if _, _, err := f.Resolve(t.Context(), []byte(name), dns.TypeA); err == nil {
			t.Errorf("%q is asked for", name)
		}
	}
}
