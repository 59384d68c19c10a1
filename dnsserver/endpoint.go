package dnsserver

import (
	"net/netip"
	"strings"

	"herald/registry"
	"herald/registry/catalog"
)

// The tags of the addresses that a machine on the same network reaches a node or
// an instance by, in the family that its main address is not of.
const (
	taggedIPv4 = "lan_ipv4"
	taggedIPv6 = "lan_ipv6"
)

// endpoint is where a node or an instance is reached.
type endpoint struct {
	// main is its address, if that is an IP address.
	main netip.Addr
	// v4 and v6 are its addresses by family, each invalid if there is none.
	v4, v6 netip.Addr
	// host is its address in lower case, if that is a host name.
	host string
	// own says that it is the instance's own, not its node's.
	own bool
}

func nodeEndpoint(n *catalog.Node) endpoint {
	e := newEndpoint(n.Address)
	e.tagged(n.TaggedAddresses[taggedIPv4], n.TaggedAddresses[taggedIPv6])
	return e
}

// instanceEndpoint is where an instance is reached: its own address, or its
// node's if it has none.
func instanceEndpoint(i *catalog.Instance) endpoint {
	var e endpoint
	if i.Address != "" {
		e = newEndpoint(i.Address)
		e.own = true
	} else {
		e = nodeEndpoint(i.Host)
	}
	if len(i.TaggedAddresses) > 0 {
		e.tagged(i.TaggedAddresses[taggedIPv4].Address, i.TaggedAddresses[taggedIPv6].Address)
	}
	return e
}

func newEndpoint(address string) endpoint {
	ip, ok := registry.IP(address)
	switch {
	case !ok:
		return endpoint{host: strings.ToLower(strings.TrimSuffix(address, "."))}
	case ip.Is4():
		return endpoint{main: ip, v4: ip}
	default:
		ip = ip.WithZone("")
		return endpoint{main: ip, v6: ip}
	}
}

// tagged adds the address of the family that is missing, from those that are
// given by tag, "" if not. A host name is followed for both families, so nothing
// is missing beside one.
func (e *endpoint) tagged(v4, v6 string) {
	if v4 != "" && e.host == "" && !e.v4.IsValid() {
		if ip, ok := registry.IP(v4); ok && ip.Is4() {
			e.v4 = ip
		}
	}
	if v6 != "" && e.host == "" && !e.v6.IsValid() {
		if ip, ok := registry.IP(v6); ok && ip.Is6() {
			e.v6 = ip.WithZone("")
		}
	}
}

// weight is the share of the traffic that an instance is to have, within what
// an SRV record holds. Passing, an instance has a share; only in warning may it
// have none.
func weight(i *catalog.Instance) uint16 {
	w, least := i.Weights.Passing, 1
	if i.Status == registry.Warning {
		w, least = i.Weights.Warning, 0
		if i.Weights == (registry.Weights{}) {
			least = 1
		}
	}
	return uint16(max(least, min(w, 1<<16-1)))
}
