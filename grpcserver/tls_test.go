package grpcserver

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"herald/registry/plugin/certfile"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"herald/registry/plugin"
)

// authority signs certificates.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // its own certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.file, _ = a.issue("ca", 1)
	return a
}

// issue writes a certificate and its key, and returns the files' names. The first is the
// authority's own.
func (a *authority) issue(name string, serial int64) (certFile, keyFile string) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: name},
		NotAfter:     time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	if a.cert == nil {
		if a.cert, err = x509.ParseCertificate(der); err != nil {
			a.t.Fatal(err)
		}
		a.key = key
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(a.dir, name+".pem"), filepath.Join(a.dir, name+".key")
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	return certFile, keyFile
}

// client is how a client speaks TLS that trusts the authority, and has a certificate if it is
// given one.
func (a *authority) client(certFile, keyFile string) *tls.Config {
	a.t.Helper()
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	config.RootCAs.AddCert(a.cert)
	if certFile != "" {
		pair, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			a.t.Fatal(err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config
}

func openTLS(t *testing.T, a *authority, clientCA string) *harness {
	cert, key := a.issue("server", 2)
	return open(t, func(c *Config, _ *plugin.Host) { c.CertFile, c.KeyFile, c.ClientCAFile = cert, key, clientCA })
}

// useTLS makes a put in each way that clients come, and returns the first error.
func useTLS(t *testing.T, h *harness, config *tls.Config) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()

	// Like curl and browsers: both protocols would do.
	transport := &http.Transport{TLSClientConfig: config.Clone(), ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, "POST", "https://"+h.address+"/v3/kv/put", strings.NewReader(`{"key":"YQ=="}`))
	if err != nil {
		t.Fatal(err)
	}
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return err
	}
	res.Body.Close()
	if res.StatusCode != 200 || res.ProtoMajor != 1 {
		t.Errorf("over HTTPS: %s, %s", res.Status, res.Proto)
	}

	conn, err := grpc.NewClient(h.address, grpc.WithTransportCredentials(credentials.NewTLS(config.Clone())))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := pb.NewKVClient(conn).Put(ctx, &pb.PutRequest{Key: []byte("b")}); err != nil {
		return err
	}

	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"https://" + h.address}, TLS: config.Clone(), Context: ctx})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	_, err = client.Put(ctx, "c", "")
	return err
}

func TestTLS(t *testing.T) {
	a, other := newAuthority(t), newAuthority(t)
	t.Run("without clients' certificates", func(t *testing.T) {
		h := openTLS(t, a, "")
		if err := useTLS(t, h, a.client("", "")); err != nil {
			t.Error(err)
		}
		if err := useTLS(t, h, other.client("", "")); err == nil {
			t.Error("a client accepted a certificate of an authority that it does not know")
		}
		old := a.client("", "")
		old.MinVersion, old.MaxVersion = tls.VersionTLS11, tls.VersionTLS11
		if c, err := tls.Dial("tcp", h.address, old); err == nil {
			c.Close()
			t.Error("TLS 1.1 was spoken")
		}
		c := h.dial()
		io.WriteString(c, "GET /version HTTP/1.1\r\nHost: h\r\n\r\n")
		if b, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(b), "HTTP/1.0 400 ") {
			t.Errorf("plain HTTP was answered with %q, %v", b, err)
		}
		silent := h.dial()
		io.WriteString(silent, "\x16\x03\x01") // a handshake that does not go on must not keep the door open
		if err := h.stop(); err != nil {
			t.Error(err)
		}
	})
	t.Run("with clients' certificates", func(t *testing.T) {
		h := openTLS(t, a, a.file)
		cert, key := a.issue("client", 3)
		if err := useTLS(t, h, a.client(cert, key)); err != nil {
			t.Error(err)
		}
		if err := useTLS(t, h, a.client("", "")); err == nil {
			t.Error("a client without a certificate was served")
		}
		if err := useTLS(t, h, a.client(other.issue("client", 3))); err == nil {
			t.Error("a client with a certificate of another authority was served")
		}
	})
}

func TestCertificatesAreReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		cert, key := a.issue("server", 100)
		var log bytes.Buffer
		config := Config{CertFile: cert, KeyFile: key}
		secured, err := config.secured(slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		serial := func() int64 {
			t.Helper()
			current, err := secured.GetConfigForClient(nil)
			if err != nil {
				t.Fatal(err)
			}
			leaf, err := x509.ParseCertificate(current.Certificates[0].Certificate[0])
			if err != nil {
				t.Fatal(err)
			}
			return leaf.SerialNumber.Int64()
		}
		want := func(when string, n int64) {
			t.Helper()
			if got := serial(); got != n {
				t.Errorf("%s: certificate %d, want %d", when, got, n)
			}
		}
		want("at first", 100)
		a.issue("server", 101)
		want("too soon to look again", 100)
		time.Sleep(certfile.Interval)
		want("renewed", 101)

		oldKey, err := os.ReadFile(key)
		if err != nil {
			t.Fatal(err)
		}
		a.issue("server", 1<<62) // of another length, whatever the clock of the file system does
		newKey, err := os.ReadFile(key)
		if err != nil {
			t.Fatal(err)
		}
		write := func(b []byte) {
			if err := os.WriteFile(key, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		write(oldKey)
		time.Sleep(certfile.Interval)
		want("half of a renewal", 101)
		time.Sleep(certfile.Interval)
		want("half of a renewal, later", 101)
		if n := strings.Count(log.String(), "cannot be used"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, log.String())
		}
		write(append(newKey, '\n'))
		time.Sleep(certfile.Interval)
		want("all of it", 1<<62)
		if err := os.Remove(cert); err != nil {
			t.Fatal(err)
		}
		time.Sleep(certfile.Interval)
		want("without the files", 1<<62)
	})
}

func TestTLSSettings(t *testing.T) {
	a := newAuthority(t)
	cert, key := a.issue("server", 2)
	otherCert, _ := a.issue("other", 3)
	none := filepath.Join(a.dir, "none")
	for _, tc := range []struct {
		what           string
		cert, key, ca  string
		invalid, fails string
	}{
		{what: "a certificate alone", cert: cert, invalid: "key_file"},
		{what: "a key alone", key: key, invalid: "cert_file"},
		{what: "clients' authority alone", ca: a.file, invalid: "cert_file and key_file"},
		{what: "no such file", cert: none, key: key, fails: none},
		{what: "another's key", cert: otherCert, key: key, fails: otherCert},
		{what: "no such authority", cert: cert, key: key, ca: none, fails: "client_ca_file"},
		{what: "an authority that is none", cert: cert, key: key, ca: key, fails: "client_ca_file"},
		{what: "all of it", cert: cert, key: key, ca: a.file},
		{what: "none of it"},
	} {
		c := DefaultConfig()
		c.CertFile, c.KeyFile, c.ClientCAFile = tc.cert, tc.key, tc.ca
		if err := c.Validate(); (err != nil) != (tc.invalid != "") || err != nil && !strings.Contains(err.Error(), tc.invalid) {
			t.Errorf("%s: Validate: %v, want %q", tc.what, err, tc.invalid)
		}
		if tc.invalid != "" {
			continue
		}
		if _, err := c.secured(slog.New(slog.DiscardHandler)); (err != nil) != (tc.fails != "") || err != nil && !strings.Contains(err.Error(), tc.fails) {
			t.Errorf("%s: %v, want %q", tc.what, err, tc.fails)
		}
		if want := map[bool]string{true: "https", false: "http"}[tc.cert != ""]; c.scheme() != want {
			t.Errorf("%s: scheme %s", tc.what, c.scheme())
		}
	}
}
