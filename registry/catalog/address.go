package catalog

import (
	"net/netip"

	"herald/registry"
)

// The address table is a set of keys: a byte that tells the family apart, the
// bytes of the IP address, and the folded name of the node, or the full id of
// the instance, that has it. It names what it points at rather than holding it,
// so that it changes only with addresses.

func addressPrefix(ip netip.Addr) string {
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		a := ip.As4()
		return "4" + string(a[:])
	}
	a := ip.As16()
	return "6" + string(a[:])
}

// addressKey is the table's key for an address of what name names; ok is false
// if address is no IP address.
func addressKey(address, name string) (key string, ok bool) {
	if address == "" {
		return "", false
	}
	ip, ok := registry.IP(address)
	if !ok {
		return "", false
	}
	return addressPrefix(ip) + name, true
}
