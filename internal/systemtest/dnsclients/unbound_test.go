//go:build e2e

package dnsclients

import (
	"testing"

	"herald/internal/systemtest/process"
)

// TestUnbound has unbound ask Herald for the domain, and for a reverse zone, as the authority of it (stub-zone) and as another resolver
// (forward-zone). It validates what is not said to be insecure, asks with no more of a name than is needed (RFC 9156), in mixed case, and goes by
// RFC 8020 where a name does not exist.
func TestUnbound(t *testing.T) {
	t.Parallel()
	if !seclude(t) {
		return
	}
	for _, kind := range []string{"stub", "forward"} {
		t.Run(kind, func(t *testing.T) {
			p := filled(t)
			forwarder := process.FreeAddresses(t, 1)[0]
			zones := ""
			for _, name := range []string{"consul.", "10.in-addr.arpa."} {
				zones += "\n" + kind + "-zone:\n  name: \"" + name + "\"\n  " + kind + "-addr: 127.0.0.1@" + port(p.DNS) + "\n"
			}
			_, file := config(t, `
server:
  interface: 127.0.0.1@`+port(forwarder)+`
  port: `+port(forwarder)+`
  username: ""
  chroot: ""
  pidfile: ""
  use-syslog: no
  logfile: ""
  do-daemonize: no
  do-not-query-localhost: no
  trust-anchor: ". DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"
  domain-insecure: "consul."
  domain-insecure: "10.in-addr.arpa."
  local-zone: "10.in-addr.arpa." nodefault
  module-config: "validator iterator"
  qname-minimisation: yes
  use-caps-for-id: yes
  harden-below-nxdomain: yes
remote-control:
  control-enable: no
`+zones)
			daemon(t, "unbound", "-d", "-p", "-c", file)
			forwards(t, forwarder, p)
		})
	}
}
