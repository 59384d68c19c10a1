package grpcserver

import (
	"container/list"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"
)

const (
	// speakTimeout is how long a new connection may take to say what it speaks, TLS's
	// handshake included.
	speakTimeout = 10 * time.Second
	// maxSilent is how many connections may be about to say what they speak. A client that
	// means it has spoken at once, so the one that was silent longest goes first.
	maxSilent = 4096
	// acceptPause is how long accepting waits after it failed.
	acceptPause = 100 * time.Millisecond
)

// splitter accepts connections and hands each to one of two listeners, by what it
// begins with. It owns the goroutines that wait for that.
type splitter struct {
	listener     net.Listener
	tls          *tls.Config // nil for plain connections
	http2, http1 *handedOn
	log          *slog.Logger

	speakTimeout time.Duration
	maxSilent    int

	sorting sync.WaitGroup
	closing chan struct{} // closed by Close

	mu     sync.Mutex
	silent *list.List // of net.Conn, in the order they came; nil once closed
}

func newSplitter(l net.Listener, secure *tls.Config, log *slog.Logger) *splitter {
	return &splitter{
		listener: l, tls: secure, log: log,
		http2: newHandedOn(l.Addr()), http1: newHandedOn(l.Addr()),
		speakTimeout: speakTimeout, maxSilent: maxSilent,
		closing: make(chan struct{}), silent: list.New(),
	}
}

// Addr is the address of both listeners.
func (s *splitter) Addr() net.Addr { return s.listener.Addr() }

// accept hands on connections until the splitter is closed.
func (s *splitter) accept() error {
	defer s.sorting.Wait()
	defer s.Close()
	for failed := false; ; {
		conn, err := s.listener.Accept()
		switch {
		case err == nil:
			failed = false
			s.take(conn)
			continue
		case errors.Is(err, net.ErrClosed):
			return err
		case !failed: // too many open files, for example: it passes when others close theirs
			failed = true
			s.log.Warn("cannot accept connections; trying again until it passes", "address", s.Addr(), "error", err)
		}
		select {
		case <-time.After(acceptPause):
		case <-s.closing:
			return net.ErrClosed
		}
	}
}

// take starts to sort a connection.
func (s *splitter) take(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.silent == nil {
		c.Close()
		return
	}
	if s.silent.Len() >= s.maxSilent {
		oldest := s.silent.Front()
		s.silent.Remove(oldest).(net.Conn).Close()
	}
	entry := s.silent.PushBack(c)
	s.sorting.Go(func() { s.sort(c, entry) })
}

// spoken takes a connection off the list of silent ones.
func (s *splitter) spoken(entry *list.Element) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.silent != nil {
		s.silent.Remove(entry) // of one that was pushed out, nothing
	}
}

// sort reads from a connection until it is clear what it speaks, and hands it on.
func (s *splitter) sort(c net.Conn, entry *list.Element) {
	begun, err := s.begin(c)
	s.spoken(entry)
	if err == nil {
		to := s.http1
		if protocolOf(begun.begun) == speaksHTTP2 {
			to = s.http2
		}
		err = to.hand(context.Background(), begun)
	}
	if err != nil {
		s.log.Debug("a connection was closed before it could be served", "from", c.RemoteAddr(), "error", err)
		c.Close()
	}
}

// begin shakes hands and reads the first bytes of a connection, so many as tell what it
// speaks.
func (s *splitter) begin(c net.Conn) (*begunConn, error) {
	if err := c.SetDeadline(time.Now().Add(s.speakTimeout)); err != nil {
		return nil, err
	}
	begun := &begunConn{Conn: c, from: newClientAddr(c.RemoteAddr())}
	if s.tls != nil {
		secured := tls.Server(c, s.tls)
		if err := secured.Handshake(); err != nil {
			answerPlain(err)
			return nil, err
		}
		begun.Conn = secured
	}
	first := make([]byte, len(http2Preface))
	for n := 0; protocolOf(first[:n]) == undecided; {
		more, err := begun.Conn.Read(first[n:])
		n += more
		begun.begun = first[:n]
		if err != nil && protocolOf(begun.begun) == undecided {
			return nil, err
		}
	}
	return begun, c.SetDeadline(time.Time{})
}

// answerPlain tells a client that spoke HTTP where TLS is spoken, before it is sent away.
func answerPlain(err error) {
	var record tls.RecordHeaderError
	if errors.As(err, &record) && record.Conn != nil && printable(record.RecordHeader) {
		_, _ = io.WriteString(record.Conn, "HTTP/1.0 400 Bad Request\r\n\r\nherald: this port speaks TLS; use https://\n")
	}
}

// printable says that a record's header is the beginning of a text.
func printable(header [5]byte) bool {
	for _, b := range header {
		if b < ' ' || b > '~' {
			return false
		}
	}
	return true
}

// Close stops accepting. Connections that were handed on are their servers'.
func (s *splitter) Close() error {
	s.mu.Lock()
	silent := s.silent
	s.silent = nil
	s.mu.Unlock()
	if silent == nil {
		return nil
	}
	close(s.closing)
	for e := silent.Front(); e != nil; e = e.Next() {
		e.Value.(net.Conn).Close()
	}
	return errors.Join(s.http1.Close(), s.http2.Close(), s.listener.Close())
}
