package limit

import (
	"errors"
	"fmt"
	"time"
)

// Config is how much is answered.
type Config struct {
	// Rate is how many queries of one client are answered in a second; 0 is any
	// number.
	Rate int
	// Burst is how many are answered at once after a pause.
	Burst int
	// Slip is which of the queries over the rate is answered truncated and empty:
	// each Slip-th; 1 is each, and 0 none.
	Slip int
	// Clients is how many are remembered at most, rounded up to a power of two. Each
	// takes 24 bytes.
	Clients int
}

// DefaultConfig returns settings that limit nothing until they have a rate.
func DefaultConfig() Config {
	return Config{Burst: 100, Slip: 2, Clients: 1 << 16}
}

// The bounds of the settings. Rate's is that of whole nanoseconds between
// queries which still tell rates apart, to 0.1 %.
const (
	mostRate    = 1_000_000
	mostBurst   = 1_000_000
	mostSlip    = 1_000_000
	mostClients = 1 << 24
)

// Validate says what is wrong with the settings.
func (c *Config) Validate() error {
	return errors.Join(
		within("rate", c.Rate, 0, mostRate),
		within("burst", c.Burst, 1, mostBurst),
		within("slip", c.Slip, 0, mostSlip),
		within("clients", c.Clients, ways, mostClients),
	)
}

func within(setting string, n, low, high int) error {
	if n < low || n > high {
		return fmt.Errorf("%s is from %d to %d, not %d", setting, low, high, n)
	}
	return nil
}

// interval is the time between two queries at the rate.
func (c *Config) interval() int64 { return int64(time.Second) / int64(c.Rate) }
