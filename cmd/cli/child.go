package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// exitError ends the program with a status of its own. If err is nil nothing is printed.
type exitError struct {
	status int
	err    error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("status %d", e.status)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// child is a command that is run for the user.
type child struct {
	argv  []string
	env   []string  // beside this process's
	stdin io.Reader // nil is this process's
	// grace is how long it may take to end after it was asked to, before it is killed.
	grace time.Duration
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// run runs it until it ends; when ctx does, it is asked to, with all that it started. A status
// other than 0 is an exitError; death by a signal has the status that shells give it, 128 and the signal's number.
func (c *child) run(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, c.argv[0], c.argv[1:]...)
	cmd.Env = append(os.Environ(), c.env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.stdin, os.Stdout, os.Stderr
	if c.stdin == nil {
		cmd.Stdin = os.Stdin
	}
	if c.stdin != nil || !isTerminal(os.Stdin) {
		ownGroup(cmd) // beside a terminal, which only the group in its foreground may read
	}
	defer dieWithParent(cmd)()
	ended := make(chan struct{})
	defer close(ended)
	cmd.Cancel = func() error {
		go func() {
			select {
			case <-ended:
			case <-time.After(c.grace):
				killGroup(cmd)
			}
		}()
		return askGroup(cmd)
	}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return &exitError{status: exitStatus(exit)}
	case err != nil && ctx.Err() == nil:
		return &exitError{status: 127, err: err} // it could not be started
	}
	return nil
}
