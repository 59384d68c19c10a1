package check

import (
	"context"
	"fmt"
	"net"

	"herald/registry"
)

// TCP is the kind that connects to an address.
const TCP = "tcp"

// NewTCP makes a check that connects to Spec's address, "host:port", and closes
// the connection again: passing if it could, else critical.
func NewTCP(d registry.CheckDefinition) (registry.Checker, error) {
	s := specOf(d, TCP)
	c := &tcpCheck{address: s.string("address")}
	if _, port, err := net.SplitHostPort(c.address); err != nil || port == "" {
		s.fail("address", fmt.Sprintf("must be host:port, not %q", c.address))
	}
	if err := s.done(); err != nil {
		return nil, err
	}
	return c, nil
}

type tcpCheck struct {
	address string
	dialer  net.Dialer
}

func (c *tcpCheck) Check(ctx context.Context) (registry.HealthStatus, string) {
	conn, err := c.dialer.DialContext(ctx, "tcp", c.address)
	if err != nil {
		return registry.Critical, fmt.Sprintf("TCP connect %s: %v", c.address, err)
	}
	_ = conn.Close() // connecting is all that was asked
	return registry.Passing, fmt.Sprintf("TCP connect %s: Success", c.address)
}
