package workload

import (
	"context"
	"net"
	"net/http"

	"herald/internal/systemtest/chaos/etcdclient"
	"herald/registry"
)

// Endpoint is how one server is reached.
type Endpoint struct {
	// Name is the server's name in the history.
	Name string
	// HTTP is the base URL of its HTTP door, DNS the address of its DNS door. Where one is
	// "" the workloads that need it leave the server out.
	HTTP string
	DNS  string
	// Store is the server's store.
	Store registry.Store
	// Etcd is the server's etcd door; nil leaves it out where it would be one of several doors.
	Etcd *etcdclient.Store
	// Dial makes the connections of HTTP and DNS; nil is the net package's own.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// The following may be nil.

	// Life tells one start of the server's process from the next, from 1.
	Life func() int64
	// Status is how the cluster looks from this server.
	Status func(ctx context.Context) (registry.Status, error)
	// StateHash is the server's state as a number, and the last index that it contains,
	// taken together.
	StateHash func(ctx context.Context) (applied, hash uint64, err error)
}

// server is an Endpoint as a client uses it.
type server struct {
	Endpoint
	http *http.Client
	dial func(ctx context.Context, network, address string) (net.Conn, error)
}

func newServer(e Endpoint) *server {
	dial := e.Dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	dial = notSent(dial)
	return &server{
		Endpoint: e,
		dial:     dial,
		http: &http.Client{Transport: &http.Transport{
			DialContext: dial, MaxIdleConnsPerHost: 64, DisableCompression: true,
		}},
	}
}

// life is which start of the process this is, 0 if that is not known.
func (s *server) life() int64 {
	if s.Life == nil {
		return 0
	}
	return s.Life()
}

func (s *server) close() { s.http.CloseIdleConnections() }
