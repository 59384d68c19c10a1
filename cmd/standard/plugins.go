// Package standard compiles in the plugins that come with Herald. A program of
// one's own imports it, and plugins of one's own beside it.
package standard

import (
	_ "herald/agent/check" // check kinds http, tcp, ttl, exec
	_ "herald/dnsserver"   // door dns
	_ "herald/grpcserver"  // door etcd
	_ "herald/httpserver"  // door http
)
