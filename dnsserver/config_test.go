package dnsserver

import (
	"strings"
	"testing"
	"time"
)

func TestValidate(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Config)
		want   string // part of the error; "" is none
	}{
		"defaults":                         {func(*Config) {}, ""},
		"any port":                         {func(c *Config) { c.Address = "127.0.0.1:0" }, ""},
		"every address":                    {func(c *Config) { c.Address = ":53" }, ""},
		"IPv6":                             {func(c *Config) { c.Address = "[::1]:53" }, ""},
		"no port":                          {func(c *Config) { c.Address = "127.0.0.1" }, `address "127.0.0.1"`},
		"a port's name":                    {func(c *Config) { c.Address = "127.0.0.1:domain" }, `address "127.0.0.1:domain"`},
		"a port too high":                  {func(c *Config) { c.Address = "127.0.0.1:65536" }, "from 0 to 65535"},
		"without final dot":                {func(c *Config) { c.Domain = "consul" }, ""},
		"deep domain":                      {func(c *Config) { c.Domain = "sd.example.com" }, ""},
		"no domain":                        {func(c *Config) { c.Domain = "" }, `domain: ""`},
		"the root":                         {func(c *Config) { c.Domain = "." }, `domain: "."`},
		"empty label":                      {func(c *Config) { c.AltDomains = []string{"a..b"} }, `alt_domains: "a..b"`},
		"long label":                       {func(c *Config) { c.Domain = strings.Repeat("x", 64) }, "labels of 1 to 63 bytes"},
		"long domain":                      {func(c *Config) { c.Domain = strings.Repeat("xx.", 60) }, "leaves no room"},
		"one twice":                        {func(c *Config) { c.AltDomains = []string{"CONSUL"} }, `alt_domains: "CONSUL" is given already, by domain`},
		"a reverse zone":                   {func(c *Config) { c.AltDomains = []string{"in-addr.arpa."} }, `is a reverse zone`},
		"negative TTL":                     {func(c *Config) { c.NodeTTL = -time.Second }, "node_ttl is from 0s"},
		"TTL in parts":                     {func(c *Config) { c.ServiceTTL = 1500 * time.Millisecond }, "service_ttl is in whole seconds"},
		"endless TTL":                      {func(c *Config) { c.NegativeTTL = 100 * 365 * 24 * time.Hour }, "negative_ttl is from 0s"},
		"small UDP":                        {func(c *Config) { c.UDPMaxSize = 511 }, "udp_max_size is from 512 to 65535, not 511"},
		"negative limit":                   {func(c *Config) { c.UDPAnswerLimit = -1 }, "udp_answer_limit is from 0"},
		"no connections":                   {func(c *Config) { c.TCPConnections = 0 }, "tcp_connections is from 1"},
		"zones of keys":                    {func(c *Config) { c.SkyDNSZones = []string{"skydns.local.", "10.in-addr.arpa", "x.consul", "local"} }, ""},
		"a zone of both":                   {func(c *Config) { c.SkyDNSZones = []string{"CONSUL."} }, `skydns_zones: "CONSUL." is given already, by domain`},
		"a zone of keys twice":             {func(c *Config) { c.SkyDNSZones = []string{"a.b", "A.B."} }, `skydns_zones: "A.B." is given already, by skydns_zones`},
		"the catalog's reverse zone":       {func(c *Config) { c.SkyDNSZones = []string{"in-addr.arpa"} }, `while "reverse" is true`},
		"no reverse zone of the catalog's": {func(c *Config) { c.Reverse = false; c.SkyDNSZones = []string{"in-addr.arpa", "ip6.arpa"} }, ""},
		"a network for a zone":             {func(c *Config) { c.SkyDNSZones = []string{"10.0.0.0/24"} }, `has a label "0/24"`},
		"a wildcard for a zone":            {func(c *Config) { c.SkyDNSZones = []string{"any.local"} }, `has a label "any"`},
		"no zone of keys":                  {func(c *Config) { c.SkyDNSZones = []string{"."} }, `skydns_zones: "." is not a domain name`},
		"a long zone of keys":              {func(c *Config) { c.SkyDNSZones = []string{strings.Repeat("xx.", 60)} }, "leaves no room"},
		"no prefix":                        {func(c *Config) { c.SkyDNSPrefix = "/" }, `skydns_prefix: "/" is no prefix`},
		"no idle time":                     {func(c *Config) { c.TCPIdleTimeout = 0 }, "tcp_idle_timeout is at least 1s"},
	} {
		c := DefaultConfig()
		test.change(&c)
		err := c.Validate()
		switch {
		case err == nil && test.want != "":
			t.Errorf("%s: no error, want %q", name, test.want)
		case err != nil && (test.want == "" || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}
