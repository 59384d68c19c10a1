package dnsserver

import (
	"encoding/binary"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mmsghdr is what recvmmsg(2) and sendmmsg(2) take an array of.
type mmsghdr struct {
	unix.Msghdr
	size uint32 // of the packet
}

// controlSize has room for where a packet was sent to: one IP_PKTINFO or IPV6_PKTINFO.
const controlSize = 64

// batch is a packets of Linux.
//
// Its system calls never wait, and end after some 100 us of work at most, so that the scheduler is not
// told of them: being told costs a fifth of all that an answer does, since a processor that is in
// a system call for more than 20 us is taken away and has to be given back.
type batch struct {
	conn *net.UDPConn
	raw  syscall.RawConn
	// anywhere says that the socket is bound to no address, so that an answer must be told which of the
	// machine's it is from: the one that the packet was sent to.
	anywhere bool

	in, out  [batchSize]mmsghdr
	inVec    [batchSize]unix.Iovec
	outVec   [batchSize]unix.Iovec
	names    [batchSize]unix.RawSockaddrInet6 // or Inet4, which is smaller
	controls [batchSize][controlSize]byte
	buffers  [batchSize][receiveSize]byte
	answers  [batchSize][]byte

	// What the calls below are given and give back, so that no closure is made for each.
	got, from, to int
	err           syscall.Errno
	read          func(fd uintptr) bool
	write         func(fd uintptr) bool
}

// newPackets makes a packets of a socket, which remains its caller's to close.
func newPackets(conn *net.UDPConn) (packets, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	b := &batch{conn: conn, raw: raw, anywhere: conn.LocalAddr().(*net.UDPAddr).IP.IsUnspecified()}
	if b.anywhere {
		if err := askForDestination(raw); err != nil {
			return nil, err
		}
	}
	for i := range b.in {
		b.inVec[i].Base = &b.buffers[i][0]
		b.inVec[i].SetLen(len(b.buffers[i]))
		b.in[i].Iov = &b.inVec[i]
		b.in[i].SetIovlen(1)
		b.in[i].Name = (*byte)(unsafe.Pointer(&b.names[i]))
		b.out[i].Iov = &b.outVec[i]
		b.out[i].SetIovlen(1)
	}
	b.read, b.write = b.recvmmsg, b.sendmmsg
	return b, nil
}

// askForDestination has each packet say which address it was sent to.
func askForDestination(raw syscall.RawConn) error {
	var errs [2]error
	if err := raw.Control(func(fd uintptr) {
		errs[0] = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		errs[1] = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
	}); err != nil {
		return err
	}
	if errs[0] != nil && errs[1] != nil { // a socket of one family knows one of them
		return errs[0]
	}
	return nil
}

func (b *batch) receive() (int, error) {
	for i := range b.in {
		b.in[i].Namelen = unix.SizeofSockaddrInet6
		if b.anywhere {
			b.in[i].Control = &b.controls[i][0]
			b.in[i].SetControllen(controlSize)
		}
	}
	if err := b.raw.Read(b.read); err != nil {
		return 0, err
	}
	if b.err != 0 {
		return 0, b.err
	}
	return b.got, nil
}

func (b *batch) recvmmsg(fd uintptr) bool {
	n, _, err := unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&b.in[0])), batchSize, unix.MSG_DONTWAIT, 0, 0)
	b.got, b.err = int(n), err
	return err != unix.EAGAIN && err != unix.EINTR
}

func (b *batch) packet(i int) []byte { return b.buffers[i][:min(int(b.in[i].size), receiveSize)] }

func (b *batch) client(i int) netip.AddrPort {
	name := &b.names[i]
	switch name.Family {
	case unix.AF_INET:
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		return netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), networkOrder(v4.Port))
	case unix.AF_INET6:
		return netip.AddrPortFrom(netip.AddrFrom16(name.Addr).Unmap(), networkOrder(name.Port))
	}
	return netip.AddrPort{}
}

// networkOrder reads a port as a socket address has it, in memory.
func networkOrder(port uint16) uint16 {
	return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&port))[:])
}

func (b *batch) answer(i int) []byte          { return b.answers[i][:0] }
func (b *batch) setAnswer(i int, wire []byte) { b.answers[i] = wire }

func (b *batch) flush(n int) {
	b.to = 0
	for i := range n {
		if len(b.answers[i]) == 0 {
			continue
		}
		b.address(&b.out[b.to], &b.outVec[b.to], i, b.answers[i])
		b.to++
	}
	for b.from = 0; b.from < b.to; {
		if b.raw.Write(b.write) != nil {
			return
		}
		if b.err != 0 {
			b.from++ // this one cannot be sent: to the next
			continue
		}
		b.from += b.got
	}
}

// address makes a message of an answer to the i-th packet.
func (b *batch) address(h *mmsghdr, v *unix.Iovec, i int, wire []byte) {
	v.Base = &wire[0]
	v.SetLen(len(wire))
	h.Name, h.Namelen = b.in[i].Name, b.in[i].Namelen
	h.Control = nil
	h.SetControllen(0)
	if b.anywhere {
		if control := source(b.controls[i][:b.in[i].Controllen]); len(control) > 0 {
			h.Control = &control[0]
			h.SetControllen(len(control))
		}
	}
}

// source makes of where a packet was sent to where its answer is from. The interface is left to
// routing, unless the address means nothing without it.
func source(control []byte) []byte {
	const header = unix.SizeofCmsghdr
	if len(control) < header {
		return nil
	}
	h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
	switch {
	case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(control) >= header+unix.SizeofInet4Pktinfo:
		info := (*unix.Inet4Pktinfo)(unsafe.Pointer(&control[header]))
		info.Ifindex = 0
		return control[:unix.CmsgSpace(unix.SizeofInet4Pktinfo)]
	case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(control) >= header+unix.SizeofInet6Pktinfo:
		info := (*unix.Inet6Pktinfo)(unsafe.Pointer(&control[header]))
		if !netip.AddrFrom16(info.Addr).IsLinkLocalUnicast() {
			info.Ifindex = 0
		}
		return control[:unix.CmsgSpace(unix.SizeofInet6Pktinfo)]
	}
	return nil
}

func (b *batch) sendmmsg(fd uintptr) bool {
	n, _, err := unix.RawSyscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&b.out[b.from])), uintptr(b.to-b.from), unix.MSG_DONTWAIT, 0, 0)
	b.got, b.err = int(n), err
	return err != unix.EAGAIN && err != unix.EINTR
}

func (b *batch) later(i int) func(wire []byte) error {
	to := b.client(i)
	if b.names[i].Family == unix.AF_INET6 { // as the socket spells it
		to = netip.AddrPortFrom(netip.AddrFrom16(b.names[i].Addr), to.Port())
		if zone := b.names[i].Scope_id; zone != 0 && to.Addr().IsLinkLocalUnicast() {
			if dev, err := net.InterfaceByIndex(int(zone)); err == nil {
				to = netip.AddrPortFrom(to.Addr().WithZone(dev.Name), to.Port())
			}
		}
	}
	var control []byte
	if b.anywhere {
		control = slices.Clone(source(b.controls[i][:b.in[i].Controllen]))
	}
	return func(wire []byte) error {
		_, _, err := b.conn.WriteMsgUDPAddrPort(wire, control, to)
		return err
	}
}

func (b *batch) stop() error { return b.conn.SetReadDeadline(longAgo) }

// shareable has a socket share its address with those that are bound after it, each of which then gets
// a part of the packets, by where they come from.
func shareable(raw syscall.RawConn) error {
	var failed error
	if err := raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}); err != nil {
		return err
	}
	return failed
}
