package dnsserver

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"time"
)

// batchSize is how many packets are received, and answered, at once.
const batchSize = 64

// packets is a UDP socket that receives what waits there, at most batchSize packets, and
// sends an answer to each of them: in one system call each way where the system can. One
// goroutine may use it, but for stop and send.
type packets interface {
	// receive waits for packets and returns how many there are. It fails with os.ErrDeadlineExceeded
	// after stop.
	receive() (int, error)
	// packet is the i-th that was received, until the next are.
	packet(i int) []byte
	// client is where it came from.
	client(i int) netip.AddrPort
	// answer is the buffer for its answer, and setAnswer sets what is to be sent: nothing, if it is empty.
	answer(i int) []byte
	setAnswer(i int, wire []byte)
	// flush sends the answers to the n packets that were received. What cannot be sent is
	// left out: to whom a packet cannot be sent now, another cannot be either.
	flush(n int)

	// later returns what sends an answer to the i-th packet after others have been received. It may be
	// called by any goroutine.
	later(i int) func(wire []byte) error
	// stop makes receive return, now and from now on.
	stop() error
}

// stopped reports whether a socket is to be read no more.
func stopped(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed)
}

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)
