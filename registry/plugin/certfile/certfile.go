// Package certfile speaks TLS with certificates from files, which may be replaced while
// they are used: a change holds for the connections that come after it.
//
// It owns how such files are named in a door's settings, checked, read and read again. It refuses to know
// what is spoken over TLS. It has no goroutines.
package certfile

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

// Interval is how often the files are looked at, at most.
const Interval = time.Second

// Files are the files that TLS is spoken with, all of them PEM. Where Cert is "", none is.
type Files struct {
	// Cert is the certificate, with the intermediate ones, and Key its private key.
	Cert, Key string
	// ClientCA are the certificates that sign clients'. With it, every client must show one.
	ClientCA string
}

// Validate says what is missing, by the names that settings have for files: cert_file, key_file and
// client_ca_file, with a prefix.
func (f Files) Validate(prefix string) error {
	switch {
	case f.Cert == "" && f.Key != "":
		return fmt.Errorf("%[1]skey_file is set and %[1]scert_file is not; TLS needs both", prefix)
	case f.Cert != "" && f.Key == "":
		return fmt.Errorf("%[1]scert_file is set and %[1]skey_file is not; TLS needs both", prefix)
	case f.ClientCA != "" && f.Cert == "":
		return errors.New(prefix + "client_ca_file is set and " + prefix + "cert_file and " + prefix + "key_file are not; clients show certificates over TLS alone")
	}
	return nil
}

// Config is how TLS (1.2 at least) is spoken, with protocols to choose from, if any, the best liked first (ALPN); nil where
// Cert is "". It fails if the files cannot be used. Once they could, files that cannot leave everything as it was, which log
// is told. It is told once, too, that a certificate is in the last tenth of its time, and that it has expired: at first, or with the
// next connection. What is returned may be used by any number of goroutines.
func (f Files) Config(log *slog.Logger, protocols ...string) (*tls.Config, error) {
	if f.Cert == "" {
		return nil, nil
	}
	files := &certificates{cert: f.Cert, key: f.Key, clientCA: f.ClientCA, protocols: protocols, log: log}
	files.stamp, files.looked = files.stampNow(), time.Now() // before the files are read: a change meanwhile is seen
	var err error
	if files.current, err = files.load(); err != nil {
		return nil, err
	}
	files.tellOfEnd(files.looked)
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return files.config(), nil },
	}, nil
}

// certificates are files that may be replaced while they are used.
type certificates struct {
	cert, key, clientCA string
	protocols           []string
	log                 *slog.Logger

	mu      sync.Mutex
	current *tls.Config
	stamp   string // of the files that were read last
	looked  time.Time
	told    slog.Level // what the log was told of the end of the current one at; 0 is not at all
}

// config is how TLS is spoken with the files as they are. Files that cannot be used
// leave it as it was: half of a renewal may be there.
func (c *certificates) config() *tls.Config {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) < Interval {
		return c.current
	}
	c.looked = time.Now()
	if stamp := c.stampNow(); stamp != c.stamp {
		c.stamp = stamp
		c.replace()
	}
	c.tellOfEnd(c.looked)
	return c.current
}

// replace reads the files again.
func (c *certificates) replace() {
	next, err := c.load()
	if err != nil {
		c.log.Error("the new certificate files cannot be used; going on with the old ones", "error", err)
		return
	}
	c.log.Info("certificate files were read again", "cert_file", c.cert, "expires", leaf(next).NotAfter)
	c.current, c.told = next, 0
}

// tellOfEnd says that the certificate has expired, or soon will unless someone renews it: each once.
func (c *certificates) tellOfEnd(now time.Time) {
	cert := leaf(c.current)
	left := cert.NotAfter.Sub(now)
	switch {
	case left < 0 && c.told < slog.LevelError:
		c.told = slog.LevelError
		c.log.Error("the certificate has expired, and clients refuse it; a new one is read once it is there", "cert_file", c.cert, "expired", cert.NotAfter)
	case left < cert.NotAfter.Sub(cert.NotBefore)/10 && c.told < slog.LevelWarn:
		c.told = slog.LevelWarn
		c.log.Warn("the certificate expires soon; a new one is read once it is there", "cert_file", c.cert, "expires", cert.NotAfter)
	}
}

func leaf(c *tls.Config) *x509.Certificate { return c.Certificates[0].Leaf }

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
	if pair.Leaf == nil { // it is there unless GODEBUG says otherwise
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return nil, fmt.Errorf("cert_file %s: %w", c.cert, err)
		}
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: c.protocols, Certificates: []tls.Certificate{pair}}
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
