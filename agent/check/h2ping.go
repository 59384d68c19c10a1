package check

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/net/http2"

	"herald/registry"
)

// H2Ping is the kind that pings an HTTP/2 server.
const H2Ping = "h2ping"

// NewH2Ping makes a check that connects to Spec's address, "host:port", and sends an HTTP/2 PING frame (RFC 9113 section 6.7):
// passing if it is answered, else critical. The connection is TLS unless use_tls is false; tls_skip_verify and tls_server_name
// are as with NewTCP.
func NewH2Ping(d registry.CheckDefinition) (registry.Checker, error) {
	s := specOf(d, H2Ping)
	c := &h2PingCheck{address: s.address("address")}
	secure, config := s.boolOr("use_tls", true), s.tls()
	if secure {
		config.NextProtos = []string{http2.NextProtoTLS}
		c.config = config
	}
	if err := s.done(); err != nil {
		return nil, err
	}
	return c, nil
}

type h2PingCheck struct {
	address string
	config  *tls.Config // nil without TLS
	dialer  net.Dialer
}

func (c *h2PingCheck) Check(ctx context.Context) (registry.HealthStatus, string) {
	if err := c.ping(ctx); err != nil {
		return registry.Critical, fmt.Sprintf("HTTP/2 ping %s: %v", c.address, err)
	}
	return registry.Passing, fmt.Sprintf("HTTP/2 ping %s: answered", c.address)
}

func (c *h2PingCheck) ping(ctx context.Context) error {
	conn, err := c.dialer.DialContext(ctx, "tcp", c.address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if c.config != nil {
		secure := tls.Client(conn, serverNamed(c.config, c.address))
		if err := secure.HandshakeContext(ctx); err != nil {
			return err
		}
		if got := secure.ConnectionState().NegotiatedProtocol; got != http2.NextProtoTLS {
			return fmt.Errorf("the server does not speak HTTP/2 but %q", got)
		}
		conn = secure
	}
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if err := pingFrame(conn); err != nil {
		return cmp.Or(ctx.Err(), err)
	}
	return nil
}

// pingFrame sends what a client begins with and a PING, and reads until that is acknowledged.
func pingFrame(conn net.Conn) error {
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		return err
	}
	data := [8]byte{'h', 'e', 'r', 'a', 'l', 'd'}
	frames := http2.NewFramer(conn, conn)
	frames.SetMaxReadFrameSize(16 << 10) // which is what a server may send unless it is told otherwise
	if err := errors.Join(frames.WriteSettings(), frames.WritePing(false, data)); err != nil {
		return err
	}
	for {
		frame, err := frames.ReadFrame()
		if err != nil {
			return err
		}
		switch f := frame.(type) {
		case *http2.PingFrame:
			if f.IsAck() && f.Data == data {
				return nil
			}
		case *http2.GoAwayFrame:
			return fmt.Errorf("the server ends the connection: %v", f.ErrCode)
		}
	}
}
