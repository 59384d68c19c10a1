package grpcserver

import (
	"net"
	"net/netip"
	"net/url"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// peerURL is a server's peer address as etcd's clients know such a thing.
func peerURL(address string) string {
	u := url.URL{Scheme: "http", Host: address} // which escapes an address's zone
	return u.String()
}

// peerAddress is the host and port of a peer URL that was checked.
func peerAddress(peerURL string) string {
	u, err := url.Parse(peerURL)
	if err != nil {
		return ""
	}
	return u.Host
}

const (
	// maxPeerURLs is how many peer URLs one member may have, and maxURLBytes how long each may
	// be: a host's name has 253 bytes at most.
	maxPeerURLs = 16
	maxURLBytes = 512
)

// checkPeerURLs fails unless there are URLs that are peer addresses.
func checkPeerURLs(urls []string) error {
	if len(urls) == 0 || len(urls) > maxPeerURLs {
		return rpctypes.ErrGRPCMemberBadURLs
	}
	for _, u := range urls {
		if len(u) > maxURLBytes || validURL(u) != nil {
			return rpctypes.ErrGRPCMemberBadURLs
		}
	}
	return nil
}

// clientURLs are where clients are told that a door is: what its settings advertise; else the
// address that it is bound to; and if that is every one of its host, the host that the other
// servers know, which is in peer.
func clientURLs(c *Config, bound net.Addr, peer string) []string {
	if len(c.Advertise) > 0 {
		return c.Advertise
	}
	host, port := splitHost(bound.String())
	if name, _ := splitHost(c.Address); !isAddress(name) {
		host = name // which a certificate may be for
	}
	if isUnspecified(host) {
		host, _ = splitHost(peer)
	}
	if isUnspecified(host) {
		host = "127.0.0.1"
	}
	u := url.URL{Scheme: c.scheme(), Host: net.JoinHostPort(host, port)}
	return []string{u.String()}
}

func splitHost(address string) (host, port string) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address, ""
	}
	return host, port
}

// isAddress says that a host is not a name.
func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil || host == ""
}

// isUnspecified says that a host stands for all addresses of its machine.
func isUnspecified(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "" || err == nil && a.Unmap().IsUnspecified()
}
