//go:build e2e

package dnsclients

import (
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// answer is what a tool that prints whole messages was told.
type answer struct {
	status   string
	flags    []string
	question string // the name as it came back
	// Records of each section, sorted, without their TTL and with one space between words: "web.service.consul. A 10.0.0.1".
	answers, authority, additional []string

	printed string
}

var (
	statusPrinted  = regexp.MustCompile(`HEADER<<-.*(?:status|rcode): ([A-Z]+)`)
	flagsPrinted   = regexp.MustCompile(`(?i)\n;; flags: ([a-z ]*)`)
	sectionPrinted = regexp.MustCompile(`^;; ([A-Z]+) SECTION:`)
)

// ask runs dig, kdig or drill, which print alike.
func ask(tool, server string, args ...string) (answer, error) {
	host, port, _ := strings.Cut(server, ":")
	cmd := exec.Command(tool, append([]string{"@" + host, "-p", port}, args...)...)
	out, err := cmd.CombinedOutput()
	a := answer{printed: strings.Join(cmd.Args, " ") + "\n" + string(out)}
	if err != nil {
		return a, fmt.Errorf("%w\n%s", err, a.printed)
	}
	status, flags := statusPrinted.FindStringSubmatch(a.printed), flagsPrinted.FindStringSubmatch(a.printed)
	if status == nil || flags == nil {
		return a, errors.New("no answer: " + a.printed)
	}
	a.status, a.flags = status[1], strings.Fields(flags[1])
	section := ""
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		if m := sectionPrinted.FindStringSubmatch(line); m != nil {
			section = m[1]
		} else if section == "QUESTION" && len(words) >= 3 {
			a.question = strings.TrimPrefix(strings.TrimPrefix(strings.Join(words[:len(words)-2], ""), ";;"), ";")
			section = ""
		} else if len(words) > 4 && words[2] == "IN" && !strings.HasPrefix(line, ";") {
			record := words[0] + " " + strings.Join(words[3:], " ")
			switch section {
			case "ANSWER":
				a.answers = append(a.answers, record)
			case "AUTHORITY":
				a.authority = append(a.authority, record)
			case "ADDITIONAL":
				a.additional = append(a.additional, record)
			}
		}
	}
	slices.Sort(a.answers)
	slices.Sort(a.authority)
	slices.Sort(a.additional)
	return a, nil
}

// mustAsk is ask for what has to be answered at once.
func mustAsk(t *testing.T, tool, server string, args ...string) answer {
	t.Helper()
	a, err := ask(tool, server, args...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// addressesOf are the records of one name and type with these addresses, sorted.
func addressesOf(name, kind string, addresses ...string) []string {
	var all []string
	for _, a := range addresses {
		all = append(all, name+" "+kind+" "+a)
	}
	slices.Sort(all)
	return all
}

// zone is the record that negative answers carry, but for the serial.
var zone = regexp.MustCompile(`^consul\. SOA ns\.consul\. hostmaster\.consul\. \d+ 3600 600 86400 0$`)

// asked is a question that every client of whole messages asks of filled, and what it has to be told.
type asked struct {
	name, kind string
	status     string
	answers    []string
	additional []string // what has to be among these
}

var questions = []asked{
	{name: "web.service.consul.", kind: "A", status: "NOERROR", answers: addressesOf("web.service.consul.", "A", "10.0.1.1", "10.0.2.2")},
	{name: "web.service.consul.", kind: "AAAA", status: "NOERROR", answers: addressesOf("web.service.consul.", "AAAA", "2001:db8::1", "2001:db8::3")},
	{name: "blue.web.service.dc1.consul.", kind: "A", status: "NOERROR", answers: addressesOf("blue.web.service.dc1.consul.", "A", "10.0.1.1")},
	{name: "_web._tcp.service.consul.", kind: "SRV", status: "NOERROR", answers: []string{
		"_web._tcp.service.consul. SRV 1 1 8082 0a000202.addr.dc1.consul.", "_web._tcp.service.consul. SRV 1 1 8083 n3.node.dc1.consul.",
		"_web._tcp.service.consul. SRV 1 3 8081 n1.node.dc1.consul."},
		additional: []string{"0a000202.addr.dc1.consul. A 10.0.2.2", "n1.node.dc1.consul. A 10.0.1.1", "n1.node.dc1.consul. AAAA 2001:db8::1", "n3.node.dc1.consul. AAAA 2001:db8::3"}},
	{name: "alias.service.consul.", kind: "A", status: "NOERROR", answers: []string{"alias.service.consul. CNAME n1.node.consul.", "n1.node.consul. A 10.0.1.1"}},
	{name: "n1.node.consul.", kind: "TXT", status: "NOERROR", answers: []string{`n1.node.consul. TXT "rack=7"`}},
	{name: "consul.", kind: "NS", status: "NOERROR", answers: []string{"consul. NS dev.node.dc1.consul."}},
	{name: "1.1.0.10.in-addr.arpa.", kind: "PTR", status: "NOERROR", answers: []string{"1.1.0.10.in-addr.arpa. PTR n1.node.dc1.consul."}},
	{name: "web.service.consul.", kind: "MX", status: "NOERROR"},
	{name: "service.consul.", kind: "A", status: "NOERROR"},
	{name: "nosuch.service.consul.", kind: "A", status: "NXDOMAIN"},
}

// wantAnswer compares an answer with the one to a question. What a forwarder passes on has the same records; the zone is
// told of in negative answers.
func (q asked) wantAnswer(t *testing.T, a answer) {
	t.Helper()
	if a.status != q.status || !slices.Equal(a.answers, q.answers) || slices.Contains(a.flags, "tc") {
		t.Errorf("want %s and %q, whole; was told\n%s", q.status, q.answers, a.printed)
	}
	for _, r := range q.additional {
		if !slices.Contains(a.additional, r) {
			t.Errorf("%q is missing in\n%s", r, a.printed)
		}
	}
	if len(q.answers) == 0 && (len(a.authority) != 1 || !zone.MatchString(a.authority[0])) {
		t.Errorf("nothing says which zone has no such record:\n%s", a.printed)
	}
}
