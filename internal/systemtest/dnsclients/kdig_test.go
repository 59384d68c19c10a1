//go:build e2e

package dnsclients

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"herald/internal/systemtest/process"
)

func TestKdig(t *testing.T) {
	t.Parallel()
	p := filled(t)
	for _, way := range [][]string{nil, {"+tcp"}, {"+tcp", "+keepopen"}, {"+bufsize=1232", "+cookie"}, {"+padding"}, {"+nsid", "+dnssec"}} {
		for _, q := range questions {
			q.wantAnswer(t, mustAsk(t, "kdig", p.DNS, append([]string{"+time=2", "+retry=0", q.name, q.kind}, way...)...))
		}
	}
	const name = "wEb.SeRvIcE.cOnSuL."
	if a := mustAsk(t, "kdig", p.DNS, "+noidn", name, "A"); a.question != name || !slices.Equal(a.answers, addressesOf(name, "A", "10.0.1.1", "10.0.2.2")) {
		t.Errorf("want %s as it was asked:\n%s", name, a.printed)
	}
	if a := mustAsk(t, "kdig", p.DNS, "-x", "2001:db8::3"); len(a.answers) != 1 || !regexp.MustCompile(` PTR n3\.node\.dc1\.consul\.$`).MatchString(a.answers[0]) {
		t.Errorf("want n3:\n%s", a.printed)
	}
	if a := mustAsk(t, "kdig", p.DNS, "+bufsize=512", "many.service.consul.", "A"); !slices.Equal(a.answers, addressesOf("many.service.consul.", "A", manyAddresses()...)) {
		t.Errorf("want all, by TCP in the end:\n%s", a.printed)
	}
	a := mustAsk(t, "kdig", p.DNS, "+cookie=0123456789abcdef", "web.service.consul.", "A")
	if !regexp.MustCompile(`(?m)^;; COOKIE: 0123456789ABCDEF[0-9A-F]{32}$`).MatchString(a.printed) {
		t.Errorf("want a cookie:\n%s", a.printed)
	}
}

// TestKdigTLS asks over TLS, and would not take another's certificate.
func TestKdigTLS(t *testing.T) {
	t.Parallel()
	cert, key := selfSigned(t, "dns.example.org")
	address := process.FreeAddresses(t, 1)[0]
	filled(t, "--dns-tls-address", address, "--dns-tls-cert-file", cert, "--dns-tls-key-file", key)
	for _, q := range questions {
		a := mustAsk(t, "kdig", address, "+time=5", "+retry=0", "+tls-ca="+cert, "+tls-hostname=dns.example.org", q.name, q.kind)
		q.wantAnswer(t, a)
		if !regexp.MustCompile(`TLS session \(TLS1\.[23]\)`).MatchString(a.printed) {
			t.Errorf("not over TLS:\n%s", a.printed)
		}
	}
	if a, err := ask("kdig", address, "+time=5", "+retry=0", "+tls-ca="+cert, "+tls-hostname=other.example.org", "web.service.consul.", "A"); err == nil {
		t.Errorf("kdig took a certificate for another host, so it does not look at it:\n%s", a.printed)
	}
}

// selfSigned writes a certificate for a host, and its key.
func selfSigned(t *testing.T, host string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: signed}, key: {Type: "PRIVATE KEY", Bytes: encoded}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}
