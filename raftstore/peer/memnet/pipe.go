package memnet

import (
	"sync"
	"time"
)

// window is how many bytes may be sent that are not known to have been read.
const window = 64 << 10

// pipe is one direction of a connection. Everything is under the net's mutex.
type pipe struct {
	net  *Net
	path path
	// to is the end that reads.
	to *conn
	// changed wakes the reader and the writer.
	changed *sync.Cond

	flight []segment // sent and not arrived, in order
	timer  *time.Timer
	data   []byte // arrived and not read
	end    error  // arrived: what follows the data

	sent int  // bytes that the sender does not know to be read
	read int  // of those, the ones that are read
	shut bool // nothing more can be sent
}

// segment is bytes, or the end of them.
type segment struct {
	data []byte
	end  error
	due  time.Time
}

func newPipe(n *Net, p path) *pipe {
	return &pipe{net: n, path: p, changed: sync.NewCond(&n.mu)}
}

// send puts bytes, or the end, on their way.
func (p *pipe) send(data []byte, end error) {
	due := time.Now().Add(p.net.delay[p.path])
	if last := len(p.flight) - 1; last >= 0 && due.Before(p.flight[last].due) {
		due = p.flight[last].due // nothing overtakes
	}
	p.sent += len(data)
	p.flight = append(p.flight, segment{data, end, due})
	p.arrive()
}

// arrive takes in what is due, if the path is open.
func (p *pipe) arrive() {
	for len(p.flight) > 0 && p.net.isOpen(p.path) {
		s := p.flight[0]
		if wait := time.Until(s.due); wait > 0 {
			p.wakeIn(wait)
			return
		}
		p.flight = p.flight[1:]
		p.changed.Broadcast()
		if s.end == errReset {
			p.to.resetLocked()
		}
		switch {
		case p.end != nil:
		case s.end != nil:
			p.end = s.end
		case p.to.closed:
			// Nobody will read it, and the sender is told so.
			p.flight = nil
			p.to.out.reset()
		default:
			p.data = append(p.data, s.data...)
		}
	}
}

// wakeIn calls arrive later.
func (p *pipe) wakeIn(d time.Duration) {
	if p.timer != nil {
		p.timer.Stop()
	}
	p.timer = time.AfterFunc(d, func() {
		p.net.mu.Lock()
		p.arrive()
		p.net.mu.Unlock()
	})
}

// acknowledge tells the sender what has been read, once the path back is open.
func (p *pipe) acknowledge(n int) {
	p.read += n
	if p.read > 0 && p.net.isOpen(p.path.back()) {
		p.sent -= p.read
		p.read = 0
		p.changed.Broadcast()
	}
}

// reset sends a reset, after what was sent before.
func (p *pipe) reset() {
	p.shut = true
	p.send(nil, errReset)
}
