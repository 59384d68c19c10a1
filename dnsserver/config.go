package dnsserver

import (
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"time"

	"herald/dnsserver/recursor"
	"herald/dnsserver/skydns"
	"herald/registry/plugin/certfile"
)

// Config is the door's settings.
type Config struct {
	Address          string   `config:"address" usage:"address to answer DNS on, UDP and TCP on one port"`
	FurtherAddresses []string `config:"further_addresses" usage:"more addresses to answer on in the same way"`

	Domain     string   `config:"domain" usage:"domain that services and nodes are under"`
	AltDomains []string `config:"alt_domains" usage:"further domains to answer for in the same way"`
	Reverse    bool     `config:"reverse" usage:"answer for in-addr.arpa and ip6.arpa"`

	NodeTTL     time.Duration `config:"node_ttl" usage:"how long a node's records may be cached"`
	ServiceTTL  time.Duration `config:"service_ttl" usage:"how long a service's records may be cached"`
	NodeTTLs    []string      `config:"node_ttls" usage:"the same for single nodes: name=duration, where a name may end in * for any that begins so"`
	ServiceTTLs []string      `config:"service_ttls" usage:"the same for single services: name=duration, where a name may end in * for any that begins so"`
	NegativeTTL time.Duration `config:"negative_ttl" usage:"how long it may be cached that a name or record does not exist"`

	OnlyPassing    bool   `config:"only_passing" usage:"leave out instances in warning too, not only critical ones"`
	ZoneMeta       string `config:"zone_meta" usage:"metadata that says where an instance or its node is: instances where the client is come first; empty is off"`
	NodeMetaTXT    bool   `config:"node_meta_txt" usage:"add the nodes' metadata to SRV answers where there is room"`
	UDPAnswerLimit int    `config:"udp_answer_limit" usage:"most records in a UDP answer of 512 bytes; 0 is as many as fit"`
	UDPMaxSize     int    `config:"udp_max_size" usage:"largest UDP answer in bytes, whatever a client says it takes"`
	EnableTruncate bool   `config:"enable_truncate" usage:"set the TC bit on answers that leave something out, so that clients ask again over TCP"`

	MaxStale        time.Duration `config:"max_stale" usage:"how old the catalog may be that is answered from; 0 is any age, so that answers go on whatever becomes of the servers"`
	StaleErrorAfter time.Duration `config:"stale_error_after" usage:"how old the catalog is when answers carry its age as an extended error (RFC 8914); 0 is never"`

	TLSAddress  string `config:"tls_address" usage:"address to answer DNS over TLS on (RFC 7858), such as :853; empty is off"`
	TLSCertFile string `config:"tls_cert_file" usage:"certificate for it, PEM, intermediates included"`
	TLSKeyFile  string `config:"tls_key_file" usage:"private key of tls_cert_file, PEM"`

	Recursors       []string      `config:"recursors" usage:"servers that answer for names outside the domains: addresses with or without a port; empty refuses such names"`
	RecursorOrder   string        `config:"recursor_order" usage:"sequential, which asks the first and goes on to the next when it fails, or random"`
	RecursorTimeout time.Duration `config:"recursor_timeout" usage:"how long a recursor is waited for before the next is asked"`

	SkyDNSZones  []string `config:"skydns_zones" usage:"zones whose records are keys of the store in SkyDNS's form, reverse zones too; servers only"`
	SkyDNSPrefix string   `config:"skydns_prefix" usage:"what the keys of skydns_zones begin with"`

	MaxQueriesPerSecond int `config:"max_queries_per_second" usage:"how many UDP queries of one client (an IPv4 address, an IPv6 /56) are answered in a second; every other of those over it is answered with TC alone, the rest not at all; 0 is any number, as always on loopback"`

	Cookies      bool   `config:"cookies" usage:"give clients that send a DNS cookie one of the server's (RFC 7873)"`
	CookieSecret string `config:"cookie_secret" usage:"what they are made with, 32 hexadecimal digits, for servers that answer on one address; empty is one of this process's own"`

	TCPConnections int           `config:"tcp_connections" usage:"most TCP connections at once; further ones are closed"`
	TCPIdleTimeout time.Duration `config:"tcp_idle_timeout" usage:"how long a TCP connection may be idle"`
}

// DefaultConfig returns the settings that a door starts from.
//
// Three differ from Consul's. udp_answer_limit is 0, not 3, since an answer that
// was cut has its TC bit set here and would be asked for again over TCP;
// enable_truncate is on, so that what was left out can be known; and the largest
// UDP answer is 4096 bytes, which bounds what a forged query can send to somebody else.
func DefaultConfig() Config {
	return Config{
		Address:        "127.0.0.1:8600",
		Domain:         "consul.",
		Reverse:        true,
		NodeMetaTXT:    true,
		UDPMaxSize:     4096,
		EnableTruncate: true,
		Cookies:        true,

		SkyDNSPrefix: "/skydns",

		RecursorOrder:       recursor.Sequential,
		RecursorTimeout:     2 * time.Second,
		MaxQueriesPerSecond: 10_000,
		TCPConnections:      1024,
		TCPIdleTimeout:      10 * time.Second,
	}
}

