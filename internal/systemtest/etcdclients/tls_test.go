//go:build e2e

package etcdclients

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// authority signs certificates, and keeps all in files of one directory.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	ca   string // file with its own certificate
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.ca, _ = a.issue(name, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// issue signs a certificate, the authority's own if it has none yet.
func (a *authority) issue(name string, c *x509.Certificate) (certFile, keyFile string) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber, c.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: name}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if a.cert == nil {
		a.cert, a.key = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	return a.keep(name+".pem", "CERTIFICATE", der), a.keep(name+"-key.pem", "PRIVATE KEY", private)
}

func (a *authority) keep(name, kind string, der []byte) string {
	a.t.Helper()
	file := filepath.Join(a.dir, name)
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return file
}

func (a *authority) server() (certFile, keyFile string) {
	return a.issue("server", &x509.Certificate{
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}) // etcd's gateway is a client of etcd with it
}

func (a *authority) client() (certFile, keyFile string) {
	return a.issue("client", &x509.Certificate{KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
}

// TestTLS asks a server that speaks TLS and wants its clients' certificates, over gRPC and HTTP/1.1 on one
// port; those who lack what it takes, or whom it is to convince and cannot, get nowhere.
func TestTLS(t *testing.T) {
	t.Parallel()
	ours, others := newAuthority(t, "ours"), newAuthority(t, "others")
	serverCert, serverKey := ours.server()
	p := oneWithTLS(t, serverCert, serverKey, ours.ca)
	cert, key := ours.client()
	foreignCert, foreignKey := others.client()
	at := "https://" + p.Etcd

	// etcdctl, over HTTP/2.
	run := func(want string, args ...string) {
		t.Helper()
		args = append([]string{"--command-timeout", "3s", "--dial-timeout", "3s"}, args...)
		out, err := etcdctl(soon(t), at, args...).CombinedOutput()
		if refused := want == ""; refused != (err != nil) || !refused && string(out) != want {
			t.Errorf("etcdctl %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	run("OK\n", "--cacert", ours.ca, "--cert", cert, "--key", key, "put", "k", "v")
	run("k\nv\n", "--cacert", ours.ca, "--cert", cert, "--key", key, "get", "k")
	run("", "--cacert", ours.ca, "put", "k", "without a certificate")
	run("", "--cacert", ours.ca, "--cert", foreignCert, "--key", foreignKey, "put", "k", "with another's")
	run("", "--cacert", others.ca, "--cert", cert, "--key", key, "put", "k", "to one whom it does not trust")
	run("", "put", "k", "trusting nobody")
	plain := etcdctl(soon(t), "http://"+p.Etcd, "--command-timeout", "3s", "--dial-timeout", "3s", "put", "k", "in clear")
	if out, err := plain.CombinedOutput(); err == nil {
		t.Errorf("etcdctl without TLS: %s", out)
	}

	// curl, over HTTP/1.1, also when it could speak HTTP/2.
	body := `{"key":"` + b64("k") + `"}`
	for _, version := range []string{"--http1.1", "--http2"} {
		got := curl(t, version, "--cacert", ours.ca, "--cert", cert, "--key", key, "-d", body, at+"/v3/kv/range")
		if got := compact(t, got); got != `{"@":"2","count":"1","kvs":[{"create_revision":"2","key":"aw==","mod_revision":"2","value":"dg==","version":"1"}]}` {
			t.Errorf("curl %s: %s", version, got)
		}
	}
	for what, args := range map[string][]string{
		"without a certificate":         {"--cacert", ours.ca},
		"with another's":                {"--cacert", ours.ca, "--cert", foreignCert, "--key", foreignKey},
		"to one whom it does not trust": {"--cacert", others.ca, "--cert", cert, "--key", key},
	} {
		args = append(args, "-sS", "--max-time", "20", "-d", body, at+"/v3/kv/range")
		if out, err := exec.CommandContext(soon(t), "curl", args...).CombinedOutput(); err == nil {
			t.Errorf("curl %s is answered: %s", what, out)
		}
	}
	if out, err := exec.CommandContext(soon(t), "curl", "-sSf", "--max-time", "20", "http://"+p.Etcd+"/version").CombinedOutput(); err == nil {
		t.Errorf("curl without TLS is answered: %s", out)
	}

	// clientv3: a put, and a watch that sees all that was put.
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	ca, err := os.ReadFile(ours.ca)
	if err != nil || !pool.AppendCertsFromPEM(ca) {
		t.Fatal(err)
	}
	c := connectWith(t, clientv3.Config{Endpoints: []string{at}, TLS: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}}})
	watch := c.Watch(t.Context(), "k", clientv3.WithRev(2))
	put(t, c, "k", "w")
	if got := strings.Join(seen(t, watch, 2), "; "); got != "PUT k=v(2,2,1); PUT k=w(2,3,2)" {
		t.Errorf("the watch saw %s", got)
	}
}
