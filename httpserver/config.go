package httpserver

import (
	"errors"
	"fmt"
	"net"
	"time"

	"herald/registry/session"
)

// Config is the door's settings.
type Config struct {
	Address       string        `config:"address" usage:"address and port to serve HTTP on"`
	MaxValueBytes int           `config:"max_value_bytes" usage:"largest value that a key may be put with, in bytes"`
	MaxKeyBytes   int           `config:"max_key_bytes" usage:"longest key that may be put, in bytes"`
	MaxBodyBytes  int           `config:"max_body_bytes" usage:"largest JSON body of a request, in bytes"`
	SessionTTLMin time.Duration `config:"session_ttl_min" usage:"shortest time to live that a session may ask for"`
	// MaxBlockedQueries bounds what waiting clients can make the process hold; a
	// query over it is answered with 429. 0 is no bound.
	MaxBlockedQueries int `config:"max_blocked_queries" usage:"how many queries may wait for a change at a time; 0 for any number"`
	// The limits of one client, by its address. Those of this machine are exempt
	// unless LimitLoopback says otherwise.
	MaxBlockedPerClient  int  `config:"max_blocked_queries_per_client" usage:"how many queries of one client may wait for a change at a time; 0 for any number"`
	MaxRequestsPerClient int  `config:"max_requests_per_client" usage:"how many requests a second one client may send; 0 for any number"`
	MaxRequestsBurst     int  `config:"max_requests_burst" usage:"how many requests one client may send at once, before max_requests_per_client holds"`
	LimitLoopback        bool `config:"limit_loopback" usage:"hold clients on this machine to the limits of a client, too"`
	// ReadHeaderTimeout and ReadBodyTimeout bound how long a client may take to send
	// a request, so that slow ones cannot hold every connection.
	ReadHeaderTimeout time.Duration `config:"read_header_timeout" usage:"how long a client may take to send a request's headers"`
	ReadBodyTimeout   time.Duration `config:"read_body_timeout" usage:"how long a client may take to send a request's body"`
	IdleTimeout       time.Duration `config:"idle_timeout" usage:"how long an unused connection is kept open"`
	Pprof             bool          `config:"pprof" usage:"serve profiles of the process under /debug/pprof/"`
}

// DefaultConfig returns the settings that hold unless the user says otherwise.
func DefaultConfig() Config {
	return Config{
		Address:           "127.0.0.1:8500",
		MaxValueBytes:     512 << 10,
		MaxBodyBytes:      16 << 20,
		SessionTTLMin:     session.DefaultLimits().MinTTL,
		MaxKeyBytes:       16 << 10,
		MaxBlockedQueries: 1 << 16,
		// Above what one machine asks that works, below what stops the others.
		MaxBlockedPerClient:  1 << 14,
		MaxRequestsPerClient: 5000,
		MaxRequestsBurst:     10000,
		ReadHeaderTimeout:    10 * time.Second,
		ReadBodyTimeout:      time.Minute,
		IdleTimeout:          5 * time.Minute,
	}
}

// Validate says what is wrong with the settings.
func (c *Config) Validate() error {
	var errs []error
	if _, _, err := net.SplitHostPort(c.Address); err != nil {
		errs = append(errs, fmt.Errorf("address: want host:port, such as 127.0.0.1:8500: %w", err))
	}
	for _, n := range []struct {
		name  string
		value int
	}{
		{"max_value_bytes", c.MaxValueBytes}, {"max_key_bytes", c.MaxKeyBytes}, {"max_body_bytes", c.MaxBodyBytes},
		{"max_requests_burst", c.MaxRequestsBurst},
	} {
		if n.value < 1 {
			errs = append(errs, fmt.Errorf("%s: want at least 1, have %d", n.name, n.value))
		}
	}
	for _, n := range []struct {
		name  string
		value int
	}{
		{"max_blocked_queries", c.MaxBlockedQueries}, {"max_blocked_queries_per_client", c.MaxBlockedPerClient},
		{"max_requests_per_client", c.MaxRequestsPerClient},
	} {
		if n.value < 0 {
			errs = append(errs, fmt.Errorf("%s: want 0 for no bound, or more, have %d", n.name, n.value))
		}
	}
	if lowest := time.Second; c.SessionTTLMin < lowest {
		errs = append(errs, fmt.Errorf("session_ttl_min: want at least %v, have %v", lowest, c.SessionTTLMin))
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"read_header_timeout", c.ReadHeaderTimeout}, {"read_body_timeout", c.ReadBodyTimeout}, {"idle_timeout", c.IdleTimeout}} {
		if d.value <= 0 {
			errs = append(errs, fmt.Errorf("%s: want more than 0, have %v", d.name, d.value))
		}
	}
	return errors.Join(errs...)
}
