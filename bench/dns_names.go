package main

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"strings"
)

// What the DNS loads ask for is the same with every peer: services of dnsInstances instances, each of which has an address of its own,
// under the names that Consul gives them.
const (
	dnsInstances = 10 // of each service
	dnsPort      = 8080
	dnsDomain    = "consul."
	// dnsQuestions are how many different ones are asked, over and over: enough that they reach most of 100,000 services.
	dnsQuestions = 200000
)

// dnsCatalog is so many instances, in services and on nodes. Consecutive ones are of one service and on different nodes.
type dnsCatalog int

func (n dnsCatalog) services() int { return int(n) / dnsInstances }

// nodes have about a hundred instances each, so that one transaction can register a node with all that is on it.
func (n dnsCatalog) nodes() int { return max(dnsInstances, int(n)/100) }

// nodeOf is the node that instance i is on.
func (n dnsCatalog) nodeOf(i int) int { return i % n.nodes() }

func dnsService(service int) string { return fmt.Sprintf("svc-%d.service.%s", service, dnsDomain) }

// dnsAddress is the address of instance i.
func dnsAddress(i int) netip.Addr { return addressIn(10, i+1) }

// addressIn is address i of the network of addresses that begin with one byte.
func addressIn(network byte, i int) netip.Addr {
	return netip.AddrFrom4([4]byte{network, byte(i >> 16), byte(i >> 8), byte(i)})
}

// dnsTarget is the name that an SRV record has for an address.
func dnsTarget(a netip.Addr) string {
	return fmt.Sprintf("%x.addr.dc1.%s", a.AsSlice(), dnsDomain)
}

// writeZone writes the whole catalog as a zone in the master format of RFC 1035, with the records that Herald's instances come to.
func (n dnsCatalog) writeZone(out io.Writer) error {
	w := bufio.NewWriter(out)
	// Nothing may be cached, as with Herald's own settings.
	fmt.Fprintf(w, "$ORIGIN %s\n$TTL 0\n@ SOA ns hostmaster 1 3600 600 86400 0\n@ NS ns\nns A 127.0.0.1\n", dnsDomain)
	for i := range int(n) {
		service, a := dnsService(i/dnsInstances), dnsAddress(i)
		target := dnsTarget(a)
		fmt.Fprintf(w, "%s A %s\n%s SRV 1 1 %d %s\n%s A %s\n", service, a, service, dnsPort, target, target, a)
	}
	return w.Flush()
}

// writeQuestions writes what dnsperf is to ask: services chosen at random, always the same ones, and their SRV records as often as
// their addresses.
func (n dnsCatalog) writeQuestions(out io.Writer) error {
	w := bufio.NewWriter(out)
	r := rand.New(rand.NewPCG(3, 0))
	for i := range dnsQuestions {
		fmt.Fprintf(w, "%s %s\n", dnsService(r.IntN(n.services())), [...]string{"SRV", "A"}[i%2])
	}
	return w.Flush()
}

// transaction registers a node with all its instances, in the body of a PUT of /v1/txn.
func (n dnsCatalog) transaction(node int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `[{"Node":{"Verb":"set","Node":{"Node":"node-%d","Address":"%s"}}}`, node, addressIn(11, node+1))
	for i := node; i < int(n); i += n.nodes() {
		fmt.Fprintf(&b, `,{"Service":{"Verb":"set","Node":"node-%d","Service":%s}}`, node, dnsRegistration(i, dnsAddress(i), 1))
	}
	b.WriteByte(']')
	return b.String()
}

// dnsRegistration is instance i at an address and with a weight, as the HTTP API takes it.
func dnsRegistration(i int, a netip.Addr, weight int) string {
	service := i / dnsInstances
	return fmt.Sprintf(`{"ID":"svc-%d-%d","Service":"svc-%d","Address":"%s","Port":%d,"Weights":{"Passing":%d,"Warning":1}}`,
		service, i%dnsInstances, service, a, dnsPort, weight)
}