// Validate says what is wrong with the settings, by their names.
func (c *Config) Validate() error {
	return errors.Join(
		c.validateAddresses(),
		validAge("max_stale", c.MaxStale),
		validAge("stale_error_after", c.StaleErrorAfter),
		c.validateDomains(),
		c.validateSkyDNSPrefix(),
		validTTL("node_ttl", c.NodeTTL),
		validTTL("service_ttl", c.ServiceTTL),
		validTTL("negative_ttl", c.NegativeTTL),
		c.validateCookies(),
		c.validateRecursors(),
		validRange("max_queries_per_second", c.MaxQueriesPerSecond, 0, 1_000_000),
		validTTLs("node_ttls", c.NodeTTLs),
		validTTLs("service_ttls", c.ServiceTTLs),
		validRange("udp_answer_limit", c.UDPAnswerLimit, 0, math.MaxUint16),
		validRange("udp_max_size", c.UDPMaxSize, 512, math.MaxUint16),
		validRange("tcp_connections", c.TCPConnections, 1, 1<<20),
		c.validateIdleTimeout(),
	)
}

func (c *Config) validateAddresses() error {
	errs := []error{validAddress(addressSetting, c.Address)}
	for _, a := range c.FurtherAddresses {
		errs = append(errs, validAddress(furtherAddressesSetting, a))
	}
	if c.TLSAddress != "" {
		errs = append(errs, validAddress(tlsAddressSetting, c.TLSAddress))
	}
	return errors.Join(append(errs, c.validateTLS())...)
}

func (c *Config) validateTLS() error {
	switch {
	case c.TLSAddress != "" && c.TLSCertFile == "":
		return errors.New("tls_address is set and tls_cert_file is not; DNS over TLS needs a certificate")
	case c.TLSAddress == "" && c.TLSCertFile != "":
		return errors.New("tls_cert_file is set and tls_address is not: say where to answer DNS over TLS, such as :853")
	}
	return c.certificates().Validate("tls_")
}

func (c *Config) certificates() certfile.Files {
	return certfile.Files{Cert: c.TLSCertFile, Key: c.TLSKeyFile}
}

func validAddress(setting, address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%s %q: %w; it is host:port, such as 127.0.0.1:8600", setting, address, err)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%s %q: the port is a number from 0 to 65535, not %q", setting, address, port)
	}
	return nil
}

func validAge(setting string, d time.Duration) error {
	if d < 0 {
		return fmt.Errorf("%s is at least 0s, not %v", setting, d)
	}
	return nil
}

func (c *Config) validateDomains() error {
	var errs []error
	taken := map[string]string{}
	check := func(setting, name string) {
		z, err := newZone(name, false)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%s: %w", setting, err))
		case len(z.name) > maxDomain:
			errs = append(errs, fmt.Errorf("%s: %q is longer than %d bytes and leaves no room for names under it", setting, name, maxDomain))
		case z.folded == reverseIPv4Folded || z.folded == reverseIPv6Folded:
			errs = append(errs, fmt.Errorf("%s: %q is a reverse zone, which the setting \"reverse\" is for", setting, name))
		case taken[z.folded] != "":
			errs = append(errs, fmt.Errorf("%s: %q is given already, by %s", setting, name, taken[z.folded]))
		default:
			taken[z.folded] = setting
		}
	}
	check("domain", c.Domain)
	for _, name := range c.AltDomains {
		check("alt_domains", name)
	}
	return errors.Join(append(errs, c.validateSkyDNSZones(taken))...)
}

// validateSkyDNSZones checks the zones of keys, beside the domains that are taken: by their folded names, the settings that
// take them.
func (c *Config) validateSkyDNSZones(taken map[string]string) error {
	if c.Reverse {
		taken[reverseIPv4Folded], taken[reverseIPv6Folded] = "reverse", "reverse"
	}
	var errs []error
	for _, name := range c.SkyDNSZones {
		z, err := newKeyedZone(name)
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("skydns_zones: %w", err))
		case taken[z.folded] == "reverse":
			errs = append(errs, fmt.Errorf("skydns_zones: %q is answered from the catalog while \"reverse\" is true; name a zone below it, or set \"reverse\" to false", name))
		case taken[z.folded] != "":
			errs = append(errs, fmt.Errorf("skydns_zones: %q is given already, by %s: a zone's records are the catalog's or keys", name, taken[z.folded]))
		default:
			taken[z.folded] = "skydns_zones"
		}
	}
	return errors.Join(errs...)
}

func (c *Config) validateSkyDNSPrefix() error {
	if _, err := skydns.ParsePrefix(c.SkyDNSPrefix); err != nil {
		return fmt.Errorf("skydns_prefix: %w", err)
	}
	return nil
}

func (c *Config) validateIdleTimeout() error {
	if c.TCPIdleTimeout < time.Second {
		return fmt.Errorf("tcp_idle_timeout is at least 1s, not %v", c.TCPIdleTimeout)
	}
	return nil
}

func (c *Config) validateCookies() error {
	if _, err := newCookies(c); err != nil {
		return fmt.Errorf("cookie_secret: %w", err)
	}
	return nil
}

func (c *Config) validateRecursors() error {
	if len(c.Recursors) == 0 {
		return nil
	}
	config := recursorConfig(c)
	if err := config.Validate(); err != nil {
		return fmt.Errorf("recursors: %w", err)
	}
	return nil
}

func validTTLs(setting string, list []string) error {
	if _, err := newTTLs(0, list); err != nil {
		return fmt.Errorf("%s: %w", setting, err)
	}
	return nil
}

func validRange(setting string, n, low, high int) error {
	if n < low || n > high {
		return fmt.Errorf("%s is from %d to %d, not %d", setting, low, high, n)
	}
	return nil
}
