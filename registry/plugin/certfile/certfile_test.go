package certfile_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"herald/registry/plugin/certfile"
	"herald/registry/plugin/certfile/certtest"
)

// now is the configuration that a connection gets now.
func now(t *testing.T, c *tls.Config) *tls.Config {
	t.Helper()
	current, err := c.GetConfigForClient(nil)
	if err != nil {
		t.Fatal(err)
	}
	return current
}

// serial is the number of the certificate that a connection gets now.
func serial(t *testing.T, c *tls.Config) int64 {
	t.Helper()
	leaf, err := x509.ParseCertificate(now(t, c).Certificates[0].Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return leaf.SerialNumber.Int64()
}

func write(t *testing.T, file string, b []byte) {
	t.Helper()
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestReadAgain: files that were replaced hold for the next connection; those that cannot be used change nothing, and
// are complained of once.
func TestReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := certtest.New(t)
		cert, key := a.Issue("server", 100)
		var log bytes.Buffer
		secured, err := certfile.Files{Cert: cert, Key: key}.Config(slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		want := func(when string, n int64) {
			t.Helper()
			if got := serial(t, secured); got != n {
				t.Errorf("%s: certificate %d, want %d", when, got, n)
			}
		}
		want("at first", 100)
		a.Issue("server", 101)
		want("too soon to look again", 100)
		time.Sleep(certfile.Interval)
		want("renewed", 101)

		oldKey := read(t, key)
		a.Issue("server", 1<<62) // of another length, whatever the clock of the file system does
		newKey := read(t, key)
		write(t, key, oldKey)
		time.Sleep(certfile.Interval)
		want("half of a renewal", 101)
		time.Sleep(certfile.Interval)
		want("half of a renewal, later", 101)
		if n := strings.Count(log.String(), "cannot be used"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, log.String())
		}
		write(t, key, append(newKey, '\n'))
		time.Sleep(certfile.Interval)
		want("all of it", 1<<62)
		whole := read(t, cert)
		write(t, cert, whole[:len(whole)/2])
		time.Sleep(certfile.Interval)
		want("a certificate that is being written", 1<<62)
		if err := os.Remove(cert); err != nil {
			t.Fatal(err)
		}
		time.Sleep(certfile.Interval)
		want("without the files", 1<<62)
	})
}

// TestEndIsTold: who reads the log hears in time that nobody has renewed the certificate, and that it is over; once each, for
// each certificate.
func TestEndIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := certtest.New(t)
		begin := time.Now()
		cert, key := a.IssueFor("server", 100, begin, begin.Add(100*time.Hour))
		var log bytes.Buffer
		open := func() *tls.Config {
			t.Helper()
			secured, err := certfile.Files{Cert: cert, Key: key}.Config(slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			return secured
		}
		secured := open()
		for _, step := range []struct {
			at            time.Duration
			soon, expired int // how often it was said by then
		}{
			{0, 0, 0},
			{89 * time.Hour, 0, 0},
			{91 * time.Hour, 1, 0},
			{99 * time.Hour, 1, 0},
			{101 * time.Hour, 1, 1},
			{200 * time.Hour, 1, 1},
		} {
			time.Sleep(time.Until(begin.Add(step.at)))
			now(t, secured)
			soon, expired := strings.Count(log.String(), "expires soon"), strings.Count(log.String(), "has expired")
			if soon != step.soon || expired != step.expired {
				t.Errorf("after %v: told %d times that it is soon, %d that it is over; want %d and %d:\n%s", step.at, soon, expired, step.soon, step.expired, &log)
			}
		}
		log.Reset()
		open()
		if !strings.Contains(log.String(), "has expired") {
			t.Errorf("who starts with it hears nothing:\n%s", &log)
		}

		log.Reset()
		begin = time.Now()
		a.IssueFor("server", 101, begin, begin.Add(10*time.Hour))
		time.Sleep(certfile.Interval)
		now(t, secured)
		if got := log.String(); !strings.Contains(got, "read again") || strings.Contains(got, "soon") || strings.Contains(got, "has expired") {
			t.Errorf("after the renewal:\n%s", got)
		}
		time.Sleep(11 * time.Hour)
		now(t, secured)
		if !strings.Contains(log.String(), "has expired") {
			t.Errorf("of the end of the next:\n%s", &log)
		}
	})
}

