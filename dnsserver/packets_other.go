//go:build !linux

package dnsserver

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
)

// single is a packets of systems that take and give one packet at a time.
//
// A socket that is bound to no address answers from the one that the system chooses, which on a
// machine of several may not be the one that was asked: bind it to addresses there.
type single struct {
	conn   *net.UDPConn
	buffer [receiveSize]byte
	size   int
	from   netip.AddrPort
	wire   []byte
}

func newPackets(conn *net.UDPConn) (packets, error) { return &single{conn: conn}, nil }

func (s *single) receive() (n int, err error) {
	s.size, s.from, err = s.conn.ReadFromUDPAddrPort(s.buffer[:])
	if err != nil {
		return 0, err
	}
	return 1, nil
}

func (s *single) packet(int) []byte { return s.buffer[:s.size] }
func (s *single) client(int) netip.AddrPort {
	return netip.AddrPortFrom(s.from.Addr().Unmap(), s.from.Port())
}
func (s *single) answer(int) []byte            { return s.wire[:0] }
func (s *single) setAnswer(_ int, wire []byte) { s.wire = wire }

func (s *single) flush(int) {
	if len(s.wire) > 0 {
		_, _ = s.conn.WriteToUDPAddrPort(s.wire, s.from) // see packets
	}
}

func (s *single) later(int) func(wire []byte) error {
	to := s.from
	return func(wire []byte) error {
		_, err := s.conn.WriteToUDPAddrPort(wire, to)
		return err
	}
}

func (s *single) stop() error { return s.conn.SetReadDeadline(longAgo) }

func shareable(syscall.RawConn) error { return errors.ErrUnsupported }
