//go:build unix

package process

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// Ports that servers are told to use are below those that the system gives to whoever
// asks for any (32768 and above on Linux): a server that is down for a while must
// find its own again.
const (
	firstPort = 12000
	lastPort  = 32000
)

// given are the ports that tests have been told to use. One that is free now may be that of a server which
// another test is about to start, or has killed.
var given sync.Map

// FreeAddresses returns n different loopback addresses that nobody listens on, and that it has not
// returned before.
func FreeAddresses(t *testing.T, n int) []string {
	t.Helper()
	var all []string
	for tries := 0; len(all) < n; tries++ {
		if tries > 100*n {
			t.Fatal("no free ports")
		}
		port := firstPort + rand.IntN(lastPort-firstPort)
		if _, taken := given.LoadOrStore(port, true); taken {
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		l.Close()
		all = append(all, l.Addr().String())
	}
	return all
}
