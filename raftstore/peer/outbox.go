package peer

import (
	"context"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
)

// maxQueued is how many bytes wait to be written before senders have to wait. One
// message more may be on top.
const maxQueued = 4 << 20

// writeChunk is how much is written at a time, so that a long message shows progress.
const writeChunk = 256 << 10

// keptBuffer is the largest buffer that is used again.
const keptBuffer = 1 << 20

// fewBytes is what is not worth a write of its own while others are about to add to it.
const fewBytes = 4 << 10

// outbox gathers what many goroutines send on a connection. One goroutine writes all
// that is there, in one write, while the next batch is gathered.
type outbox struct {
	mu    sync.Mutex
	ready sync.Cond // something is to be written, or nothing will be any more

	buf, spare []byte
	// batch counts the buffers that were taken to be written: what was added while it
	// had the value it has now is untouched.
	batch uint64
	room  chan struct{} // closed when the buffer is taken; nil while nobody waits for it
	err   error         // why nothing is sent any more

	moved atomic.Bool // the network took something since the last beat
}

func (o *outbox) init() { o.ready.L = &o.mu }

// addLocked appends a frame, and wakes the writer unless more is about to come.
func (o *outbox) addLocked(h header, payload []byte, wake bool) {
	o.buf = appendFrame(o.buf, h, payload)
	if wake {
		o.ready.Signal()
	}
}

// waitRoomLocked waits until there is room, nothing is sent any more, or ctx ends, whose
// cause it then returns. It gives up the lock meanwhile.
func (o *outbox) waitRoomLocked(ctx context.Context) error {
	for o.err == nil && len(o.buf) >= maxQueued {
		if o.room == nil {
			o.room = make(chan struct{})
		}
		room := o.room
		o.mu.Unlock()
		select {
		case <-room:
			o.mu.Lock()
		case <-ctx.Done():
			o.mu.Lock()
			return context.Cause(ctx)
		}
	}
	return nil
}

// why is the first reason to end, nil before.
func (o *outbox) why() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// flush wakes the writer for what was added without.
func (o *outbox) flush() {
	o.mu.Lock()
	o.ready.Signal()
	o.mu.Unlock()
}

// endLocked ends the writer, and lets those who wait for room go.
func (o *outbox) endLocked(err error) {
	o.err = err
	o.ready.Signal()
	o.releaseLocked()
}

// releaseLocked lets those who wait for room look again.
func (o *outbox) releaseLocked() {
	if o.room != nil {
		close(o.room)
		o.room = nil
	}
}

// write writes what is added until it ends, or a write fails with the error returned.
func (o *outbox) write(w io.Writer) error {
	for {
		o.mu.Lock()
		for len(o.buf) == 0 && o.err == nil {
			o.ready.Wait()
		}
		if o.err == nil && len(o.buf) < fewBytes {
			// Who woke this goroutine is seldom alone: the others that can run add
			// theirs first, and a write is saved for each.
			o.mu.Unlock()
			runtime.Gosched()
			o.mu.Lock()
		}
		if o.err != nil {
			o.mu.Unlock()
			return nil
		}
		b := o.buf
		o.buf, o.spare = o.spare[:0], nil
		o.batch++
		o.releaseLocked()
		o.mu.Unlock()

		for rest := b; len(rest) > 0; {
			n, err := w.Write(rest[:min(len(rest), writeChunk)])
			if err != nil {
				return err
			}
			o.moved.Store(true)
			rest = rest[n:]
		}
		if cap(b) <= keptBuffer {
			o.mu.Lock()
			o.spare = b
			o.mu.Unlock()
		}
	}
}
