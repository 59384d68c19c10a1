//go:build chaos

package raftstore

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestJumpedMovesTheWallAlone(t *testing.T) {
	t.Parallel()
	at := time.Now()
	for _, by := range []time.Duration{0, time.Second, -time.Second, 36 * time.Hour, -36 * time.Hour} {
		got := jumped(at, by)
		if d := got.Sub(at); d != 0 {
			t.Errorf("by %v: the monotonic reading moved by %v", by, d)
		}
		if d := got.Round(0).Sub(at.Round(0)); d != by {
			t.Errorf("by %v: the wall reading moved by %v", by, d)
		}
	}
}

func TestWrongClock(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "clock")
	say := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	at := time.Now()
	c := wrongClock{started: at, rate: 1}
	var last time.Time
	after := func(d time.Duration) (monotonic, wall time.Duration) {
		t.Helper()
		at = at.Add(d)
		got := c.read(at, file)
		if !last.IsZero() && got.Before(last) {
			t.Errorf("the monotonic reading went back by %v", last.Sub(got))
		}
		last = got
		return got.Sub(at).Round(time.Microsecond), got.Round(0).Sub(at.Round(0)).Round(time.Microsecond)
	}
	for _, step := range []struct {
		what            string
		file            string
		passes          time.Duration
		monotonic, wall time.Duration
	}{
		{"no file yet", "", time.Second, 0, 0},
		{"the wall jumps", "3h 1", time.Second, 0, 3 * time.Hour},
		{"it drifts from now on", "3h 1.1", time.Second, 0, 3 * time.Hour},
		{"a tenth of what passed", "3h 1.1", 10 * time.Second, time.Second, 3*time.Hour + time.Second},
		{"now it is slow", "0s 0.9", time.Second, 1100 * time.Millisecond, 1100 * time.Millisecond},
		{"and loses", "0s 0.9", 10 * time.Second, 100 * time.Millisecond, 100 * time.Millisecond},
		{"half a file", "0s", 10 * time.Second, -900 * time.Millisecond, -900 * time.Millisecond},
		{"nonsense", "0s -1", 10 * time.Second, -900 * time.Millisecond, -900 * time.Millisecond},
	} {
		if step.file != "" {
			say(step.file)
		}
		monotonic, wall := after(step.passes)
		if monotonic != step.monotonic || wall != step.wall {
			t.Errorf("%s: off by %v and %v, want %v and %v", step.what, monotonic, wall, step.monotonic, step.wall)
		}
	}
}
