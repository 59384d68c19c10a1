package raftstore

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func testPort(t *testing.T) *peerPort {
	t.Helper()
	cfg := testConfig(t)
	p, err := listenPeers(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func TestPeerPortRoutesByFirstByte(t *testing.T) {
	p := testPort(t)
	out, err := p.Dial(raft.ServerAddress(p.Addr().String()), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	in, err := p.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if _, err := out.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 5)
	if _, err := io.ReadFull(in, b); err != nil || string(b) != "hello" {
		t.Errorf("raft's connection reads %q, %v", b, err)
	}

	for name, first := range map[string][]byte{"internal RPC": {protoRPC}, "another program": []byte("GET / HTTP/1.1\r\n\r\n")} {
		c, err := net.Dial("tcp", p.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(first); err != nil {
			t.Fatal(err)
		}
		if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(b); n != 0 || err == nil || strings.Contains(err.Error(), "timeout") {
			t.Errorf("%s is not refused: read %d bytes, %v", name, n, err)
		}
		c.Close()
	}
	if err := refuseProto(protoRPC); !strings.Contains(err.Error(), "internal RPC") {
		t.Errorf("internal RPC is refused as %q, not by name", err)
	}
}

// Close ends those that were accepted, and those that have said nothing yet.
func TestPeerPortCloseEndsConnections(t *testing.T) {
	p := testPort(t)
	silent, err := net.Dial("tcp", p.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	out, err := p.Dial(raft.ServerAddress(p.Addr().String()), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if _, err := p.Accept(); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > helloTimeout/2 {
		t.Errorf("Close waited %v for a connection that says nothing", took)
	}
	for _, c := range []net.Conn{silent, out} {
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := c.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
			t.Errorf("a connection is still open: %v", err)
		}
	}
	if _, err := p.Accept(); err == nil {
		t.Error("Accept after Close")
	}
}

// Two stores over real sockets: a second server that is added is replicated to.
func TestServersOverTCP(t *testing.T) {
	a := openReady(t, testConfig(t))
	mustPut(t, a, "k", "v")
	cfg := testConfig(t)
	cfg.Bootstrap = false
	b, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	// While it has no vote the leader needs nobody's leave.
	if err := a.raft.AddNonvoter(raft.ServerID(b.Status().ID), raft.ServerAddress(b.PeerAddress()), 0, 0).Error(); err != nil {
		t.Fatal(err)
	}
	if _, ok := a.leadsAlone(); !ok {
		t.Error("a leader with a non-voter beside it does not lead alone")
	}
	waitSame(t, a, b)
	if err := a.raft.AddVoter(raft.ServerID(b.Status().ID), raft.ServerAddress(b.PeerAddress()), 0, 0).Error(); err != nil {
		t.Fatal(err)
	}
	if _, ok := a.leadsAlone(); ok {
		t.Error("a leader with another voter leads alone")
	}
	mustPut(t, a, "k", "w")
	wantValue(t, a, "k", "w") // read index, confirmed by the other
	waitSame(t, a, b)
	l, err := a.GrantLease(t.Context(), 0, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.KeepAlive(t.Context(), l.ID); err != nil {
		t.Error(err)
	}
}

// waitSame waits until b has what a has.
func waitSame(t *testing.T, a, b *Store) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	want := a.machine.View()
	if err := b.machine.waitApplied(ctx, want.Applied()); err != nil {
		t.Fatal(err)
	}
	if got := b.machine.View(); got.Applied() == want.Applied() && got.Hash() != want.Hash() {
		t.Fatal("the servers differ")
	}
}
