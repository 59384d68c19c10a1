package check

import (
	"crypto/tls"
	"fmt"
	"net"
)

// tls reads the fields that say how a server is to prove who it is.
func (s *spec) tls() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: s.bool("tls_skip_verify"),
		ServerName:         s.string("tls_server_name"),
	}
}

// serverNamed is a config that knows which name the server at an address has to prove.
func serverNamed(config *tls.Config, address string) *tls.Config {
	config = config.Clone()
	if host, _, err := net.SplitHostPort(address); err == nil && config.ServerName == "" {
		config.ServerName = host
	}
	return config
}

// address reads host:port.
func (s *spec) address(name string) string {
	address := s.string(name)
	s.hostPort(name, address)
	return address
}

// hostPort refuses what is not host:port.
func (s *spec) hostPort(name, address string) {
	if _, port, err := net.SplitHostPort(address); err != nil || port == "" {
		s.fail(name, fmt.Sprintf("must be host:port, not %q", address))
	}
}
