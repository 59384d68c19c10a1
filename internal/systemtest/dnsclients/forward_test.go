//go:build e2e

package dnsclients

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"herald/internal/systemtest/process"
)

// forwards checks a name server at an address that asks p, which filled started, for the zones consul and 10.in-addr.arpa: that it
// passes on all kinds of answers, over UDP and TCP, and sees at once what changes.
func forwards(t *testing.T, forwarder string, p *process.Process) {
	t.Helper()
	process.Eventually(t, 20*time.Second, "it answers", func() error {
		_, err := ask("dig", forwarder, "+time=1", "+tries=1", "consul.", "SOA")
		return err
	})
	for _, way := range [][]string{{"+time=5", "+tries=1"}, {"+tcp"}, {"+noedns"}, {"+dnssec"}} {
		for _, q := range questions {
			q.additional = nil // a forwarder may leave these to who asks for them
			q.wantAnswer(t, mustAsk(t, "dig", forwarder, append(slices.Clone(way), q.name, q.kind)...))
		}
	}
	want := addressesOf("many.service.consul.", "A", manyAddresses()...)
	for _, way := range []string{"+bufsize=512", "+bufsize=1232", "+tcp"} {
		if a := mustAsk(t, "dig", forwarder, way, "many.service.consul.", "A"); !slices.Equal(a.answers, want) {
			t.Errorf("%s: want all %d, by TCP in the end:\n%s", way, many, a.printed)
		}
	}

	i := place{"moving", "10.7.0.1", 80}
	moving := func(what string, status string, addresses ...string) {
		t.Helper()
		process.Eventually(t, 10*time.Second, what, func() error {
			a, err := ask("dig", forwarder, "+time=2", "+tries=1", "moving.web.service.consul.", "A")
			if err == nil && (a.status != status || !slices.Equal(a.answers, addressesOf("moving.web.service.consul.", "A", addresses...))) {
				err = fmt.Errorf("want %s and %s:\n%s", status, strings.Join(addresses, " "), a.printed)
			}
			return err
		})
	}
	tagged := func(health string) {
		t.Helper()
		register(t, p, fmt.Sprintf(`{"Node": "host", "Address": "127.0.0.1", "Service": {"ID": %q, "Service": "web", "Tags": ["moving"], "Address": %q, "Port": %d},
			"Check": {"CheckID": "alive", "Name": "alive", "ServiceID": %[1]q, "Status": %[4]q}}`, i.id, i.address, i.port, health))
	}
	moving("not there yet", "NXDOMAIN")
	tagged("passing")
	moving("it comes", "NOERROR", "10.7.0.1")
	i.address = "10.7.0.2"
	tagged("passing")
	moving("it moves", "NOERROR", "10.7.0.2")
	tagged("critical")
	moving("it fails its check", "NXDOMAIN")
	tagged("passing")
	moving("it is well again", "NOERROR", "10.7.0.2")
	i.withdraw(t, p)
	moving("it goes", "NXDOMAIN")
}
