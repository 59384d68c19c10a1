package grpcserver

import (
	"crypto/tls"
	"log/slog"

	"herald/registry/plugin/certfile"
)

// protocols are what the server offers, what it likes best first. Who can do both, as curl and
// browsers can, wants the gateway; gRPC asks for HTTP/2 alone.
var protocols = []string{"http/1.1", "h2"}

func (c *Config) certificates() certfile.Files {
	return certfile.Files{Cert: c.CertFile, Key: c.KeyFile, ClientCA: c.ClientCAFile}
}

// scheme is how the URLs of the door begin.
func (c *Config) scheme() string {
	if c.CertFile != "" {
		return "https"
	}
	return "http"
}

// secured is how TLS is spoken, nil where it is not. It fails if the files cannot be
// used.
func (c *Config) secured(log *slog.Logger) (*tls.Config, error) {
	return c.certificates().Config(log, protocols...)
}
