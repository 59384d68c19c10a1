package grpcserver

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"
)

// Config is the door's settings.
type Config struct {
	Address   string   `config:"address" usage:"address to serve etcd's API on, gRPC and HTTP on one port"`
	Advertise []string `config:"advertise" usage:"URLs that clients reach this server's etcd API at; default: from address"`

	CertFile     string `config:"cert_file" usage:"certificate to speak TLS with, PEM, intermediates included; with key_file; default: no TLS"`
	KeyFile      string `config:"key_file" usage:"private key of cert_file, PEM"`
	ClientCAFile string `config:"client_ca_file" usage:"certificates that sign clients', PEM; every client must show one then"`

	WatchProgressInterval time.Duration `config:"watch_progress_interval" usage:"how often an idle watch that asked for it is told the revision"`
}

// DefaultConfig returns the settings that a door starts from.
func DefaultConfig() Config {
	return Config{
		Address:               "127.0.0.1:2379",
		WatchProgressInterval: 10 * time.Minute,
	}
}

// Validate says what is wrong with the settings, by their names.
func (c *Config) Validate() error {
	errs := []error{c.validateAddress(), c.certificates().Validate("")}
	for _, u := range c.Advertise {
		if err := validURL(u); err != nil {
			errs = append(errs, fmt.Errorf("advertise %q: %w", u, err))
		}
	}
	if c.WatchProgressInterval < 100*time.Millisecond {
		errs = append(errs, fmt.Errorf("watch_progress_interval is at least 100ms, not %v", c.WatchProgressInterval))
	}
	return errors.Join(errs...)
}

func (c *Config) validateAddress() error {
	_, port, err := net.SplitHostPort(c.Address)
	if err != nil {
		return fmt.Errorf("address %q: %w; it is host:port, such as 127.0.0.1:2379", c.Address, err)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("address %q: the port is a number from 0 to 65535, not %q", c.Address, port)
	}
	return nil
}

// validURL checks a URL that says where clients, or other servers, reach a server.
func validURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return err
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("it is http://host:port or https://host:port")
	case u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return errors.New("it has a scheme, a host and a port, and nothing else")
	}
	if host, port, err := net.SplitHostPort(u.Host); err != nil || host == "" || port == "" {
		return errors.New("it must name a host and a port")
	}
	// The parser lets hosts through, such as a zone that is no text, that it does not read again.
	if again, err := url.Parse((&url.URL{Scheme: u.Scheme, Host: u.Host}).String()); err != nil || again.Host != u.Host {
		return errors.New("its host cannot be spelled in a URL")
	}
	return nil
}
