package peer_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"herald/raftstore/peer"
	"herald/raftstore/peer/memnet"
)

const streamEcho peer.Method = 7

// echoStream sends back all it reads, once it has read all, and then who sent it.
func echoStream(p *peer.Port) {
	p.HandleStream(streamEcho, func(_ context.Context, from peer.Identity, c net.Conn) {
		if b, err := io.ReadAll(c); err == nil {
			c.Write(append(b, " from "+from.Node...))
		}
	})
}

func testStream(t *testing.T, a *peer.Port, to peer.Target) {
	t.Helper()
	c, err := a.Stream(t.Context(), to, streamEcho)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "hello"); err != nil {
		t.Fatal(err)
	}
	if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(c); err != nil || string(b) != "hello from a" {
		t.Errorf("read %q, %v", b, err)
	}
}

func TestStream(t *testing.T) {
	t.Run("tcp", func(t *testing.T) {
		a, b := listen(t, testConfig(t, "a")), listen(t, testConfig(t, "b"), echoStream)
		testStream(t, a, peer.Target{Node: "b", Address: b.Addr().String()})
	})
	t.Run("memory", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, to := memPair(t, memnet.New(), echoStream)
			testStream(t, a, to)
			_, err := a.Stream(t.Context(), to, streamEcho+1)
			if !errors.Is(err, peer.ErrNotSent) || err.Error() == peer.ErrNotSent.Error() {
				t.Errorf("a stream that is not served: %v", err)
			}
		})
	})
}

// TestStreamOutlivesItsContext checks that the context of Stream, and its time, are for the
// opening alone.
func TestStreamOutlivesItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, to := memPair(t, memnet.New(), echoStream)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		c, err := a.Stream(ctx, to, streamEcho)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		time.Sleep(time.Hour)
		if _, err := io.WriteString(c, "late"); err != nil {
			t.Error(err)
		}
	})
}

// TestCloseBreaksStreams closes a port while streams are open on it, either way.
func TestCloseBreaksStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		hold := func(p *peer.Port) {
			p.HandleStream(1, func(ctx context.Context, _ peer.Identity, c net.Conn) {
				_, err := c.Read(make([]byte, 1))
				<-ctx.Done()
				ended <- err
			})
		}
		n := memnet.New()
		a := listen(t, memConfig(t, n, "a"), hold)
		b := listen(t, memConfig(t, n, "b"), hold)
		there, err := a.Stream(t.Context(), targetB, 1)
		if err != nil {
			t.Fatal(err)
		}
		defer there.Close()
		back, err := b.Stream(t.Context(), peer.Target{Address: "a:7400"}, 1)
		if err != nil {
			t.Fatal(err)
		}
		defer back.Close()
		b.Close()
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("the handler read %v", err)
		}
		if _, err := back.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("who opened it read %v", err)
		}
	})
}

func TestRaftStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		a := listen(t, memConfig(t, n, "a"))
		cfg := memConfig(t, n, "c")
		cfg.Advertise = "c.example:7400"
		c := listen(t, cfg)
		if s := c.Raft().Addr().String(); s != "c.example:7400" {
			t.Errorf("address %s", s)
		}
		to := peer.Target{Node: "c", Address: "c:7400"}
		conn, err := a.Raft().Dial(to, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		accepted, err := c.Raft().Accept()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, "append"); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 6)
		if _, err := io.ReadFull(accepted, b); err != nil || string(b) != "append" {
			t.Errorf("read %q, %v", b, err)
		}

		// One more that nobody accepts, and then raft ends, and the rest goes on.
		waiting, err := a.Raft().Dial(to, time.Second)
		if err != nil {
			t.Fatal(err)
		}
		defer waiting.Close()
		synctest.Wait()
		c.Raft().Close()
		c.Raft().Close()
		for _, conn := range []net.Conn{conn, waiting} {
			if _, err := conn.Read(b); err == nil {
				t.Error("a connection outlives raft")
			}
		}
		if _, err := c.Raft().Accept(); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		if late, err := a.Raft().Dial(to, time.Second); err == nil {
			if _, err := late.Read(b); err == nil {
				t.Error("raft is spoken to after its end")
			}
			late.Close()
		}
		if _, err := a.Call(t.Context(), to, methodEcho, nil); err != nil {
			t.Error(err)
		}
	})
}

func TestRaftAcceptEndsWithThePort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := listen(t, memConfig(t, memnet.New(), "d"))
		done := make(chan error)
		go func() {
			_, err := p.Raft().Accept()
			done <- err
		}()
		synctest.Wait()
		p.Close()
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}
