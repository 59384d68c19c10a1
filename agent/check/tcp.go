package check

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"

	"herald/registry"
)

// TCP is the kind that connects to an address.
const TCP = "tcp"

// NewTCP makes a check that connects to Spec's address, "host:port", and closes
// the connection again: passing if it could, else critical. With use_tls the connection is
// TLS, and its handshake has to succeed; tls_skip_verify and tls_server_name are as with NewHTTP.
func NewTCP(d registry.CheckDefinition) (registry.Checker, error) {
	s := specOf(d, TCP)
	c := &tcpCheck{address: s.address("address")}
	secure, config := s.bool("use_tls"), s.tls()
	if secure {
		c.config = config
	}
	if err := s.done(); err != nil {
		return nil, err
	}
	return c, nil
}

type tcpCheck struct {
	address string
	config  *tls.Config // nil without TLS
	dialer  net.Dialer
}

func (c *tcpCheck) Check(ctx context.Context) (registry.HealthStatus, string) {
	conn, err := c.dialer.DialContext(ctx, "tcp", c.address)
	if err != nil {
		return registry.Critical, fmt.Sprintf("TCP connect %s: %v", c.address, err)
	}
	defer conn.Close() // connecting is all that was asked
	if c.config != nil {
		if err := tls.Client(conn, serverNamed(c.config, c.address)).HandshakeContext(ctx); err != nil {
			return registry.Critical, fmt.Sprintf("TLS handshake with %s: %v", c.address, err)
		}
	}
	return registry.Passing, fmt.Sprintf("TCP connect %s: Success", c.address)
}
