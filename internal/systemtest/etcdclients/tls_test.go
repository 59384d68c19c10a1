//go:build e2e

package etcdclients

import (
	"crypto/tls"
	"os/exec"
	"strings"
	"testing"

	"herald/registry/plugin/certfile/certtest"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// TestTLS asks a server that speaks TLS and wants its clients' certificates, over gRPC and HTTP/1.1 on one
// port; those who lack what it takes, or whom it is to convince and cannot, get nowhere.
func TestTLS(t *testing.T) {
	t.Parallel()
	ours, others := certtest.New(t), certtest.New(t)
	serverCert, serverKey := ours.Issue("server", 2)
	p := oneWithTLS(t, serverCert, serverKey, ours.File)
	cert, key := ours.Issue("client", 3)
	foreignCert, foreignKey := others.Issue("client", 3)
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
	run("OK\n", "--cacert", ours.File, "--cert", cert, "--key", key, "put", "k", "v")
	run("k\nv\n", "--cacert", ours.File, "--cert", cert, "--key", key, "get", "k")
	run("", "--cacert", ours.File, "put", "k", "without a certificate")
	run("", "--cacert", ours.File, "--cert", foreignCert, "--key", foreignKey, "put", "k", "with another's")
	run("", "--cacert", others.File, "--cert", cert, "--key", key, "put", "k", "to one whom it does not trust")
	run("", "put", "k", "trusting nobody")
	plain := etcdctl(soon(t), "http://"+p.Etcd, "--command-timeout", "3s", "--dial-timeout", "3s", "put", "k", "in clear")
	if out, err := plain.CombinedOutput(); err == nil {
		t.Errorf("etcdctl without TLS: %s", out)
	}

	// curl, over HTTP/1.1, also when it could speak HTTP/2.
	body := `{"key":"` + b64("k") + `"}`
	for _, version := range []string{"--http1.1", "--http2"} {
		got := curl(t, version, "--cacert", ours.File, "--cert", cert, "--key", key, "-d", body, at+"/v3/kv/range")
		if got := compact(t, got); got != `{"@":"2","count":"1","kvs":[{"create_revision":"2","key":"aw==","mod_revision":"2","value":"dg==","version":"1"}]}` {
			t.Errorf("curl %s: %s", version, got)
		}
	}
	for what, args := range map[string][]string{
		"without a certificate":         {"--cacert", ours.File},
		"with another's":                {"--cacert", ours.File, "--cert", foreignCert, "--key", foreignKey},
		"to one whom it does not trust": {"--cacert", others.File, "--cert", cert, "--key", key},
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
	shown := ours.Trusting()
	shown.Certificates = []tls.Certificate{pair}
	c := connectWith(t, clientv3.Config{Endpoints: []string{at}, TLS: shown})
	watch := c.Watch(t.Context(), "k", clientv3.WithRev(2))
	put(t, c, "k", "w")
	if got := strings.Join(seen(t, watch, 2), "; "); got != "PUT k=v(2,2,1); PUT k=w(2,3,2)" {
		t.Errorf("the watch saw %s", got)
	}
}
