package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"herald/client"
)

// The exit statuses of lock beside the command's own.
const (
	statusLockHeld = 123 // others had the lock for as long as it was waited for
	statusLockLost = 124
)

func (p *program) lockCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lock KEY -- COMMAND [ARGUMENT]...",
		Short: "Run a command while holding a lock",
		Long: `Wait for the lock of KEY and run a command while holding it; it is given back when the command ends.

If the lock is lost, because the servers could not be reached for the TTL or somebody took it away, the command is asked to end
(SIGTERM) and after the grace killed, with all that it started: then another may have it. A holder that dies without a word
keeps the lock for the TTL, twice that at most, and the lock delay; on Linux its command dies with it. Programs with Consul's clients take part in the same locks.

The exit status is the command's (128 and the number of the signal that ended it), 123 if others held
the lock for as long as it was waited for, 124 if the lock was lost, 127 if the command could not be started, and 1 for other failures.`,
		Args: args(func(cmd *cobra.Command, a []string) error {
			if len(a) < 2 || cmd.ArgsLenAtDash() != 1 {
				return errors.New("lock needs a key, --, and a command")
			}
			return nil
		}),
	}
	r := remoteFlags(cmd)
	f := cmd.Flags()
	host, _ := os.Hostname()
	var o client.LockOptions
	try := f.Bool("try", false, "do not wait for the lock")
	f.DurationVar(&o.Wait, "wait", 0, "how long to wait for the lock; 0 is as long as it takes")
	f.DurationVar(&o.TTL, "ttl", client.DefaultLockTTL, "how long the lock outlives a holder that dies")
	f.DurationVar(&o.LockDelay, "lock-delay", time.Second, "how long it is nobody's after the holder's session ended by itself")
	f.IntVar(&o.Holders, "n", 1, "how many may hold it at once; all who use KEY must agree on it")
	f.StringVar(&o.Name, "name", fmt.Sprintf("herald lock on %s, process %d", host, os.Getpid()), "what to call the holder")
	grace := f.Duration("grace", 5*time.Second, "how long the command may take to end after it was asked to")
	cmd.RunE = func(cmd *cobra.Command, a []string) error {
		switch {
		case *try && o.Wait != 0:
			return &usageError{errors.New("--try does not wait: give it or --wait")}
		case o.Wait < 0 || o.TTL <= 0 || o.LockDelay <= 0 || *grace < 0 || o.Holders < 1:
			return &usageError{errors.New("--ttl and --lock-delay are more than 0, --n is 1 or more, and --wait and --grace are not below 0")}
		case *try:
			o.Wait = -1
		}
		c, err := r.client()
		if err != nil {
			return err
		}
		run := &child{argv: a[1:], env: []string{"HERALD_LOCK_KEY=" + a[0]}, grace: *grace}
		err = c.WithLock(cmd.Context(), a[0], o, run.run)
		switch {
		case errors.Is(err, client.ErrLockHeld):
			return &exitError{statusLockHeld, err}
		case errors.Is(err, client.ErrLockLost):
			return &exitError{statusLockLost, err}
		case errors.Is(err, context.Canceled):
			return &exitError{statusInterrupted, nil}
		}
		return err
	}
	return cmd
}
