package node

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestLogTapFollowers(t *testing.T) {
	var own bytes.Buffer
	tap := newLogTap(slog.NewTextHandler(&own, &slog.HandlerOptions{Level: slog.LevelWarn}))
	log := slog.New(tap)
	part := log.With("part", "x").WithGroup("g").With("a", 1) // made before anyone follows
	if log.Enabled(t.Context(), slog.LevelInfo) {
		t.Error("what nobody wants is enabled")
	}
	text, stopText := tap.Follow(slog.LevelDebug, false)
	json, stopJSON := tap.Follow(slog.LevelError, true)
	part.Debug("quiet", "k", "v")
	part.Error("loud")
	log.Debug("plain")
	line := func(lines <-chan []byte) string {
		select {
		case l := <-lines:
			return string(l)
		default:
			return ""
		}
	}
	for _, want := range []string{"msg=quiet part=x g.a=1 g.k=v\n", "msg=loud part=x g.a=1\n", "msg=plain\n", ""} {
		if got := line(text); !strings.HasSuffix(got, want) || want == "" && got != "" {
			t.Errorf("as text %q, want one that ends in %q", got, want)
		}
	}
	if got := line(json); !strings.Contains(got, `"msg":"loud","part":"x","g":{"a":1}`) {
		t.Errorf("as JSON %q", got)
	}
	if got := own.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "loud") {
		t.Errorf("the log itself has %q", got)
	}
	stopText()
	stopText()
	stopJSON()
	log.Error("after")
	if got := line(text) + line(json); got != "" {
		t.Errorf("after the end %q", got)
	}
	if log.Enabled(t.Context(), slog.LevelDebug) {
		t.Error("what nobody wants any more is enabled")
	}
}

// A follower that does not read holds nobody up, and what it can still take is whole lines.
func TestLogTapNeverWaits(t *testing.T) {
	tap := newLogTap(slog.DiscardHandler)
	log := slog.New(tap)
	lines, stop := tap.Follow(slog.LevelInfo, false)
	defer stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range logLines + 100 {
			log.Info("line", "n", i)
		}
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("logging waits for one who does not read")
	}
	for i := range logLines {
		if l := string(<-lines); !strings.HasSuffix(l, fmt.Sprintf(" n=%d\n", i)) {
			t.Fatalf("line %d is %q", i, l)
		}
	}
	select {
	case l := <-lines:
		t.Errorf("a line too many: %q", l)
	default:
	}
}

func TestLogTapManyAtOnce(t *testing.T) {
	tap := newLogTap(slog.DiscardHandler)
	log := slog.New(tap)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for ctx.Err() == nil {
				log.With("a", 1).Info("m")
			}
		})
	}
	for range 50 {
		lines, stop := tap.Follow(slog.LevelInfo, false)
		if l := string(<-lines); !strings.HasSuffix(l, "msg=m a=1\n") {
			t.Errorf("line %q", l)
		}
		stop()
	}
	cancel()
	all.Wait()
}
