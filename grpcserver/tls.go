package grpcserver

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificateInterval is how often the files of certificates are looked at, at most. A change
// of them holds for the connections that come after it.
const certificateInterval = time.Second

// protocols are what the server offers, what it likes best first. Who can do both, as curl and
// browsers can, wants the gateway; gRPC asks for HTTP/2 alone.
var protocols = []string{"http/1.1", "h2"}

// validateTLS says what is missing to speak TLS.
func (c *Config) validateTLS() error {
	switch {
	case c.CertFile == "" && c.KeyFile != "":
		return errors.New("key_file is set and cert_file is not; TLS needs both")
	case c.CertFile != "" && c.KeyFile == "":
		return errors.New("cert_file is set and key_file is not; TLS needs both")
	case c.ClientCAFile != "" && c.CertFile == "":
		return errors.New("client_ca_file is set and cert_file and key_file are not; clients show certificates over TLS alone")
	}
	return nil
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
	if c.CertFile == "" {
		return nil, nil
	}
	files := &certificates{cert: c.CertFile, key: c.KeyFile, clientCA: c.ClientCAFile, log: log}
	files.stamp, files.looked = files.stampNow(), time.Now() // before the files are read: a change meanwhile is seen
	var err error
	if files.current, err = files.load(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return files.config(), nil },
	}, nil
}

// certificates are files that may be replaced while the door is open.
type certificates struct {
	cert, key, clientCA string
	log                 *slog.Logger

	mu      sync.Mutex
	current *tls.Config
	stamp   string // of the files that were read last
	looked  time.Time
}

// config is how TLS is spoken with the files as they are. Files that cannot be used
// leave it as it was: half of a renewal may be there.
func (c *certificates) config() *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) < certificateInterval {
		return c.current
	}
	c.looked = time.Now()
	stamp := c.stampNow()
	if stamp == c.stamp {
		return c.current
	}
	c.stamp = stamp
	next, err := c.load()
	if err != nil {
		c.log.Error("the new certificate files cannot be used; going on with the old ones", "error", err)
		return c.current
	}
	c.log.Info("certificate files were read again", "cert_file", c.cert)
	c.current = next
	return next
}

// stampNow changes when the files do.
func (c *certificates) stampNow() string {
	stamp := ""
	for _, name := range []string{c.cert, c.key, c.clientCA} {
		if name == "" {
			continue
		}
		info, err := os.Stat(name)
		if err != nil {
			stamp += err.Error() + "\n"
			continue
		}
		stamp += fmt.Sprintln(info.ModTime().UnixNano(), info.Size())
	}
	return stamp
}

// load reads the files.
func (c *certificates) load() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return nil, fmt.Errorf("cert_file %s, key_file %s: %w", c.cert, c.key, err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: protocols, Certificates: []tls.Certificate{pair}}
	if c.clientCA == "" {
		return config, nil
	}
	pem, err := os.ReadFile(c.clientCA)
	if err != nil {
		return nil, fmt.Errorf("client_ca_file: %w", err)
	}
	config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
	if !config.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("client_ca_file %s holds no certificate in PEM", c.clientCA)
	}
	return config, nil
}
