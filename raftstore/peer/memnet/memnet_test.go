package memnet

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// connect opens a connection from host a to host b.
func connect(t testing.TB, n *Net) (a, b net.Conn) {
	t.Helper()
	l, err := n.Host("b").Listen(":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err = n.Host("a").Dial(context.Background(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func send(t testing.TB, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

// expect reads text, within no time but that of the bubble.
func expect(t testing.TB, c net.Conn, text string) {
	t.Helper()
	b := make([]byte, len(text))
	c.SetReadDeadline(time.Now().Add(time.Hour))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != text {
		t.Fatalf("read %q, %v; want %q", b, err, text)
	}
	c.SetReadDeadline(time.Time{})
}

// expectNothing waits for a minute.
func expectNothing(t testing.TB, c net.Conn) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(time.Minute))
	if n, err := c.Read(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read %d bytes, %v; want nothing", n, err)
	}
	c.SetReadDeadline(time.Time{})
}

func expectError(t testing.TB, c net.Conn, want error) {
	t.Helper()
	if n, err := c.Read(make([]byte, 10)); !errors.Is(err, want) {
		t.Fatalf("read %d bytes, %v; want %v", n, err, want)
	}
}

func TestBothDirectionsAndHalfClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := connect(t, New())
		send(t, a, "question")
		if err := a.(*conn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		expect(t, b, "question")
		expectError(t, b, io.EOF)
		send(t, b, "answer")
		expect(t, a, "answer")
		if _, err := a.Write([]byte("more")); !errors.Is(err, syscall.EPIPE) {
			t.Errorf("write after CloseWrite: %v", err)
		}
		b.Close()
		expectError(t, a, io.EOF)
		expectError(t, b, net.ErrClosed)
	})
}

func TestWriterStopsAtAFullBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := connect(t, New())
		a.SetWriteDeadline(time.Now().Add(time.Second))
		n, err := a.Write(make([]byte, 2*window))
		if n != window || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("wrote %d, %v", n, err)
		}
		a.SetWriteDeadline(time.Time{})
		done := make(chan error, 1)
		go func() {
			_, err := a.Write(make([]byte, window))
			done <- err
		}()
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatalf("a write into a full buffer returned %v", err)
		default:
		}
		expect(t, b, string(make([]byte, window)))
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
}

func TestCutHoldsBackOneDirection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New()
		a, b := connect(t, n)
		send(t, a, "before")
		n.Cut("a", "b")
		send(t, a, "during")
		send(t, b, "back")
		expect(t, a, "back")
		expect(t, b, "before") // it had arrived
		expectNothing(t, b)
		a.Close() // the end is held back too
		expectNothing(t, b)
		n.Heal("a", "b")
		expect(t, b, "during")
		expectError(t, b, io.EOF)
	})
}

func TestCutOfAcknowledgementsStopsTheSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New()
		a, b := connect(t, n)
		n.Cut("b", "a")
		send(t, a, string(make([]byte, window)))
		expect(t, b, string(make([]byte, window)))
		a.SetWriteDeadline(time.Now().Add(time.Second))
		if n, err := a.Write([]byte("x")); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("wrote %d, %v", n, err)
		}
		n.HealAll()
		a.SetWriteDeadline(time.Time{})
		send(t, a, "x")
		expect(t, b, "x")
	})
}

func TestIsolate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New()
		a, b := connect(t, n)
		n.Isolate("b")
		send(t, a, "1")
		send(t, b, "2")
		expectNothing(t, a)
		expectNothing(t, b)
		n.Rejoin("b")
		expect(t, b, "1")
		expect(t, a, "2")
		n.CutBoth("a", "b")
		send(t, a, "3")
		expectNothing(t, b)
		n.HealBoth("a", "b")
		expect(t, b, "3")
	})
}

func TestDial(t *testing.T) {
	cases := []struct {
		name    string
		fault   func(*Net)
		address string
		want    error
		after   time.Duration
	}{
		{name: "at once", address: "b:1"},
		{name: "nobody listens", address: "b:2", want: syscall.ECONNREFUSED},
		{name: "killed", fault: func(n *Net) { n.Kill("b") }, address: "b:1", want: syscall.ECONNREFUSED},
		{name: "dead dialler", fault: func(n *Net) { n.Kill("a") }, address: "b:1", want: errKilled},
		{name: "cut there", fault: func(n *Net) { n.Cut("a", "b") }, address: "b:1", want: context.DeadlineExceeded, after: 5 * time.Second},
		{name: "cut back", fault: func(n *Net) { n.Cut("b", "a") }, address: "b:1", want: context.DeadlineExceeded, after: 5 * time.Second},
		{name: "healed meanwhile", fault: func(n *Net) {
			n.Isolate("b")
			time.AfterFunc(time.Second, n.HealAll)
		}, address: "b:1", after: time.Second},
		{name: "delayed", fault: func(n *Net) {
			n.Delay("a", "b", time.Second)
			n.Delay("b", "a", 2*time.Second)
		}, address: "b:1", after: 3 * time.Second},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := New()
				a := n.Host("a")
				l, err := n.Host("b").Listen("b:1")
				if err != nil {
					t.Fatal(err)
				}
				if c.fault != nil {
					c.fault(n)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				start := time.Now()
				conn, err := a.Dial(ctx, c.address)
				if !errors.Is(err, c.want) || time.Since(start) != c.after {
					t.Errorf("got %v after %v; want %v after %v", err, time.Since(start), c.want, c.after)
				}
				if err == nil {
					conn.Close()
				}
				if err := l.Close(); (err != nil) != (c.name == "killed") {
					t.Error(err)
				}
			})
		})
	}
}

