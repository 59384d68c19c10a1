package grpcserver

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
)

// dial connects to the door, past every client library.
func (h *harness) dial() *net.TCPConn {
	h.t.Helper()
	c, err := net.Dial("tcp", h.address)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// bytewise sends each byte by itself.
func bytewise(t *testing.T, w io.Writer, text string) {
	t.Helper()
	for i := range len(text) {
		if _, err := io.WriteString(w, text[i:i+1]); err != nil {
			t.Fatal(err)
		}
	}
}

func TestConnectionsBeginInManyWays(t *testing.T) {
	h := open(t)
	const get = "GET /version HTTP/1.1\r\nHost: h\r\n\r\n"
	answered := func(c io.Reader, want int) {
		t.Helper()
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("status %d, want %d", res.StatusCode, want)
		}
	}
	closed := func(c io.Reader) {
		t.Helper()
		if b, err := io.ReadAll(c); err != nil || len(b) > 0 {
			t.Errorf("read %q, %v; want the end", b, err)
		}
	}
	t.Run("HTTP/1.1 byte by byte", func(*testing.T) {
		c := h.dial()
		bytewise(t, c, get)
		answered(c, 200)
	})
	t.Run("HTTP/1.1 and no more to say", func(*testing.T) {
		c := h.dial()
		bytewise(t, c, get)
		c.CloseWrite()
		answered(c, 200)
	})
	t.Run("a method that begins as HTTP/2 does", func(*testing.T) {
		c := h.dial()
		bytewise(t, c, "PRINT /version HTTP/1.1\r\nHost: h\r\n\r\n")
		answered(c, 405)
	})
	t.Run("garbage", func(*testing.T) {
		c := h.dial()
		io.WriteString(c, "\x16\x03\x01\x00\xff\xff\x00\r\n\r\n")
		answered(c, 400)
	})
	t.Run("HTTP/2 byte by byte", func(*testing.T) {
		c := h.dial()
		bytewise(t, c, http2.ClientPreface)
		f := http2.NewFramer(c, c)
		if err := f.WriteSettings(); err != nil {
			t.Fatal(err)
		}
		frame, err := f.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := frame.(*http2.SettingsFrame); !ok {
			t.Errorf("the server begins with %v, not its settings", frame)
		}
		c.Close() // it would not heed the server's farewell
	})
	t.Run("half of HTTP/2's preface", func(*testing.T) {
		c := h.dial()
		io.WriteString(c, http2Preface[:7])
		c.CloseWrite()
		closed(c)
	})
	t.Run("closed at once", func(*testing.T) {
		h.dial().Close()
		c := h.dial()
		c.SetLinger(0) // a reset
		c.Close()
	})
	h.dial() // silent until the door stops, which must not wait for it
	h.ask("GET", "/version", "")
	if err := h.stop(); err != nil {
		t.Error(err)
	}
}

// pipes is a splitter over connections without a network, for time that is not real.
func pipes(t *testing.T) (s *splitter, connect func() net.Conn) {
	l := newHandedOn(gatewayAddr{})
	s = newSplitter(l, nil, slog.New(slog.DiscardHandler))
	accepted := make(chan error, 1)
	go func() { accepted <- s.accept() }()
	t.Cleanup(func() {
		s.Close()
		if err := <-accepted; !errors.Is(err, net.ErrClosed) {
			t.Errorf("accept: %v", err)
		}
	})
	return s, func() net.Conn {
		client, server := net.Pipe()
		if err := l.hand(t.Context(), server); err != nil {
			t.Fatal(err)
		}
		return client
	}
}

func TestSilenceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, connect := pipes(t)
		c := connect()
		begun := time.Now()
		go func() { // a byte now and then gains no time
			for i := 0; ; i++ {
				time.Sleep(speakTimeout / 4)
				if _, err := c.Write([]byte(http2Preface[i : i+1])); err != nil {
					return
				}
			}
		}()
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("read: %v", err)
		}
		if took := time.Since(begun); took != speakTimeout {
			t.Errorf("closed after %v, want %v", took, speakTimeout)
		}
		time.Sleep(speakTimeout)
	})
}

func TestTheLongestSilentMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, connect := pipes(t)
		s.maxSilent = 3
		var silent []net.Conn
		var gone [5]atomic.Bool
		for i := range gone {
			c := connect()
			silent = append(silent, c)
			go func() {
				if _, err := c.Read(make([]byte, 1)); err == io.EOF {
					gone[i].Store(true)
				}
			}()
			synctest.Wait()
		}
		for i := range gone {
			if want := i < 2; gone[i].Load() != want {
				t.Errorf("connection %d is gone: %v, want %v", i, gone[i].Load(), want)
			}
		}
		// One that speaks is served, and none goes for it.
		go io.WriteString(silent[4], "GET / HTTP/1.1\r\n")
		served, err := s.http1.Accept()
		if err != nil {
			t.Fatal(err)
		}
		served.Close()
		go connect()
		synctest.Wait()
		if gone[2].Load() || gone[3].Load() {
			t.Error("a connection was closed although there was room")
		}
	})
}

// failing is a listener that cannot accept for a while.
type failing struct {
	*handedOn
	failures int
}

func (f *failing) Accept() (net.Conn, error) {
	if f.failures > 0 {
		f.failures--
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return f.handedOn.Accept()
}

func TestAcceptingGoesOnWhenItCanAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		l := &failing{newHandedOn(gatewayAddr{}), 5}
		s := newSplitter(l, nil, slog.New(slog.NewTextHandler(&log, nil)))
		accepted := make(chan error, 1)
		go func() { accepted <- s.accept() }()
		begun := time.Now()
		client, server := net.Pipe()
		if err := l.hand(t.Context(), server); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took != 5*acceptPause {
			t.Errorf("accepted after %v, want %v", took, 5*acceptPause)
		}
		client.Close()
		s.Close()
		if err := <-accepted; !errors.Is(err, net.ErrClosed) {
			t.Errorf("accept: %v", err)
		}
		if n := strings.Count(log.String(), "cannot accept"); n != 1 {
			t.Errorf("logged %d times: %s", n, log.String())
		}
	})
}

// Whatever a connection begins with and however it is cut, it goes to the listener it
// belongs to with every byte, or is closed if it never tells.
func FuzzSplit(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), uint8(1))
	f.Add([]byte(http2.ClientPreface+"\x00\x00\x00\x04"), uint8(3))
	f.Add([]byte("PRI * HTTP/1.1\r\n\r\n"), uint8(5))
	f.Add([]byte(http2Preface[:13]), uint8(2))
	f.Add([]byte{}, uint8(0))
	f.Fuzz(func(t *testing.T, data []byte, cut uint8) {
		want := speaksHTTP1
		switch {
		case bytes.HasPrefix(data, []byte(http2Preface)):
			want = speaksHTTP2
		case bytes.HasPrefix([]byte(http2Preface), data):
			want = undecided
		}
		s := newSplitter(newHandedOn(gatewayAddr{}), nil, slog.New(slog.DiscardHandler))
		client, server := net.Pipe()
		sent, sorted := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(sent)
			defer client.Close()
			for rest := data; len(rest) > 0; {
				n := min(len(rest), int(cut)+1)
				if _, err := client.Write(rest[:n]); err != nil {
					return
				}
				rest = rest[n:]
			}
			if want != undecided { // or else only the end tells
				<-sorted
			}
		}()
		s.take(server)
		go func() { s.sorting.Wait(); close(sorted) }()
		var conn net.Conn
		to := undecided
		select {
		case conn = <-s.http1.conns:
			to = speaksHTTP1
		case conn = <-s.http2.conns:
			to = speaksHTTP2
		case <-sorted:
		}
		if to != want {
			t.Errorf("%q went to %d, want %d", data, to, want)
		}
		if conn != nil {
			if got, err := io.ReadAll(conn); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%q was read, %v; sent %q", got, err, data)
			}
			conn.Close()
		}
		<-sorted
		<-sent
		s.Close()
	})
}
