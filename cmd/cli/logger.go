package cli

import (
	"fmt"
	"io"
	"log/slog"
)

// logger is the process's log, of the level that c.level is at the time.
func (c *config) logger(w io.Writer) *slog.Logger {
	level, _ := parseLevel(c.core.Log.Level) // validated by load
	c.level.Set(level)
	opts := &slog.HandlerOptions{Level: &c.level}
	if c.core.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

func parseLevel(s string) (slog.Level, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(s)); err != nil {
		return 0, fmt.Errorf("log.level is %q: it is debug, info, warn or error", s)
	}
	return l, nil
}