// TestClientAuthorityIsReadAgain: so is the file that says who may come.
func TestClientAuthorityIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, other := certtest.New(t), certtest.New(t)
		cert, key := a.Issue("server", 2)
		secured, err := certfile.Files{Cert: cert, Key: key, ClientCA: a.File}.Config(slog.New(slog.DiscardHandler), "h2")
		if err != nil {
			t.Fatal(err)
		}
		before := now(t, secured)
		if before.ClientAuth != tls.RequireAndVerifyClientCert || !slices.Equal(before.NextProtos, []string{"h2"}) || before.MinVersion < tls.VersionTLS12 {
			t.Errorf("%+v", before)
		}
		write(t, a.File, append(read(t, a.File), read(t, other.File)...))
		time.Sleep(certfile.Interval)
		if after := now(t, secured); after.ClientCAs.Equal(before.ClientCAs) {
			t.Error("who may come is as before")
		}
	})
}

// TestConcurrentConnections: any number may come while the files change.
func TestConcurrentConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := certtest.New(t)
		cert, key := a.Issue("server", 2)
		secured, err := certfile.Files{Cert: cert, Key: key}.Config(slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		var coming sync.WaitGroup
		for range 4 {
			coming.Go(func() {
				for range 20 {
					serial(t, secured)
					time.Sleep(certfile.Interval)
				}
			})
		}
		for n := range int64(10) {
			a.Issue("server", 100+n)
			time.Sleep(2 * certfile.Interval)
		}
		coming.Wait()
		if got := serial(t, secured); got != 109 {
			t.Errorf("certificate %d in the end", got)
		}
	})
}

func TestSettings(t *testing.T) {
	a := certtest.New(t)
	cert, key := a.Issue("server", 2)
	otherCert, _ := a.Issue("other", 3)
	none := filepath.Join(t.TempDir(), "none")
	for _, tc := range []struct {
		what           string
		files          certfile.Files
		invalid, fails string
	}{
		{what: "a certificate alone", files: certfile.Files{Cert: cert}, invalid: "tls_key_file is not"},
		{what: "a key alone", files: certfile.Files{Key: key}, invalid: "tls_cert_file is not"},
		{what: "clients' authority alone", files: certfile.Files{ClientCA: a.File}, invalid: "tls_cert_file and tls_key_file are not"},
		{what: "no such file", files: certfile.Files{Cert: none, Key: key}, fails: none},
		{what: "another's key", files: certfile.Files{Cert: otherCert, Key: key}, fails: otherCert},
		{what: "no such authority", files: certfile.Files{Cert: cert, Key: key, ClientCA: none}, fails: "client_ca_file"},
		{what: "an authority that is none", files: certfile.Files{Cert: cert, Key: key, ClientCA: key}, fails: "client_ca_file"},
		{what: "all of it", files: certfile.Files{Cert: cert, Key: key, ClientCA: a.File}},
		{what: "none of it"},
	} {
		if err := tc.files.Validate("tls_"); (err != nil) != (tc.invalid != "") || err != nil && !strings.Contains(err.Error(), tc.invalid) {
			t.Errorf("%s: Validate: %v, want %q", tc.what, err, tc.invalid)
		}
		if tc.invalid != "" {
			continue
		}
		c, err := tc.files.Config(slog.New(slog.DiscardHandler))
		if (err != nil) != (tc.fails != "") || err != nil && !strings.Contains(err.Error(), tc.fails) {
			t.Errorf("%s: %v, want %q", tc.what, err, tc.fails)
		}
		if err == nil && (c != nil) != (tc.files.Cert != "") {
			t.Errorf("%s: TLS is spoken: %v", tc.what, c != nil)
		}
	}
}
