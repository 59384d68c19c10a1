package peer_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"herald/raftstore/peer"
	"herald/raftstore/peer/memnet"
	"herald/registry"
)

// TestWhoMaySpeak lets servers of all kinds meet, over each protocol.
func TestWhoMaySpeak(t *testing.T) {
	type id = peer.Identity
	cases := []struct {
		name        string
		a, b        id
		want        string // the node a means to reach
		calls, raft bool
		met         bool // a is told that it met b
	}{
		{"same cluster", id{"c", "a"}, id{"c", "b"}, "b", true, true, true},
		{"whoever", id{"c", "a"}, id{"c", "b"}, "", true, true, true},
		{"another server", id{"c", "a"}, id{"c", "b"}, "x", false, false, true},
		{"another cluster", id{"c", "a"}, id{"d", "b"}, "b", false, false, false},
		{"dialler without cluster", id{"", "a"}, id{"c", "b"}, "b", true, false, true},
		{"server without cluster", id{"c", "a"}, id{"", "b"}, "b", true, false, true},
		{"none has a cluster", id{"", "a"}, id{"", "b"}, "b", true, false, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := memnet.New()
				met := map[string]id{}
				cfg := memConfig(t, n, "a")
				cfg.Self = func() id { return c.a }
				cfg.Met = func(id peer.Identity, address string) { met[address] = id }
				a := listen(t, cfg)
				cfg = memConfig(t, n, "b")
				cfg.Self = func() id { return c.b }
				listen(t, cfg, echoStream)
				to := peer.Target{Node: c.want, Address: "b:7400"}
				check := func(what string, ok bool, err error) {
					t.Helper()
					if (err == nil) != ok {
						t.Errorf("%s: %v", what, err)
					}
					if err != nil && (!errors.Is(err, peer.ErrNotSent) || !errors.Is(err, registry.ErrForeignCluster)) {
						t.Errorf("%s: %v is not what it should be", what, err)
					}
				}
				_, err := a.Call(t.Context(), to, methodEcho, nil)
				check("call", c.calls, err)
				stream, err := a.Stream(t.Context(), to, streamEcho)
				check("stream", c.calls, err)
				if err == nil {
					stream.Close()
				}
				raft, err := a.Raft().Dial(to, time.Second)
				check("raft", c.raft, err)
				if err == nil {
					raft.Close()
				}
				if got, ok := met["b:7400"]; ok != c.met || ok && got != c.b {
					t.Errorf("met %v", met)
				}
			})
		})
	}
}

// impostor answers handshakes at host b with what it is given.
func impostor(t *testing.T, n *memnet.Net, answer string) {
	l, err := n.Host("b").Listen("b:7400")
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	done.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.CopyN(io.Discard, c, 10)
			io.WriteString(c, answer)
			// It goes on to read, so that its end is not a reset.
			done.Go(func() { io.Copy(io.Discard, c); c.Close() })
		}
	})
	t.Cleanup(func() { l.Close(); done.Wait() })
}

