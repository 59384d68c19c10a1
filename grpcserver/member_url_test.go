package grpcserver

import (
	"net"
	"slices"
	"testing"
)

func TestClientURLs(t *testing.T) {
	for _, c := range []struct {
		address, bound, peer string
		tls                  bool
		advertise            []string
		want                 string
	}{
		{"127.0.0.1:2379", "127.0.0.1:2379", "10.0.0.1:7400", false, nil, "http://127.0.0.1:2379"},
		{"127.0.0.1:0", "127.0.0.1:40001", "10.0.0.1:7400", false, nil, "http://127.0.0.1:40001"},
		{"10.1.1.1:2379", "10.1.1.1:2379", "10.0.0.1:7400", true, nil, "https://10.1.1.1:2379"},
		{"localhost:2379", "127.0.0.1:2379", "10.0.0.1:7400", true, nil, "https://localhost:2379"},
		{":2379", "[::]:2379", "10.0.0.1:7400", false, nil, "http://10.0.0.1:2379"},
		{"0.0.0.0:2379", "0.0.0.0:2379", "n1.example:7400", true, nil, "https://n1.example:2379"},
		{"[::]:2379", "[::]:2379", "[2001:db8::1]:7400", false, nil, "http://[2001:db8::1]:2379"},
		{"[::]:2379", "[::]:2379", "[fe80::1%eth0]:7400", false, nil, "http://[fe80::1%25eth0]:2379"},
		{":2379", "[::]:2379", "0.0.0.0:7400", false, nil, "http://127.0.0.1:2379"},
		{":2379", "[::]:2379", "", false, nil, "http://127.0.0.1:2379"},
		{":2379", "[::]:2379", "10.0.0.1:7400", true, []string{"http://etcd.example:80"}, "http://etcd.example:80"},
	} {
		config := &Config{Address: c.address, Advertise: c.advertise}
		if c.tls {
			config.CertFile = "cert.pem"
		}
		bound, err := net.ResolveTCPAddr("tcp", c.bound)
		if err != nil {
			t.Fatal(err)
		}
		got := clientURLs(config, bound, c.peer)
		if !slices.Equal(got, []string{c.want}) {
			t.Errorf("%+v: %q", c, got)
		}
		for _, u := range got {
			if err := validURL(u); err != nil {
				t.Errorf("%s, which clients are told, is refused as a setting: %v", u, err)
			}
		}
	}
}

// A peer URL that is accepted is an address, and the address's URL is accepted too.
func FuzzPeerURL(f *testing.F) {
	for _, u := range []string{"http://10.0.0.1:7400", "https://n1:1", "http://[::1]:2380", "http://[fe80::1%25eth0]:1", "http://a b:1", "http://%41:1", "http://n1:1/", "unix://n1:1", "http://u@n1:1", "http://n1:99999", "http://[::%25\x87]:0"} {
		f.Add(u)
	}
	f.Fuzz(func(t *testing.T, u string) {
		if checkPeerURLs([]string{u}) != nil {
			return
		}
		address := peerAddress(u)
		if host, port, err := net.SplitHostPort(address); err != nil || host == "" || port == "" {
			t.Fatalf("%q is at %q: %v", u, address, err)
		}
		if err := checkPeerURLs([]string{peerURL(address)}); err != nil {
			t.Fatalf("%q is at %q, whose URL is refused", u, address)
		}
	})
}
