//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"herald/internal/systemtest/chaos/lab"
)

// outside builds the servers and a lab, and runs the rest of this program in it.
func outside(ctx context.Context, s settings) (err error) {
	work, err := os.MkdirTemp("", "herald-chaos-run-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if s.binary == "" {
		s.binary = filepath.Join(work, "herald")
		if err := build(ctx, s.binary, tags(s.bug), s.race); err != nil {
			return err
		}
	}
	kept := s.keep != ""
	if !kept {
		if s.keep, err = os.MkdirTemp("", "herald-chaos-history-"); err != nil {
			return err
		}
	}
	err = inLab(ctx, s)
	if err == nil && !kept {
		return os.RemoveAll(s.keep)
	}
	fmt.Printf("\nthe history and the servers' logs are in %s; to judge them again:\n  go run ./internal/systemtest/chaos -check %s\n", s.keep, s.keep)
	return err
}

// inLab runs this program again, inside a lab that is removed whatever becomes of it.
func inLab(ctx context.Context, s settings) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	b, err := lab.Build(s.nodes)
	if err != nil {
		return err
	}
	err = b.Run(ctx, append([]string{self}, s.args()...))
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		err = errBroken // it has said which
	}
	return errors.Join(err, b.Remove())
}

// args are the flags that the inner process gets.
func (s *settings) args() []string {
	return []string{
		"-duration", s.duration.String(), "-seed", strconv.FormatUint(s.seed, 10), "-nodes", strconv.Itoa(s.nodes),
		"-faults", s.faults, "-bug", s.bug, "-keep", s.keep, "-binary", s.binary,
	}
}

// tags are the build tags of the servers: a bug's is its name, as tags are spelled.
func tags(bug string) string {
	if bug == "" {
		return "chaos"
	}
	return "chaos,bug_" + strings.ReplaceAll(bug, "-", "_")
}

func build(ctx context.Context, binary, tags string, race bool) error {
	args := []string{"build", "-tags", tags, "-o", binary}
	env := append(os.Environ(), "CGO_ENABLED=0")
	if race {
		args = append(args, "-race")
		env = append(os.Environ(), "CGO_ENABLED=1")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "herald/internal/systemtest/chaos/herald")...)
	cmd.Env = env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the servers: %w\n%s", err, out)
	}
	return nil
}
