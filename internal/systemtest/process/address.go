//go:build unix

package process

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// Ports that servers are told to use are below those that the system gives to whoever
// asks for any (32768 and above on Linux): a server that is down for a while must
// find its own again.
const (
	firstPort = 12000
	lastPort  = 32000
)

// FreeAddresses returns n different loopback addresses that nobody listens on.
func FreeAddresses(t *testing.T, n int) []string {
	t.Helper()
	var all []string
	for tries := 0; len(all) < n; tries++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", firstPort+rand.IntN(lastPort-firstPort)))
		if err != nil {
			if tries > 100*n {
				t.Fatalf("no free ports: %v", err)
			}
			continue
		}
		defer l.Close() // all at the end, so that all differ
		all = append(all, l.Addr().String())
	}
	return all
}
