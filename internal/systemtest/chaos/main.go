//go:build linux

// Command chaos runs three real servers in a lab (package lab), does to them what happens to
// servers (fault), drives them meanwhile by concurrent clients through every door
// (workload), writes down what those saw (history), and judges it (check).
//
//	go run ./internal/systemtest/chaos -duration 30m -seed 1
//	go run ./internal/systemtest/chaos -short        what CI runs
//	go run ./internal/systemtest/chaos -bugs         the planted bugs, each of which must be caught
//	go run ./internal/systemtest/chaos -bug stale-read
//	go run ./internal/systemtest/chaos -check DIR    judges a history again
//
// It needs Linux and root; see package lab. It ends with status 0 if every promise was kept
// (with -bugs: if every planted bug was caught), with 1 and the history kept if one was not, and with 2 if the run itself failed.
//
// It owns the order of things and nothing else; its goroutines are those of the packages that
// it calls, and end with the calls.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"herald/internal/systemtest/chaos/check"
	"herald/internal/systemtest/chaos/lab"
)

// settings are the flags.
type settings struct {
	duration time.Duration
	seed     uint64
	nodes    int
	short    bool
	faults   string
	bug      string
	bugs     bool
	check    string
	keep     string
	race     bool

	// binary is told to the inner process by the outer one.
	binary string
}

// shortDuration is the run that CI has time for: every kind of fault comes at least once.
const shortDuration = 150 * time.Second

func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	f := flag.NewFlagSet("chaos", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.DurationVar(&s.duration, "duration", 5*time.Minute, "how long faults are injected")
	f.Uint64Var(&s.seed, "seed", 1, "what the faults and the clients' choices are drawn from")
	f.IntVar(&s.nodes, "nodes", 3, "how many servers")
	f.BoolVar(&s.short, "short", false, "the run that CI has time for")
	f.StringVar(&s.faults, "faults", "", "kinds of fault, separated by commas (default: all)")
	f.StringVar(&s.bug, "bug", "", "a bug to plant, which the run must catch")
	f.BoolVar(&s.bugs, "bugs", false, "plant every bug in turn")
	f.StringVar(&s.check, "check", "", "directory of a history to judge again")
	f.StringVar(&s.keep, "keep", "", "directory for the history and the servers' logs, which must be new (default: a temporary one, kept if a promise was not)")
	f.BoolVar(&s.race, "race", false, "build the servers with the race detector")
	f.StringVar(&s.binary, "binary", "", "servers' binary, if it is built already")
	if err := f.Parse(args); err != nil {
		return s, err
	}
	if f.NArg() > 0 {
		return s, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if s.short {
		s.duration = shortDuration
	}
	return s, nil
}

// errBroken says that the run itself went as it should and found a promise that was not kept.
var errBroken = errors.New("a promise was not kept")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		err = run(ctx, s)
	}
	switch {
	case errors.Is(err, errBroken):
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	case err != nil:
		fmt.Fprintln(os.Stderr, "chaos: the run failed:", err)
		os.Exit(2)
	}
}

func run(ctx context.Context, s settings) error {
	switch {
	case s.check != "":
		return judge(s.check, os.Stdout)
	case lab.Inside():
		return inside(ctx, s)
	case s.bugs:
		return catchAll(ctx, s)
	case s.bug != "":
		b, err := bugNamed(s.bug)
		if err != nil {
			return err
		}
		return catch(ctx, s, b)
	default:
		return outside(ctx, s)
	}
}

// judge judges a history and prints what it found.
func judge(dir string, w io.Writer) error {
	report, err := check.All(dir)
	if err != nil {
		return err
	}
	if err := report.Print(w); err != nil {
		return err
	}
	if !report.OK() {
		return errBroken
	}
	return nil
}