func TestAddresses(t *testing.T) {
	n := New()
	h := n.Host("a")
	for address, want := range map[string]error{"": nil, ":0": nil, "a:7": nil, "b:1": syscall.EADDRNOTAVAIL} {
		if _, err := h.Listen(address); !errors.Is(err, want) {
			t.Errorf("listen on %q: %v, want %v", address, err, want)
		}
	}
	if _, err := h.Listen("a:7"); !errors.Is(err, syscall.EADDRINUSE) {
		t.Error(err)
	}
	if _, err := h.Listen("nothing"); err == nil {
		t.Error("an address without a port is bound")
	}
	var dns *net.DNSError
	if _, err := h.Dial(t.Context(), "nobody:1"); !errors.As(err, &dns) {
		t.Error(err)
	}
}

func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New()
		a, b := connect(t, n)
		n.Delay("a", "b", time.Second)
		start := time.Now()
		send(t, a, "slow")
		n.Delay("a", "b", 0)
		send(t, a, "fast") // and must not overtake
		expect(t, b, "slowfast")
		if d := time.Since(start); d != time.Second {
			t.Errorf("arrived after %v", d)
		}
	})
}

func TestKill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New()
		a, b := connect(t, n)
		old := n.Host("b")
		l, err := old.Listen("b:1")
		if err != nil {
			t.Fatal(err)
		}
		waiting := make(chan error, 2)
		go func() {
			_, err := b.Read(make([]byte, 1))
			waiting <- err
		}()
		go func() {
			_, err := l.Accept()
			waiting <- err
		}()
		synctest.Wait()
		n.Isolate("b")
		n.Kill("b")
		for range 2 {
			if err := <-waiting; !errors.Is(err, net.ErrClosed) {
				t.Errorf("on the killed host: %v", err)
			}
		}
		expectNothing(t, a) // it cannot know yet
		n.Rejoin("b")
		expectError(t, a, syscall.ECONNRESET)
		if _, err := a.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("write: %v", err)
		}
		if _, err := old.Listen("b:1"); !errors.Is(err, errKilled) {
			t.Errorf("the dead listens: %v", err)
		}
		l, err = n.Host("b").Listen("b:1")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		again, err := n.Host("a").Dial(t.Context(), "b:1")
		if err != nil {
			t.Fatal(err)
		}
		again.Close()
	})
}

func TestCloseBeforeEverythingIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := connect(t, New())
		send(t, a, "unread")
		b.Close()
		expectError(t, a, syscall.ECONNRESET)
	})
	synctest.Test(t, func(t *testing.T) {
		a, b := connect(t, New())
		b.Close()
		send(t, a, "to nobody")
		if _, err := a.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("second write to a closed connection: %v", err)
		}
	})
}

func TestClosedListenerResetsWhatItDidNotAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New()
		l, err := n.Host("b").Listen("")
		if err != nil {
			t.Fatal(err)
		}
		a, err := n.Host("a").Dial(t.Context(), l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		expectError(t, a, syscall.ECONNRESET)
		a.Close()
		if len(n.links) != 0 {
			t.Errorf("%d connections are kept", len(n.links))
		}
	})
}

// TestNothingIsLostOrReordered sends while the paths between two hosts are cut, healed
// and delayed at random.
func TestNothingIsLostOrReordered(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(1, 2*window), 1, 8).Draw(rt, "sizes")
		faults := rapid.SliceOfN(rapid.IntRange(0, 6), 0, 20).Draw(rt, "faults")
		var sent, got []byte
		synctest.Test(t, func(t *testing.T) {
			n := New()
			a, b := connect(t, n)
			var both sync.WaitGroup
			both.Go(func() {
				defer a.Close()
				for i, size := range sizes {
					chunk := bytes.Repeat([]byte{byte(i + 1)}, size)
					if _, err := a.Write(chunk); err != nil {
						t.Error(err)
						return
					}
					sent = append(sent, chunk...)
					time.Sleep(time.Millisecond)
				}
			})
			both.Go(func() {
				for _, f := range faults {
					switch f {
					case 0:
						n.Cut("a", "b")
					case 1:
						n.Cut("b", "a")
					case 2:
						n.Isolate("a")
					case 3:
						n.HealAll()
					default:
						n.Delay("a", "b", time.Duration(f-4)*time.Millisecond)
					}
					time.Sleep(time.Millisecond)
				}
				n.HealAll()
			})
			var err error
			if got, err = io.ReadAll(b); err != nil {
				t.Error(err)
			}
			both.Wait()
		})
		if !bytes.Equal(got, sent) {
			rt.Fatalf("%d bytes were sent, and %d others arrived", len(sent), len(got))
		}
	})
}
