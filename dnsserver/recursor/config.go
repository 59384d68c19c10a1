package recursor

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"time"
)

// The orders that recursors are asked in.
const (
	// Sequential asks the first, and the others if those before them fail.
	Sequential = "sequential"
	// Random takes another order for each question.
	Random = "random"
)

// Config is who is asked, and how.
type Config struct {
	// Servers are the recursors: addresses with or without a port, which is 53, such
	// as "10.0.0.53", "10.0.0.53:5353", "2001:db8::53" and "[2001:db8::53]:5353".
	Servers []string
	// Order is Sequential or Random.
	Order string
	// Timeout is how long a recursor is waited for before the next is asked.
	Timeout time.Duration
	// Concurrency is how many questions may wait for answers at once; further ones
	// fail at once.
	Concurrency int
	// UDPMaxSize is the largest UDP answer in bytes, whatever a client says it takes.
	UDPMaxSize int
	// Log is told of recursors that do not answer, and that do again. Nil tells nobody.
	Log *slog.Logger
	// Failures returns what counts the tries that nothing came of, for each recursor once. Its Inc is called by any
	// goroutine. Nil counts nothing.
	Failures func(server netip.AddrPort) interface{ Inc() }
}

// DefaultConfig returns settings that lack nothing but recursors.
func DefaultConfig() Config {
	return Config{Order: Sequential, Timeout: 2 * time.Second, Concurrency: 1024, UDPMaxSize: 4096}
}

// Validate says what is wrong with the settings.
func (c *Config) Validate() error {
	var errs []error
	if len(c.Servers) == 0 {
		errs = append(errs, errors.New("no recursors are given"))
	}
	given := map[netip.AddrPort]string{}
	for _, s := range c.Servers {
		server, err := ParseServer(s)
		if err != nil {
			errs = append(errs, err)
		} else if before, ok := given[server]; ok {
			errs = append(errs, fmt.Errorf("recursor %q is given already, as %q", s, before))
		} else {
			given[server] = s
		}
	}
	if c.Order != Sequential && c.Order != Random {
		errs = append(errs, fmt.Errorf("order is %q or %q, not %q", Sequential, Random, c.Order))
	}
	if c.Timeout < time.Millisecond || c.Timeout > time.Minute {
		errs = append(errs, fmt.Errorf("timeout is from 1ms to 1m, not %v", c.Timeout))
	}
	errs = append(errs, within("concurrency", c.Concurrency, 1, 1<<20), within("UDP size", c.UDPMaxSize, plainSize, math.MaxUint16))
	return errors.Join(errs...)
}

func within(setting string, n, low, high int) error {
	if n < low || n > high {
		return fmt.Errorf("%s is from %d to %d, not %d", setting, low, high, n)
	}
	return nil
}

// ParseServer reads the address of a recursor; see Config.
func ParseServer(s string) (netip.AddrPort, error) {
	const port = 53
	server, err := netip.ParseAddrPort(s)
	if err != nil {
		addr, addrErr := netip.ParseAddr(s)
		if addrErr != nil {
			return netip.AddrPort{}, fmt.Errorf("recursor %q is not an IP address with or without a port, such as 10.0.0.53 or [2001:db8::53]:5353", s)
		}
		server = netip.AddrPortFrom(addr, port)
	}
	if server.Port() == 0 || server.Addr().IsUnspecified() || server.Addr().IsMulticast() {
		return netip.AddrPort{}, fmt.Errorf("recursor %q is not one server's address", s)
	}
	return netip.AddrPortFrom(server.Addr().Unmap(), server.Port()), nil
}
