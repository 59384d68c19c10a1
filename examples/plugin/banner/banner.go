// Package banner is a kind of health check: it connects and looks at the first
// line the service sends. It owns nothing between two runs.
package banner

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"

	"herald/registry"
	"herald/registry/plugin"
)

func init() {
	plugin.Default.Check(plugin.CheckInfo{
		Name:    "banner",
		Summary: "connect; passing if the first line begins as spec.expect says",
		New:     New,
	})
}

type checker struct{ address, expect string }

// New makes a banner check from spec.address and spec.expect.
func New(d registry.CheckDefinition) (registry.Checker, error) {
	c := &checker{}
	for key, value := range d.Spec {
		text, ok := value.(string)
		switch {
		case !ok:
			return nil, fmt.Errorf("%w: spec.%s is not text", registry.ErrInvalidDefinition, key)
		case key == "address":
			c.address = text
		case key == "expect":
			c.expect = text
		default:
			return nil, fmt.Errorf("%w: banner has no spec.%s, only address and expect", registry.ErrInvalidDefinition, key)
		}
	}
	if _, _, err := net.SplitHostPort(c.address); err != nil {
		return nil, fmt.Errorf("%w: spec.address: %v", registry.ErrInvalidDefinition, err)
	}
	return c, nil
}

// Check implements registry.Checker.
func (c *checker) Check(ctx context.Context) (registry.HealthStatus, string) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", c.address)
	if err != nil {
		return registry.Critical, err.Error()
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	line = strings.TrimRight(line, "\r\n")
	switch {
	case err != nil:
		return registry.Critical, fmt.Sprintf("no line from %s: %v", c.address, err)
	case !strings.HasPrefix(line, c.expect):
		return registry.Critical, fmt.Sprintf("%s greets with %q, not %q", c.address, line, c.expect)
	default:
		return registry.Passing, line
	}
}
