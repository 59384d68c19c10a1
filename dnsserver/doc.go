// Package dnsserver is the DNS door: it answers questions about services, nodes and
// addresses under Consul's naming from the local catalog.
//
// It knows names, records and packets. It refuses to know how the catalog is
// kept or replicated: it reads Host.Catalog, never the Store, and so goes on
// answering from what it has while there is no leader, no quorum or no server.
//
// An answer is computed by code that is pure but for the order it is given:
// a query (the question, its EDNS facts, the transport) and an immutable
// catalog.Index go in, wire bytes come out (responder.respond). Names are read
// and written in wire form all the way, so that what stands before the handler
// may be anything that has a packet.
//
// Goroutines: Run starts one accept or read loop for each socket, of miekg/dns,
// which starts one goroutine for each UDP packet and each TCP connection. Run
// stops and waits for all of them; none outlives it.
package dnsserver
