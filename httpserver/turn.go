package httpserver

import (
	"io"
	"sync"
	"time"
)

// turn measures the time that somebody takes, with pauses while it is not theirs
// to act.
type turn struct {
	allowed time.Duration

	mu    sync.Mutex
	timer *time.Timer
	over  bool
}

// newTurn begins a turn. Should it last longer than allowed without a pause, late
// is called, by another goroutine.
func newTurn(allowed time.Duration, late func()) *turn {
	t := &turn{allowed: allowed}
	t.timer = time.AfterFunc(allowed, late)
	return t
}

func (t *turn) pause() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.over {
		t.timer.Stop()
	}
}

// resume goes on with the whole time anew.
func (t *turn) resume() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.over {
		t.timer.Reset(t.allowed)
	}
}

// end ends the turn; late is not called from then on, unless it has been.
func (t *turn) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	t.timer.Stop()
}

// turnReader reads for somebody whose turn it is not while they wait for what is
// read. An HTTP transport goes on reading a body after the answer has begun, which
// is why a turn may be over meanwhile.
type turnReader struct {
	r io.Reader
	t *turn
}

func (r turnReader) Read(p []byte) (int, error) {
	r.t.pause()
	defer r.t.resume()
	return r.r.Read(p)
}
