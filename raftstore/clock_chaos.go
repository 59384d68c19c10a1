//go:build chaos

package raftstore

import (
	"bytes"
	"fmt"
	"os"
	"sync"
	"time"
	"unsafe"
)

// chaosClockFile names the file that says how this process's clock is wrong. It is read
// again and again while the process runs. It holds two words: what the wall reading is off by,
// as time.ParseDuration has it, and the rate at which the clock runs, 1 being right. No
// file, or an empty one, is a clock that is right from then on, but for what it gained before.
var chaosClockFile = os.Getenv("HERALD_CHAOS_CLOCK")

// chaosClockPoll is how old what is known of the file may be.
const chaosClockPoll = 20 * time.Millisecond

var chaosClock = wrongClock{started: time.Now(), rate: 1}

// now is a clock that can be wrong, as an operating system's can: its wall reading jumps, while
// the monotonic one does not, and both drift.
func now() time.Time {
	t := time.Now()
	if chaosClockFile == "" {
		return t
	}
	return chaosClock.read(t, chaosClockFile)
}

// wrongClock is the time as a wrong clock shows it.
type wrongClock struct {
	mu      sync.Mutex
	polled  time.Time
	started time.Time // when rate began to count
	gained  time.Duration
	rate    float64
	jump    time.Duration
}

func (c *wrongClock) read(t time.Time, file string) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.Sub(c.polled) >= chaosClockPoll {
		c.polled = t
		if b, err := os.ReadFile(file); err == nil {
			jump, rate := parseWrongness(b)
			c.gained += c.gainSince(t)
			c.started, c.rate, c.jump = t, rate, jump
		}
	}
	return jumped(t.Add(c.gained+c.gainSince(t)), c.jump)
}

func (c *wrongClock) gainSince(t time.Time) time.Duration {
	return time.Duration(float64(t.Sub(c.started)) * (c.rate - 1))
}

// parseWrongness reads the file. A file that is being written reads as one that says nothing.
func parseWrongness(b []byte) (jump time.Duration, rate float64) {
	var offset string
	if _, err := fmt.Fscan(bytes.NewReader(b), &offset, &rate); err != nil || rate <= 0 {
		return 0, 1
	}
	jump, err := time.ParseDuration(offset)
	if err != nil {
		return 0, 1
	}
	return jump, rate
}

// jumped moves a time's wall reading by whole seconds and leaves its monotonic reading. The
// time package has no way to say that: Add moves both. So it is done to the representation,
// which TestJumpedMovesTheWallAlone pins: with a monotonic reading, the first word holds
// a flag, 33 bits of seconds and 30 of nanoseconds.
func jumped(t time.Time, by time.Duration) time.Time {
	const flag = 1 << 63
	word := (*uint64)(unsafe.Pointer(&t))
	*word = *word&flag | (*word+uint64(by/time.Second)<<30)&^flag
	return t
}
