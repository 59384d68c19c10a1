package grpcserver

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"herald/registry/plugin"
	"herald/registry/plugin/certfile/certtest"
)

func openTLS(t *testing.T, a *certtest.Authority, clientCA string) *harness {
	cert, key := a.Issue("server", 2)
	return open(t, func(c *Config, _ *plugin.Host) { c.CertFile, c.KeyFile, c.ClientCAFile = cert, key, clientCA })
}

// with has a client show a certificate.
func with(t *testing.T, config *tls.Config, certFile, keyFile string) *tls.Config {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	config.Certificates = []tls.Certificate{pair}
	return config
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
	a, other := certtest.New(t), certtest.New(t)
	t.Run("without clients' certificates", func(t *testing.T) {
		h := openTLS(t, a, "")
		if err := useTLS(t, h, a.Trusting()); err != nil {
			t.Error(err)
		}
		if err := useTLS(t, h, other.Trusting()); err == nil {
			t.Error("a client accepted a certificate of an authority that it does not know")
		}
		old := a.Trusting()
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
		h := openTLS(t, a, a.File)
		cert, key := a.Issue("client", 3)
		if err := useTLS(t, h, with(t, a.Trusting(), cert, key)); err != nil {
			t.Error(err)
		}
		if err := useTLS(t, h, a.Trusting()); err == nil {
			t.Error("a client without a certificate was served")
		}
		otherCert, otherKey := other.Issue("client", 3)
		if err := useTLS(t, h, with(t, a.Trusting(), otherCert, otherKey)); err == nil {
			t.Error("a client with a certificate of another authority was served")
		}
	})
}

// TestTLSSettings: what certfile says of the settings is said of the door's, and an address says how it is spoken to.
func TestTLSSettings(t *testing.T) {
	a := certtest.New(t)
	cert, key := a.Issue("server", 2)
	c := DefaultConfig()
	if c.CertFile = cert; c.Validate() == nil {
		t.Error("a certificate without a key is valid")
	}
	c.KeyFile, c.ClientCAFile = key, a.File
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	if secured, err := c.secured(slog.New(slog.DiscardHandler)); err != nil || secured == nil || c.scheme() != "https" {
		t.Errorf("%v, %v, %s", secured, err, c.scheme())
	}
	c = DefaultConfig()
	if secured, err := c.secured(slog.New(slog.DiscardHandler)); err != nil || secured != nil || c.scheme() != "http" {
		t.Errorf("%v, %v, %s", secured, err, c.scheme())
	}
}
