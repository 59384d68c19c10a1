package peer_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"herald/raftstore/peer"
	"herald/raftstore/peer/memnet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	methodEcho   peer.Method = iota + 1 // the request, from a goroutine
	methodInline                        // the request, from the reader
	methodWho                           // who called, as "cluster/node"
	methodFail                          // the request as an error
	methodWait                          // waits for its context
	methodLeft                          // milliseconds until its context's deadline, as text
	methodNone                          // not served
)

// testConfig is a server of cluster c.
func testConfig(t testing.TB, node string) peer.Config {
	return peer.Config{
		Address: "127.0.0.1:0",
		Self:    func() peer.Identity { return peer.Identity{Cluster: "c", Node: node} },
		Log:     slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

// testLog logs to the test, which shows it if the test fails.
type testLog struct{ t testing.TB }

func (l testLog) Write(b []byte) (int, error) {
	l.t.Log(strings.TrimSuffix(string(b), "\n"))
	return len(b), nil
}

// listen opens a port that is closed when the test ends. Each of more registers handlers.
func listen(t testing.TB, cfg peer.Config, more ...func(*peer.Port)) *peer.Port {
	t.Helper()
	p, err := peer.Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	echo := func(_ context.Context, _ peer.Identity, req []byte) ([]byte, error) { return req, nil }
	p.Handle(methodEcho, echo)
	p.HandleInline(methodInline, echo)
	p.HandleInline(methodWho, func(_ context.Context, from peer.Identity, _ []byte) ([]byte, error) {
		return []byte(from.Cluster + "/" + from.Node), nil
	})
	p.Handle(methodFail, func(_ context.Context, _ peer.Identity, req []byte) ([]byte, error) {
		return nil, errors.New(string(req))
	})
	p.Handle(methodWait, func(ctx context.Context, _ peer.Identity, _ []byte) ([]byte, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	p.Handle(methodLeft, func(ctx context.Context, _ peer.Identity, _ []byte) ([]byte, error) {
		if deadline, ok := ctx.Deadline(); ok {
			return fmt.Append(nil, time.Until(deadline).Milliseconds()), nil
		}
		return []byte("for ever"), nil
	})
	for _, register := range more {
		register(p)
	}
	p.Serve()
	return p
}

// memConfig is a server of cluster c on its own host of a network in memory, at port 7400.
func memConfig(t testing.TB, n *memnet.Net, node string) peer.Config {
	cfg := testConfig(t, node)
	cfg.Address, cfg.Network = node+":7400", n.Host(node)
	return cfg
}

// memPair is the port of host a, and where it reaches that of host b.
func memPair(t testing.TB, n *memnet.Net, more ...func(*peer.Port)) (*peer.Port, peer.Target) {
	a := listen(t, memConfig(t, n, "a"))
	listen(t, memConfig(t, n, "b"), more...)
	return a, targetB
}

var targetB = peer.Target{Node: "b", Address: "b:7400"}

// counting is a network that counts.
type counting struct {
	peer.Network
	dials, open atomic.Int64
}

func (n *counting) Dial(ctx context.Context, address string) (net.Conn, error) {
	n.dials.Add(1)
	c, err := n.Network.Dial(ctx, address)
	if err != nil {
		return nil, err
	}
	n.open.Add(1)
	return &countedConn{Conn: c, net: n}, nil
}

type countedConn struct {
	net.Conn
	net  *counting
	once sync.Once
}

func (c *countedConn) Close() error {
	c.once.Do(func() { c.net.open.Add(-1) })
	return c.Conn.Close()
}

// tcpPair is a port, and where it reaches another.
func tcpPair(t testing.TB) (*peer.Port, peer.Target) {
	a, b := listen(t, testConfig(t, "a")), listen(t, testConfig(t, "b"))
	return a, peer.Target{Node: "b", Address: b.Addr().String()}
}
