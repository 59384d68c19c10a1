package dnsserver

import (
	"strings"
	"testing"

	"herald/registry/plugin/certfile/certtest"

	"github.com/miekg/dns"
)

// TestOverTLS: answers over TLS are those over TCP, and whole.
func TestOverTLS(t *testing.T) {
	var recs records
	recs.fleet("web", 500)
	a := certtest.New(t)
	certFile, keyFile := a.Issue("localhost", 2)
	d := openDoor(t, testHost(recs.catalog(t)), func(c *Config) {
		c.TLSAddress, c.TLSCertFile, c.TLSKeyFile = "127.0.0.1:0", certFile, keyFile
	})
	run(t, d)
	at := d.Addresses()[2]
	if at.Use != "DNS over TLS" {
		t.Fatalf("listens on %v", d.Addresses())
	}
	trusting := a.Trusting()
	trusting.NextProtos = []string{"dot"}
	client := dns.Client{Net: "tcp-tls", TLSConfig: trusting}
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
