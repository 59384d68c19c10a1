package dnsserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// certificate writes a certificate of 127.0.0.1 that vouches for itself, and its key.
func certificate(t *testing.T) (certFile, keyFile string, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots = x509.NewCertPool()
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(parsed)
	return certFile, keyFile, roots
}

// TestOverTLS: answers over TLS are those over TCP, and whole.
func TestOverTLS(t *testing.T) {
	var recs records
	recs.fleet("web", 500)
	certFile, keyFile, roots := certificate(t)
	d := openDoor(t, testHost(recs.catalog(t)), func(c *Config) {
		c.TLSAddress, c.TLSCertFile, c.TLSKeyFile = "127.0.0.1:0", certFile, keyFile
	})
	run(t, d)
	at := d.Addresses()[2]
	if at.Use != "DNS over TLS" {
		t.Fatalf("listens on %v", d.Addresses())
	}
	client := dns.Client{Net: "tcp-tls", TLSConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12, NextProtos: []string{"dot"}}}
	conn, err := client.Dial(at.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for range 3 {
		reply, _, err := client.ExchangeWithConn(question("web.service.consul", dns.TypeSRV), conn)
		if err != nil {
			t.Fatal(err)
		}
		if len(reply.Answer) != 500 || reply.Truncated {
			t.Errorf("%d records, TC %v", len(reply.Answer), reply.Truncated)
		}
	}
}

func TestTLSSettings(t *testing.T) {
	for _, test := range []struct {
		address, cert, key string
		want               string
	}{
		{"", "", "", ""},
		{":853", "a", "b", ""},
		{":853", "", "", "tls_address is set and tls_cert_file is not"},
		{"", "a", "b", "tls_cert_file is set and tls_address is not"},
		{":853", "a", "", "tls_cert_file is set and tls_key_file is not"},
		{"", "", "b", "tls_key_file is set and tls_cert_file is not"},
		{"853", "a", "b", `tls_address "853"`},
	} {
		c := DefaultConfig()
		c.TLSAddress, c.TLSCertFile, c.TLSKeyFile = test.address, test.cert, test.key
		err := c.Validate()
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: %v, want %q", test, err, test.want)
		}
	}
	d := New()
	d.config.Address, d.config.TLSAddress, d.config.TLSCertFile, d.config.TLSKeyFile = "127.0.0.1:0", "127.0.0.1:0", "/nonexistent/cert", "/nonexistent/key"
	var recs records
	if err := d.Open(t.Context(), testHost(recs.catalog(t))); err == nil || !strings.Contains(err.Error(), "/nonexistent/cert") {
		t.Errorf("files that are not there: %v", err)
	}
}
