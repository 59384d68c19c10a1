package check

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"herald/registry"
)

// Exec is the kind that runs a command.
const Exec = "exec"

// RunsCommand reports whether checks of a kind run whatever command their definition says, so that who may
// register one may run anything.
func RunsCommand(kind string) bool { return kind == Exec || kind == Docker }

// outputGrace is how long output is still awaited after a command has ended.
// A process that it left behind may hold the pipe open for ever.
const outputGrace = time.Second

// NewExec makes a check that runs a command: exit status 0 is passing, 1 warning,
// anything else critical. What it printed is its output, the last of it if it
// is too much.
//
// Spec: args, the program and its arguments, or shell, a command line for the
// system's shell. When time is up the command is killed with all that it started.
func NewExec(d registry.CheckDefinition) (registry.Checker, error) {
	s := specOf(d, Exec)
	args, line := s.strings("args"), s.string("shell")
	switch {
	case len(args) > 0 && line != "":
		s.fail("shell", "cannot be given beside args")
	case line != "":
		args = shell(line)
	case len(args) == 0 || args[0] == "":
		s.fail("args", "is missing")
	}
	limit, err := outputLimit(d)
	if err != nil {
		return nil, err
	}
	if err := s.done(); err != nil {
		return nil, err
	}
	return &execCheck{args: args, limit: limit}, nil
}

type execCheck struct {
	args  []string
	limit int
}

func (c *execCheck) Check(ctx context.Context) (registry.HealthStatus, string) {
	out := &tail{max: c.limit}
	cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	cmd.Stdout, cmd.Stderr = out, out // one writer, so that the two keep their order
	cmd.WaitDelay = outputGrace
	ownGroup(cmd)
	cmd.Cancel = func() error { return killGroup(cmd) }

	started := time.Now()
	err := cmd.Run()
	if cause := ctx.Err(); err != nil && cause != nil {
		return registry.Critical, Cut(fmt.Sprintf("killed after %v, before it had ended (%v): %s",
			time.Since(started).Round(time.Millisecond), cause, out), c.limit)
	}
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // the latter ended well, but left its output open
		return registry.Passing, out.String()
	case errors.As(err, &exit) && exit.ExitCode() == 1:
		return registry.Warning, out.String()
	case errors.As(err, &exit):
		return registry.Critical, Cut(fmt.Sprintf("%s: %s", exit, out), c.limit)
	default:
		return registry.Critical, err.Error()
	}
}
