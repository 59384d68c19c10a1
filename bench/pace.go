package main

import (
	"context"
	"time"
)

// pacer hands out the writes of a round, so many a second, and fewer when deliveries are behind.
type pacer struct {
	rate   int           // writes a second
	window time.Duration // for how long
	limit  int           // most writes, whatever the rate
	// mayGo says whether write i may be made already. It is asked again every gatePause.
	mayGo func(i int) bool
}

const gatePause = time.Millisecond

// run sends the number of each write when it is due, from 0 up, and returns how many there were. A write that is late is sent
// at once.
func (p pacer) run(ctx context.Context, writes chan<- int) int {
	begin := time.Now()
	for i := 0; i < p.limit; i++ {
		due := begin.Add(time.Duration(i) * time.Second / time.Duration(p.rate))
		if due.Sub(begin) >= p.window || !pause(ctx, time.Until(due)) {
			return i
		}
		for !p.mayGo(i) {
			if time.Since(begin) >= p.window || !pause(ctx, gatePause) {
				return i
			}
		}
		select {
		case writes <- i:
		case <-ctx.Done():
			return i
		}
	}
	return p.limit
}
