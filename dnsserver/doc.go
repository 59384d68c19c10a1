// Package dnsserver is the DNS door: it answers questions about services, nodes and
// addresses under Consul's naming from the local catalog.
//
// It knows names, records and packets. It refuses to know how the catalog is
// kept or replicated: it reads Host.Catalog, and so goes on
// answering from what it has while there is no leader, no quorum or no server. Prepared
// queries alone are read from the Store, from this process's own copy in it. The records
// of keyed zones are keys of the Store, of which package skydns keeps a tree.
//
// An answer is computed by code that is pure but for the order it is given:
// a query (the question, its EDNS facts, the transport) and an immutable
// catalog.Index, or skydns.Tree, go in, wire bytes come out (responder.respond). Names are read
// and written in wire form all the way. A service's records are rendered once for each
// change of it and kept with the catalog's entry (plan).
//
// Goroutines: Run starts one for each UDP socket, which receives packets and answers
// them itself, one that knows how old the catalog is, with keyed zones one that follows the keys and
// one that knows how old those are, one for each UDP query that recursors are asked about, and for each TCP
// socket an accept loop of miekg/dns, which starts one for each connection. Run stops and waits for all of them; none outlives it.
package dnsserver
