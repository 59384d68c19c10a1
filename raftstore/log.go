package raftstore

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// raftLog lets raft and its stores log through slog. What they call info happens
// in every election and snapshot; a registry's operator wants it at debug level.
type raftLog struct {
	to   *slog.Logger
	name string
}

var _ hclog.Logger = (*raftLog)(nil)

func newRaftLog(to *slog.Logger, name string) *raftLog {
	return &raftLog{to: to.With("part", name), name: name}
}

// ordinary are messages that raft calls warnings though they are its ordinary course, with
// the level that they deserve here.
var ordinary = map[string]slog.Level{
	// Every start of a lone server, and every change of leader, begins with it. A leader that was
	// lost is seen by what follows.
	"heartbeat timeout reached, starting election": slog.LevelInfo,
}

func slogLevel(l hclog.Level) slog.Level {
	switch l {
	case hclog.Error:
		return slog.LevelError
	case hclog.Warn:
		return slog.LevelWarn
	case hclog.Trace:
		return slog.LevelDebug - 4
	default:
		return slog.LevelDebug
	}
}

func (l *raftLog) enabled(v hclog.Level) bool {
	return l.to.Enabled(context.Background(), slogLevel(v))
}

func (l *raftLog) Log(level hclog.Level, msg string, args ...any) {
	to := slogLevel(level)
	if v, ok := ordinary[msg]; ok && v < to {
		to = v
	}
	if !l.to.Enabled(context.Background(), to) {
		return
	}
	for i, a := range args {
		// hclog.Fmt carries a format and its operands; slog would print the slice.
		if f, ok := a.(hclog.Format); ok && len(f) > 0 {
			args[i] = fmt.Sprintf(fmt.Sprint(f[0]), f[1:]...)
		}
	}
	l.to.Log(context.Background(), to, msg, args...)
}

func (l *raftLog) Trace(msg string, args ...any) { l.Log(hclog.Trace, msg, args...) }
func (l *raftLog) Debug(msg string, args ...any) { l.Log(hclog.Debug, msg, args...) }
func (l *raftLog) Info(msg string, args ...any)  { l.Log(hclog.Info, msg, args...) }
func (l *raftLog) Warn(msg string, args ...any)  { l.Log(hclog.Warn, msg, args...) }
func (l *raftLog) Error(msg string, args ...any) { l.Log(hclog.Error, msg, args...) }

func (l *raftLog) IsTrace() bool { return l.enabled(hclog.Trace) }
func (l *raftLog) IsDebug() bool { return l.enabled(hclog.Debug) }
func (l *raftLog) IsInfo() bool  { return l.enabled(hclog.Info) }
func (l *raftLog) IsWarn() bool  { return l.enabled(hclog.Warn) }
func (l *raftLog) IsError() bool { return l.enabled(hclog.Error) }

func (l *raftLog) ImpliedArgs() []any { return nil }
func (l *raftLog) Name() string       { return l.name }

func (l *raftLog) With(args ...any) hclog.Logger {
	return &raftLog{to: l.to.With(args...), name: l.name}
}

func (l *raftLog) Named(name string) hclog.Logger      { return newRaftLog(l.to, name) }
func (l *raftLog) ResetNamed(name string) hclog.Logger { return newRaftLog(l.to, name) }

// SetLevel does nothing: the slog handler decides.
func (l *raftLog) SetLevel(hclog.Level) {}

func (l *raftLog) GetLevel() hclog.Level {
	for _, v := range []hclog.Level{hclog.Trace, hclog.Debug, hclog.Warn, hclog.Error} {
		if l.enabled(v) {
			return v
		}
	}
	return hclog.Off
}

func (l *raftLog) StandardLogger(o *hclog.StandardLoggerOptions) *log.Logger {
	return log.New(l.StandardWriter(o), "", 0)
}

func (l *raftLog) StandardWriter(*hclog.StandardLoggerOptions) io.Writer {
	return slog.NewLogLogger(l.to.Handler(), slog.LevelDebug).Writer()
}
