package dnsserver

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"herald/dnsserver/skydns"
	"herald/registry"

	"github.com/miekg/dns"
)

var update = flag.Bool("update", false, "write what the scenarios in testdata answer into them")

// TestScenarios replays testdata/*.txt. A file is a catalog, then questions with
// their answers:
//
//	set only_passing                         a setting of the door
//	node n0 10.0.0.1 rack=r1                 a node, its address ("-" is none), metadata
//	instance web w1 on n0 port=80 …          an instance of a service
//	check web/w1 on n0 warning               a check of an instance, or of the node ("-")
//	key /skydns/local/a {"host":"…"}         a key of the store, and its value
//
//	? web.service.consul A edns=1232 tcp     a question
//	NOERROR aa rd                            and its whole answer, sections sorted
//	answer web.service.consul. 0 IN A …
//
// Every question is asked several times in different orders, which must make no
// difference to the sorted answer.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			before, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			after := replay(t, string(before))
			if *update {
				if err := os.WriteFile(file, []byte(after), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			compareLines(t, string(before), after)
		})
	}
}

func compareLines(t *testing.T, want, got string) {
	t.Helper()
	wants, gots := strings.Split(want, "\n\n"), strings.Split(got, "\n\n")
	for i := range max(len(wants), len(gots)) {
		var w, g string
		if i < len(wants) {
			w = wants[i]
		}
		if i < len(gots) {
			g = gots[i]
		}
		if w != g {
			t.Errorf("want\n%s\ngot\n%s\n", w, g)
		}
	}
}

// replay returns a scenario with the answers that are given now.
func replay(t *testing.T, text string) string {
	var setup []string
	blocks := strings.Split(strings.TrimRight(text, "\n"), "\n\n")
	var questions []string
	for _, b := range blocks {
		if i := questionAt(b); i >= 0 {
			questions = append(questions, b)
			continue
		}
		setup = append(setup, b)
	}
	r, x := setUp(t, strings.Join(setup, "\n"))
	for n, b := range questions {
		lines := strings.Split(b, "\n")
		i := questionAt(b)
		m, stream := readQuestion(t, lines[i])
		var answer string
		for seed := range uint64(4) {
			reply, _ := ask(t, r, x.index(t), m, stream, seeded(seed))
			text := show(reply)
			if seed > 0 && text != answer {
				t.Errorf("%s\nis answered in one order\n%s\nin another\n%s", lines[i], answer, text)
			}
			answer = text
		}
		questions[n] = strings.Join(lines[:i+1], "\n") + "\n" + answer
	}
	return strings.Join(append(setup, questions...), "\n\n") + "\n"
}

// questionAt is which line of a block is the question, -1 if none is.
func questionAt(block string) int {
	for i, line := range strings.Split(block, "\n") {
		if strings.HasPrefix(line, "? ") {
			return i
		}
	}
	return -1
}

func setUp(t *testing.T, text string) (*responder, *records) {
	var settings []func(*Config)
	var recs records
	var keys keySpace
	for _, line := range strings.Split(text, "\n") {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		switch words[0] {
		case "key":
			_, value, _ := strings.Cut(strings.TrimPrefix(line, "key "), " ")
			keys.put(words[1], value)
		case "set":
			settings = append(settings, setting(t, words[1], words[2:]))
		case "node":
			n := recs.node(words[1], address(words[2]))
			for _, w := range words[3:] {
				k, v, _ := strings.Cut(w, "=")
				switch k {
				case taggedIPv4, taggedIPv6:
					n.TaggedAddresses = map[string]string{k: v}
				default:
					if n.Meta == nil {
						n.Meta = map[string]string{}
					}
					n.Meta[k] = strings.ReplaceAll(v, "+", " ")
				}
			}
		case "instance":
			i := recs.instance(words[4], words[1], words[1]+"/"+words[2], 0)
			for _, w := range words[5:] {
				instanceField(t, i, w)
			}
		case "check":
			service := words[1]
			if service == "-" {
				service = ""
			}
			recs.check(words[3], service, registry.HealthStatus(words[4]))
		default:
			t.Fatalf("what is %q?", line)
		}
	}
	r := testResponder(t, func(c *Config) {
		for _, set := range settings {
			set(c)
		}
	})
	if tree := keys.tree(t); tree.Len() > 0 {
		r.tree = func() *skydns.Tree { return tree }
	}
	return r, &recs
}

func address(word string) string {
	if word == "-" {
		return ""
	}
	return word
}

func instanceField(t *testing.T, i *registry.Instance, word string) {
	k, v, _ := strings.Cut(word, "=")
	switch k {
	case "port":
		i.Port = number(t, v)
	case "address":
		i.Address = v
	case "tags":
		i.Tags = strings.Split(v, ",")
	case "weights":
		passing, warning, _ := strings.Cut(v, "/")
		i.Weights = registry.Weights{Passing: number(t, passing), Warning: number(t, warning)}
	case taggedIPv4, taggedIPv6:
		i.TaggedAddresses = map[string]registry.ServiceAddress{k: {Address: v}}
	default:
		t.Fatalf("what is %q?", word)
	}
}

func setting(t *testing.T, name string, values []string) func(*Config) {
	return func(c *Config) {
		switch name {
		case "only_passing":
			c.OnlyPassing = true
		case "no_node_meta_txt":
			c.NodeMetaTXT = false
		case "no_reverse":
			c.Reverse = false
		case "no_truncate":
			c.EnableTruncate = false
		case "udp_answer_limit":
			c.UDPAnswerLimit = number(t, values[0])
		case "skydns_zones":
			c.SkyDNSZones = values
		case "alt_domains":
			c.AltDomains = values
		case "ttls":
			c.NodeTTL, c.ServiceTTL, c.NegativeTTL = 10*time.Second, 20*time.Second, 30*time.Second
		default:
			t.Fatalf("what is the setting %q?", name)
		}
	}
}

func number(t *testing.T, s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func readQuestion(t *testing.T, line string) (m *dns.Msg, stream bool) {
	words := strings.Fields(line)
	qtype, ok := dns.StringToType[words[2]]
	if !ok {
		if _, err := fmt.Sscanf(words[2], "TYPE%d", &qtype); err != nil {
			t.Fatalf("what is the type %q?", words[2])
		}
	}
	m = question(words[1], qtype)
	for _, w := range words[3:] {
		k, v, _ := strings.Cut(w, "=")
		switch k {
		case "tcp":
			stream = true
		case "edns":
			m.SetEdns0(uint16(number(t, v)), false)
		case "do":
			m.IsEdns0().SetDo()
		case "cd":
			m.CheckingDisabled = true
		case "norec":
			m.RecursionDesired = false
		case "version":
			m.IsEdns0().SetVersion(uint8(number(t, v)))
		case "class":
			m.Question[0].Qclass = dns.StringToClass[v]
		case "subnet":
			m.IsEdns0().Option = append(m.IsEdns0().Option, subnetOption(t, v))
		default:
			t.Fatalf("what is %q?", w)
		}
	}
	return m, stream
}

func subnetOption(t *testing.T, prefix string) *dns.EDNS0_SUBNET {
	p, err := netip.ParsePrefix(prefix)
	if err != nil {
		t.Fatal(err)
	}
	family := uint16(1)
	if p.Addr().Is6() {
		family = 2
	}
	return &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: family, SourceNetmask: uint8(p.Bits()), Address: p.Masked().Addr().AsSlice()}
}
