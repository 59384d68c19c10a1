package dnsserver

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
)

// TestAnswersComeFromWhereTheyWereAsked: a socket that is bound to no address answers from the one that
// a packet was sent to. A connected client hears of no other.
func TestAnswersComeFromWhereTheyWereAsked(t *testing.T) {
	for _, test := range []struct {
		listen string
		asked  []string
	}{
		{"0.0.0.0:0", []string{"127.0.0.1", "127.0.0.2", "127.1.2.3"}},
		{"[::]:0", []string{"127.0.0.1", "127.0.0.2", "::1"}}, // both families
		{"127.0.0.3:0", []string{"127.0.0.3"}},
	} {
		port := echo(t, test.listen).LocalAddr().(*net.UDPAddr).Port
		for _, address := range test.asked {
			c, err := net.Dial("udp", net.JoinHostPort(address, fmt.Sprint(port)))
			if err != nil {
				t.Fatalf("%s at %s: %v", test.listen, address, err)
			}
			defer c.Close()
			client := c.LocalAddr().(*net.UDPAddr).AddrPort()
			client = netip.AddrPortFrom(client.Addr().Unmap(), client.Port())
			tell(t, c, "now")
			if got, want := hear(t, c), fmt.Sprintf("to %s: now", client); got != want {
				t.Errorf("%s at %s: %q, want %q", test.listen, address, got, want)
			}
			tell(t, c, "later on")
			tell(t, c, "now")
			got := map[string]bool{hear(t, c): true, hear(t, c): true}
			for _, packet := range []string{"now", "later on"} {
				if !got[fmt.Sprintf("to %s: %s", client, packet)] {
					t.Errorf("%s at %s: %q is not answered: %v", test.listen, address, packet, got)
				}
			}
		}
	}
}
