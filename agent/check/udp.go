package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"herald/registry"
)

// UDP is the kind that sends a datagram.
const UDP = "udp"

// udpProbe is what is sent. It is no protocol's, so that most servers do not answer.
var udpProbe = []byte("herald health check\n")

// udpPatience is how long an answer is waited for when the check's own time is longer.
const udpPatience = 2 * time.Second

// NewUDP makes a check that sends a datagram to Spec's address, "host:port". That the host says that nobody
// listens there is critical, as is what keeps it from being sent; an answer is passing, and so is silence, since servers need not answer what
// they do not understand.
func NewUDP(d registry.CheckDefinition) (registry.Checker, error) {
	s := specOf(d, UDP)
	c := &udpCheck{address: s.address("address")}
	if err := s.done(); err != nil {
		return nil, err
	}
	return c, nil
}

type udpCheck struct {
	address string
	dialer  net.Dialer
}

func (c *udpCheck) Check(ctx context.Context) (registry.HealthStatus, string) {
	failed := func(err error) (registry.HealthStatus, string) {
		return registry.Critical, fmt.Sprintf("UDP %s: %v", c.address, err)
	}
	conn, err := c.dialer.DialContext(ctx, "udp", c.address)
	if err != nil {
		return failed(err)
	}
	defer conn.Close()
	end := time.Now().Add(udpPatience)
	if d, ok := ctx.Deadline(); ok {
		// Some of its time is left for the answer that there was none.
		if early := time.Now().Add(time.Until(d) * 9 / 10); early.Before(end) {
			end = early
		}
	}
	if err := conn.SetDeadline(end); err != nil {
		return failed(err)
	}
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := conn.Write(udpProbe); err != nil {
		return failed(err)
	}
	switch _, err := conn.Read(make([]byte, 64<<10)); {
	case ctx.Err() != nil:
		return failed(ctx.Err())
	case errors.Is(err, os.ErrDeadlineExceeded):
		return registry.Passing, fmt.Sprintf("UDP %s: sent, no answer and no refusal", c.address)
	case err != nil:
		return failed(err)
	}
	return registry.Passing, fmt.Sprintf("UDP %s: answered", c.address)
}