// TestDiallerChecksTheAnswer dials what accepts although it should not, or makes no sense.
func TestDiallerChecksTheAnswer(t *testing.T) {
	cases := []struct {
		name, answer string
		want         error
		text         string
	}{
		{"accepts for another", "\x00\x08\x02\x00\x00\x01c\x02b2", registry.ErrForeignCluster, "b2"},
		{"accepts from another cluster", "\x00\x07\x02\x00\x00\x01d\x01b", registry.ErrForeignCluster, "cluster d"},
		{"newer, refuses", "\x00\x0b\x03\x02\x07upgrade..", nil, "refused: upgrade"},
		{"newer, accepts", "\x00\x05\x03\x00\x00..", nil, "upgrade"},
		{"nonsense", "HTTP/1.1 400 Bad Request", nil, "malformed"},
		{"cut short", "\x00\x07\x02\x00\x00\x01c", nil, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := memnet.New()
				impostor(t, n, c.answer)
				a := listen(t, memConfig(t, n, "a"))
				_, err := a.Call(t.Context(), targetB, methodEcho, nil)
				if !errors.Is(err, peer.ErrNotSent) || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

// TestStrangersAtThePort sends what no server sends. Each gets the answer, and then
// the end of the connection, and the log says why.
func TestStrangersAtThePort(t *testing.T) {
	const hello = "\x02\x00\x08\x02\x01c\x01a\x00\x00\x00"
	const welcome = "\x00\x07\x02\x00\x00\x01c\x01b"
	cases := []struct {
		name, says, answer string
		after              time.Duration
		log                string
	}{
		{name: "silent", says: "", after: 5 * time.Second, log: "refused"},
		{name: "slow", says: "\x02\x00", after: 5 * time.Second, log: "refused"},
		{name: "another program", says: "GET / HTTP/1.1\r\n\r\n", log: "unknown peer protocol 71"},
		{name: "too large", says: "\x02\xff\xff", log: "malformed handshake"},
		{name: "malformed hello", says: "\x02\x00\x02\x02\xff", log: "malformed handshake"},
		{name: "newer", says: "\x02\x00\x03\x03??", answer: "upgrade this server", log: "version 3"},
		{name: "unknown kind", says: hello + strings.Repeat("\xff", 20), answer: welcome, log: "malformed frame"},
		{name: "too large a frame", says: hello + "\xff\xff\xff\xff\x02" + strings.Repeat("\x00", 13), answer: welcome, log: "malformed frame"},
		{name: "an answer from a caller", says: hello + "\x00\x00\x00\x00\x05" + strings.Repeat("\x00", 13), answer: welcome, log: "not for a caller"},
		{name: "no more after the handshake", says: hello, answer: welcome, after: 4 * time.Second, log: "nothing was heard"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := memnet.New()
				var log bytes.Buffer
				cfg := memConfig(t, n, "b")
				cfg.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
				b := listen(t, cfg)
				conn, err := n.Host("x").Dial(t.Context(), "b:7400")
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				start := time.Now()
				if _, err := io.WriteString(conn, c.says); err != nil {
					t.Fatal(err)
				}
				got, _ := io.ReadAll(conn)
				if d := time.Since(start); d > c.after || d < c.after-time.Second {
					t.Errorf("the connection ended after %v, want %v", d, c.after)
				}
				if !strings.Contains(string(got), c.answer) || c.answer == "" && len(got) > 0 {
					t.Errorf("answered %q, want %q", got, c.answer)
				}
				a := listen(t, memConfig(t, n, "a"))
				if _, err := a.Call(t.Context(), targetB, methodEcho, nil); err != nil {
					t.Error(err)
				}
				b.Close() // nobody logs any more
				if !strings.Contains(log.String(), c.log) {
					t.Errorf("%q is not in the log:\n%s", c.log, log.String())
				}
			})
		})
	}
}

// TestRefusalsAreNotLoggedAtAnyRate lets a foreign server try a hundred times a second.
func TestRefusalsAreNotLoggedAtAnyRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		var log bytes.Buffer
		cfg := memConfig(t, n, "b")
		cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
		b := listen(t, cfg)
		cfg = memConfig(t, n, "a")
		cfg.Self = func() peer.Identity { return peer.Identity{Cluster: "d", Node: "a"} }
		a := listen(t, cfg)
		for range 301 {
			if _, err := a.Raft().Dial(targetB, 0); !errors.Is(err, registry.ErrForeignCluster) {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		b.Close()
		if lines := strings.Count(log.String(), "\n"); lines != 4 || !strings.Contains(log.String(), "omitted_before=99") {
			t.Errorf("%d lines:\n%s", lines, log.String())
		}
	})
}

