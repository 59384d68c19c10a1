package recursor

import (
	"strings"
	"testing"
	"time"
)

func TestParseServer(t *testing.T) {
	for given, want := range map[string]string{
		"10.0.0.53":            "10.0.0.53:53",
		"10.0.0.53:5353":       "10.0.0.53:5353",
		"2001:db8::53":         "[2001:db8::53]:53",
		"[2001:db8::53]:5353":  "[2001:db8::53]:5353",
		"fe80::1%eth0":         "[fe80::1%eth0]:53",
		"::ffff:10.0.0.53":     "10.0.0.53:53",
		"":                     "",
		"dns.example":          "",
		"10.0.0.53:":           "",
		"10.0.0.53:0":          "",
		"10.0.0.53:65536":      "",
		"[2001:db8::53]":       "",
		"0.0.0.0":              "",
		"::":                   "",
		"224.0.0.251:5353":     "",
		"10.0.0.53, 10.0.0.54": "",
	} {
		got, err := ParseServer(given)
		if want == "" {
			if err == nil || !strings.Contains(err.Error(), given) {
				t.Errorf("%q: %v, %v", given, got, err)
			}
		} else if err != nil || got.String() != want {
			t.Errorf("%q: %v, %v; want %s", given, got, err, want)
		}
	}
}

func TestValidate(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"no recursors are given":          func(c *Config) { c.Servers = nil },
		`recursor "x" is not an IP`:       func(c *Config) { c.Servers = []string{"x"} },
		`given already, as "10.0.0.1"`:    func(c *Config) { c.Servers = []string{"10.0.0.1", "10.0.0.1:53"} },
		`order is "sequential" or`:        func(c *Config) { c.Order = "" },
		"timeout is from 1ms":             func(c *Config) { c.Timeout = 0 },
		"1m, not 1m0.000000001s":          func(c *Config) { c.Timeout = time.Minute + 1 },
		"concurrency is from 1":           func(c *Config) { c.Concurrency = 0 },
		"UDP size is from 512":            func(c *Config) { c.UDPMaxSize = 511 },
		"UDP size is from 512 to 65535, ": func(c *Config) { c.UDPMaxSize = 65536 },
	} {
		c := config("10.0.0.1")
		change(&c)
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	c := config("10.0.0.1", "::1")
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}
