//go:build e2e

package dnsclients

import (
	"strings"
	"testing"

	"herald/internal/systemtest/process"
)

// TestDnsmasq has dnsmasq forward the domain, and a reverse zone, as on a workstation or a router.
func TestDnsmasq(t *testing.T) {
	t.Parallel()
	if !seclude(t) {
		return
	}
	p := filled(t)
	forwarder := process.FreeAddresses(t, 1)[0]
	herald := strings.Replace(p.DNS, ":", "#", 1)
	daemon(t, "dnsmasq", "--keep-in-foreground", "--log-facility=-", "--conf-file=/dev/null", "--pid-file=", "--user=root",
		"--no-resolv", "--no-hosts", "--listen-address=127.0.0.1", "--bind-interfaces", "--port="+port(forwarder),
		"--server=/consul/"+herald, "--server=/10.in-addr.arpa/"+herald)
	forwards(t, forwarder, p)
}
