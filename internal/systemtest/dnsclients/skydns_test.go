//go:build e2e

package dnsclients

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"herald/internal/systemtest/process"
)

// etcdctl types a line at the real one, and returns what it prints.
func etcdctl(t *testing.T, p *process.Process, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "etcdctl", args...)
	cmd.Env = append(os.Environ(), "ETCDCTL_API=3", "ETCDCTL_ENDPOINTS="+p.Etcd)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("etcdctl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// awaitAnswers asks until the answers are those, of whatever TTL.
func awaitAnswers(t *testing.T, p *process.Process, want []string, question ...string) answer {
	t.Helper()
	slices.Sort(want)
	var a answer
	process.Eventually(t, 30*time.Second, fmt.Sprintf("%v has the answers %q", question, want), func() (err error) {
		if a, err = ask("dig", p.DNS, question...); err == nil && !slices.Equal(a.answers, want) {
			err = fmt.Errorf("not yet:\n%s", a.printed)
		}
		return err
	})
	return a
}

// TestSkyDNSRecords has etcdctl write the records of CoreDNS's plugin etcd, and dig find them.
func TestSkyDNSRecords(t *testing.T) {
	t.Parallel()
	p := filled(t, "--dns-skydns-zones", "skydns.local,0.0.10.in-addr.arpa")
	for key, value := range map[string]string{
		"local/skydns/x1":             `{"host":"10.0.0.11","ttl":60,"port":8080}`,
		"local/skydns/x2":             `{"host":"10.0.0.12","port":8080,"priority":20,"text":"this is a random text message."}`,
		"local/skydns/x6":             `{"host":"2001:db8::6","port":8081,"group":"six"}`,
		"local/skydns/mail":           `{"host":"mx.skydns.local","mail":true}`,
		"local/skydns/mx":             `{"host":"10.0.0.25"}`,
		"local/skydns/to":             `{"host":"web.service.consul"}`,
		"local/skydns/dns/ns/a":       `{"host":"10.0.0.53"}`,
		"local/skydns/dns/apex/a":     `{"host":"10.0.0.1"}`,
		"local/skydns/east/web/1":     `{"host":"10.0.1.1","port":80}`,
		"local/skydns/west/web/2":     `{"host":"10.0.2.1","port":80}`,
		"local/skydns/broken":         `{"host":`,
		"arpa/in-addr/10/0/0/127":     `{"host":"reverse.skydns.local."}`,
		"arpa/in-addr/10/0/0/128/sub": `{"host":"sub.skydns.local."}`,
	} {
		etcdctl(t, p, "put", "/skydns/"+key, value)
	}
	put(t, p, "/v1/kv/%2Fskydns/local/skydns/by/http", `{"host":"10.0.0.80"}`)
	awaitAnswers(t, p, []string{"by.skydns.local. A 10.0.0.80"}, "by.skydns.local", "A")

	for _, q := range []asked{
		{name: "x1.skydns.local.", kind: "A", status: "NOERROR", answers: []string{"x1.skydns.local. A 10.0.0.11"}},
		{name: "X6.SkyDNS.local.", kind: "AAAA", status: "NOERROR", answers: []string{"X6.SkyDNS.local. AAAA 2001:db8::6"}},
		{name: "x1.skydns.local.", kind: "SRV", status: "NOERROR", answers: []string{"x1.skydns.local. SRV 10 100 8080 x1.skydns.local."},
			additional: []string{"x1.skydns.local. A 10.0.0.11"}},
		{name: "web.*.skydns.local.", kind: "SRV", status: "NOERROR", answers: []string{"web.*.skydns.local. SRV 10 50 80 1.web.east.skydns.local.", "web.*.skydns.local. SRV 10 50 80 2.web.west.skydns.local."},
			additional: []string{"1.web.east.skydns.local. A 10.0.1.1", "2.web.west.skydns.local. A 10.0.2.1"}},
		{name: "x2.skydns.local.", kind: "TXT", status: "NOERROR", answers: []string{`x2.skydns.local. TXT "this is a random text message."`}},
		{name: "mail.skydns.local.", kind: "MX", status: "NOERROR", answers: []string{"mail.skydns.local. MX 10 mx.skydns.local."}, additional: []string{"mx.skydns.local. A 10.0.0.25"}},
		{name: "to.skydns.local.", kind: "A", status: "NOERROR", answers: []string{"to.skydns.local. CNAME web.service.consul.", "web.service.consul. A 10.0.1.1", "web.service.consul. A 10.0.2.2"}},
		{name: "skydns.local.", kind: "NS", status: "NOERROR", answers: []string{"skydns.local. NS a.ns.dns.skydns.local."}, additional: []string{"a.ns.dns.skydns.local. A 10.0.0.53"}},
		{name: "skydns.local.", kind: "A", status: "NOERROR", answers: []string{"skydns.local. A 10.0.0.1"}},
		{name: "127.0.0.10.in-addr.arpa.", kind: "PTR", status: "NOERROR", answers: []string{"127.0.0.10.in-addr.arpa. PTR reverse.skydns.local."}},
		// What is the catalog's stays so.
		{name: "web.service.consul.", kind: "A", status: "NOERROR", answers: addressesOf("web.service.consul.", "A", "10.0.1.1", "10.0.2.2")},
		{name: "1.1.0.10.in-addr.arpa.", kind: "PTR", status: "NOERROR", answers: []string{"1.1.0.10.in-addr.arpa. PTR n1.node.dc1.consul."}},
	} {
		for _, way := range [][]string{nil, {"+tcp"}, {"+noedns"}} {
			q.wantAnswer(t, mustAsk(t, "dig", p.DNS, append([]string{q.name, q.kind}, way...)...))
		}
	}
	none := regexp.MustCompile(`^(skydns\.local\.|0\.0\.10\.in-addr\.arpa\.) SOA ns\.dns\.`)
	for question, status := range map[string]string{
		"broken.skydns.local A": "NXDOMAIN", "nosuch.skydns.local A": "NXDOMAIN", "x1.skydns.local AAAA": "NOERROR", "east.skydns.local TXT": "NOERROR",
		"128.0.0.10.in-addr.arpa PTR": "NOERROR", "129.0.0.10.in-addr.arpa PTR": "NXDOMAIN",
	} {
		if a := mustAsk(t, "dig", p.DNS, strings.Fields(question)...); a.status != status || len(a.answers) > 0 || len(a.authority) != 1 || !none.MatchString(a.authority[0]) {
			t.Errorf("want %s and an SOA:\n%s", status, a.printed)
		}
	}
}

// TestSkyDNSRecordsEndWithTheirLeases: a record whose writer is gone is gone, and is cached for half a minute at most until then.
func TestSkyDNSRecordsEndWithTheirLeases(t *testing.T) {
	t.Parallel()
	p := process.Dev(t, "--dns-skydns-zones", "skydns.local")
	granted := regexp.MustCompile(`^lease ([0-9a-f]+) granted with TTL\(5s\)`).FindStringSubmatch(etcdctl(t, p, "lease", "grant", "5"))
	if granted == nil {
		t.Fatal("no lease")
	}
	etcdctl(t, p, "put", "--lease", granted[1], "/skydns/local/skydns/w/leased", `{"host":"10.0.0.1","ttl":3600}`)
	etcdctl(t, p, "put", "/skydns/local/skydns/w/stays", `{"host":"10.0.0.2","ttl":3600}`)
	a := awaitAnswers(t, p, addressesOf("w.skydns.local.", "A", "10.0.0.1", "10.0.0.2"), "w.skydns.local", "A")
	if !regexp.MustCompile(`w\.skydns\.local\.\s+30\s+IN\s+A\s+10\.0\.0\.1`).MatchString(a.printed) {
		t.Errorf("want a TTL of 30 s:\n%s", a.printed)
	}
	awaitAnswers(t, p, addressesOf("w.skydns.local.", "A", "10.0.0.2"), "w.skydns.local", "A")
	etcdctl(t, p, "del", "/skydns/local/skydns/w/stays")
	if a := awaitAnswers(t, p, nil, "w.skydns.local", "A"); a.status != "NXDOMAIN" {
		t.Errorf("want no such name:\n%s", a.printed)
	}
}
