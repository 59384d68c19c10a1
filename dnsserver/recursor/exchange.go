package recursor

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"
)

// mostStrays is how many packets that are not the answer are read while waiting for
// it: somebody who guesses ids has no more tries than that.
const mostStrays = 64

// exchange asks one recursor, within the time that it has. One that does not know EDNS is asked
// again without (RFC 6891 section 7).
func (f *Forwarder) exchange(u *upstream, q *question) (*message, error) {
	ctx, cancel := context.WithTimeout(f.ctx, f.timeout)
	defer cancel()
	server := u.address
	if q.extended() && f.plainly(u) {
		q = q.plain()
	}
	m, err := f.overUDP(ctx, server, q)
	if err == nil && q.extended() && m.refusesEDNS() {
		q = q.plain()
		if m, err = f.overUDP(ctx, server, q); err == nil && !m.refusesEDNS() {
			f.onlyPlainly(u)
		}
	}
	if err == nil && q.stream && m.flags()&flagTC != 0 {
		m, err = f.overTCP(ctx, server, q)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return nil, timeoutError{f.timeout}
	}
	return m, err
}

func (f *Forwarder) overUDP(ctx context.Context, server netip.AddrPort, q *question) (*message, error) {
	conn, release, err := f.connect(ctx, "udp", server)
	if err != nil {
		return nil, err
	}
	defer release()
	packet, id := q.numbered(nil)
	if _, err := conn.Write(packet); err != nil {
		return nil, networkError{err}
	}
	buf := make([]byte, q.size+1)
	for range mostStrays {
		n, err := conn.Read(buf)
		if err != nil {
			return nil, networkError{err}
		}
		if m, ok, err := q.match(buf[:n], id, n > q.size); ok {
			return m, err
		}
	}
	return nil, fmt.Errorf("%d packets that are not the answer", mostStrays)
}

func (f *Forwarder) overTCP(ctx context.Context, server netip.AddrPort, q *question) (*message, error) {
	conn, release, err := f.connect(ctx, "tcp", server)
	if err != nil {
		return nil, err
	}
	defer release()
	packet, id := q.numbered(binary.BigEndian.AppendUint16(nil, uint16(len(q.packet))))
	if _, err := conn.Write(packet); err != nil {
		return nil, networkError{err}
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, networkError{err}
	}
	buf := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, buf); err != nil {
		return nil, networkError{err}
	}
	m, ok, err := q.match(buf, id, false)
	if !ok {
		return nil, errors.New("what came over TCP is not the answer")
	}
	return m, err
}

// numbered returns the packet after a prefix, with an id that nobody can guess.
func (q *question) numbered(prefix []byte) (packet []byte, id uint16) {
	packet = slices.Concat(prefix, q.packet)
	at := packet[len(prefix):]
	rand.Read(at[:2]) // never fails: see crypto/rand
	return packet, binary.BigEndian.Uint16(at)
}

// connect returns a connection that fails when ctx ends, and what closes it.
func (f *Forwarder) connect(ctx context.Context, network string, server netip.AddrPort) (net.Conn, func(), error) {
	conn, err := f.dial(ctx, network, server.String())
	if err != nil {
		return nil, nil, networkError{err}
	}
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		conn.SetDeadline(time.Unix(1, 0)) // long past
	})
	return conn, func() {
		if !stop() {
			<-done
		}
		conn.Close()
	}, nil
}