// TestAcceptRecovers makes accepting fail for a while, as it does without free file
// descriptors.
func TestAcceptRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New()
		cfg := memConfig(t, n, "b")
		cfg.Network = &flaky{Network: cfg.Network, failures: 5}
		listen(t, cfg)
		a := listen(t, memConfig(t, n, "a"))
		if _, err := a.Call(t.Context(), targetB, methodEcho, nil); err != nil {
			t.Error(err)
		}
	})
}

// flaky fails to accept a number of times.
type flaky struct {
	peer.Network
	net.Listener
	failures int
}

func (f *flaky) Listen(address string) (l net.Listener, err error) {
	f.Listener, err = f.Network.Listen(address)
	return f, err
}

func (f *flaky) Accept() (net.Conn, error) {
	if f.failures > 0 {
		f.failures--
		return nil, os.ErrDeadlineExceeded
	}
	return f.Listener.Accept()
}

func TestListenSaysWhatIsWrong(t *testing.T) {
	taken := listen(t, testConfig(t, "a"))
	cases := map[string]func(*peer.Config){
		"another peer address": func(c *peer.Config) { c.Address = taken.Addr().String() },
		"Config.Self":          func(c *peer.Config) { c.Self = nil },
		"negative":             func(c *peer.Config) { c.DialTimeout = -1 },
	}
	for text, spoil := range cases {
		cfg := testConfig(t, "b")
		spoil(&cfg)
		if p, err := peer.Listen(cfg); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("got %v, want %q", err, text)
			if p != nil {
				p.Close()
			}
		}
	}
}

// FuzzPort speaks arbitrary bytes to a port, which has to serve others afterwards. What a
// handler is given must fit what was sent.
func FuzzPort(f *testing.F) {
	const hello = "\x02\x00\x08\x02\x01c\x01a\x00\x00\x00"
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add([]byte(hello + "\x00\x00\x00\x02\x02\x02\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00hi"))
	f.Add([]byte(hello + "\x00\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00"))
	f.Add([]byte("\x03\x00\x08\x02\x01c\x01a\x00\x00\x07stream"))
	f.Add([]byte("\x01\x00\x08\x01\x01c\x01a\x00\x00\x00for raft"))
	n := memnet.New()
	check := func(_ context.Context, from peer.Identity, req []byte) ([]byte, error) {
		if len(req) > 1<<10 {
			panic("a request over the limit")
		}
		return req, nil
	}
	cfg := peer.Config{
		Address: "b:7400", Network: n.Host("b"), MaxMessage: 1 << 10, Log: slog.New(slog.DiscardHandler),
		Self: func() peer.Identity { return peer.Identity{Cluster: "c", Node: "b"} },
	}
	b, err := peer.Listen(cfg)
	if err != nil {
		f.Fatal(err)
	}
	b.Handle(1, check)
	b.HandleInline(2, check)
	b.HandleStream(7, func(_ context.Context, _ peer.Identity, c net.Conn) { io.Copy(c, c) })
	b.Serve()
	// A connection for raft is raft's to read and to close: here, this stands in for it.
	go func() {
		for {
			c, err := b.Raft().Accept()
			if err != nil {
				return
			}
			go func() {
				io.Copy(io.Discard, c)
				c.Close()
			}()
		}
	}()
	cfg.Address, cfg.Network = "a:7400", n.Host("a")
	cfg.Self = func() peer.Identity { return peer.Identity{Cluster: "c", Node: "a"} }
	a, err := peer.Listen(cfg)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { a.Close(); b.Close() })
	stranger := n.Host("x")
	f.Fuzz(func(t *testing.T, says []byte) {
		c, err := stranger.Dial(t.Context(), "b:7400")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(10 * time.Second))
		c.Write(says) // it may be hung up on in the middle
		c.(interface{ CloseWrite() error }).CloseWrite()
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("the port does not let go of a connection that has ended")
		}
		if _, err := a.Call(t.Context(), targetB, 2, nil); err != nil {
			t.Error(err)
		}
	})
}
