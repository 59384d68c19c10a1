//go:build e2e

package dnsclients

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"herald/internal/systemtest/process"
)

func TestMain(m *testing.M) {
	os.Exit(process.Main(m, "dig", "etcdctl", "kdig", "drill", "haproxy", "nginx", "unbound", "dnsmasq", "getent", "musl-gcc", "unshare", "ip", "mount"))
}

// many is the number of instances of the service many: too many for a datagram of 512 or of 1232 bytes.
const many = 100

// filled starts a server with services of every kind that the clients are asked about.
func filled(t *testing.T, args ...string) *process.Process {
	t.Helper()
	p := process.Dev(t, args...)
	register(t, p, `{"Node": "n1", "Address": "10.0.1.1", "TaggedAddresses": {"lan_ipv6": "2001:db8::1"}, "NodeMeta": {"rfc1035-rack": "rack=7"},
		"Service": {"ID": "web-1", "Service": "web", "Port": 8081, "Tags": ["blue"], "Weights": {"Passing": 3, "Warning": 1}}}`)
	register(t, p, `{"Node": "n2", "Address": "10.0.1.2", "Service": {"ID": "web-2", "Service": "web", "Port": 8082, "Address": "10.0.2.2"}}`)
	register(t, p, `{"Node": "n3", "Address": "2001:db8::3", "Service": {"ID": "web-3", "Service": "web", "Port": 8083}}`)
	register(t, p, `{"Node": "n4", "Address": "10.0.1.4", "Service": {"Service": "alias", "Port": 8084, "Address": "n1.node.consul"}}`)
	for i, address := range manyAddresses() {
		register(t, p, fmt.Sprintf(`{"Node": "n5", "Address": "10.0.1.5", "Service": {"ID": "many-%d", "Service": "many", "Port": 80, "Address": %q}}`, i, address))
	}
	return p
}

// manyAddresses are those of the service many, sorted.
func manyAddresses() []string {
	var all []string
	for i := range many {
		all = append(all, fmt.Sprintf("10.9.0.%d", i+1))
	}
	slices.Sort(all)
	return all
}

// register puts into the catalog what document, the body of a registration, says.
func register(t *testing.T, p *process.Process, document string) {
	t.Helper()
	put(t, p, "/v1/catalog/register", document)
}

// put has a document taken at a path.
func put(t *testing.T, p *process.Process, path, document string) {
	t.Helper()
	if status, answer := process.Put(t, p.URL(path), document); status != http.StatusOK {
		t.Fatalf("%s %s: status %d: %s", path, document, status, answer)
	}
}

// place is an instance of a service that is registered by hand.
type place struct {
	id, address string
	port        int
}

// at is a place at an address, host:port.
func at(t *testing.T, id, address string) place {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return place{id, host, n}
}

// offer registers an instance of the service web, or changes its health: passing, warning or critical.
func (i place) offer(t *testing.T, p *process.Process, health string) {
	t.Helper()
	register(t, p, fmt.Sprintf(`{"Node": "host", "Address": "127.0.0.1", "Service": {"ID": %q, "Service": "web", "Address": %q, "Port": %d},
		"Check": {"CheckID": %q, "Name": "alive", "ServiceID": %[1]q, "Status": %[5]q}}`, i.id, i.address, i.port, "alive-"+i.id, health))
}

// withdraw takes an instance out of the catalog.
func (i place) withdraw(t *testing.T, p *process.Process) {
	t.Helper()
	put(t, p, "/v1/catalog/deregister", fmt.Sprintf(`{"Node": "host", "ServiceID": %q}`, i.id))
}

// backend is a web server at an address, host:port, that answers with its own name.
func backend(t *testing.T, address, name string) string {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, name) }), ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(l) // ends when it is closed
	}()
	t.Cleanup(func() {
		s.Close()
		<-done
	})
	return l.Addr().String()
}

// get asks for a page on a connection of its own.
func get(url string) (status int, body string, err error) {
	hasty := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := hasty.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, string(b), err
}
