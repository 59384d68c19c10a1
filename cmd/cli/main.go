package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"herald/registry/plugin"
)

// program is what every command needs to know.
type program struct {
	plugins *plugin.Registry
	out     io.Writer // what was asked for
	err     io.Writer // what goes on meanwhile
}

// Main runs the command line and returns the exit status: 0, 1 for a failure,
// 2 for a command line that makes no sense; lock and watch have more (see their help). SIGINT and SIGTERM end what runs in
// an orderly way; a second one ends the process at once.
func Main(args []string, stdout, stderr io.Writer, plugins *plugin.Registry) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second signal has its default effect

	root := (&program{plugins: plugins, out: stdout, err: stderr}).root()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	var exit *exitError
	if errors.As(err, &exit) {
		if exit.err != nil {
			fmt.Fprintln(stderr, "herald:", exit.err)
		}
		return exit.status
	}
	fmt.Fprintln(stderr, "herald:", err)
	var usage *usageError
	if errors.As(err, &usage) {
		return 2
	}
	return 1
}

func (p *program) root() *cobra.Command {
	root := group(&cobra.Command{
		Use:           "herald",
		Short:         "Herald is a service registry: one store for Consul's HTTP API, DNS and more",
		SilenceUsage:  true,
		SilenceErrors: true,
	},
		p.devCommand(), p.serverCommand(), p.agentCommand(),
		p.kvCommand(), p.lockCommand(), p.watchCommand(), p.serviceCommand(), p.membersCommand(), p.joinCommand(), p.leaveCommand(), p.snapshotCommand(), p.healthCommand(),
		p.configCommand(), p.pluginsCommand(), p.versionCommand(),
	)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
	})
	root.InitDefaultCompletionCmd()
	return root
}

// usageError is a command line that makes no sense.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// args wraps a rule on arguments so that breaking it is a usage error.
func args(rule cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := rule(cmd, args); err != nil {
			return &usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
		}
		return nil
	}
}

// group makes a command that only holds others. Naming none of them shows the
// help; naming one that does not exist is a usage error.
func group(cmd *cobra.Command, commands ...*cobra.Command) *cobra.Command {
	cmd.AddCommand(commands...)
	cmd.SuggestionsMinimumDistance = 2
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		hint := "; see " + cmd.CommandPath() + " --help"
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			hint = fmt.Sprintf("; did you mean %q?", near[0])
		}
		return &usageError{fmt.Errorf("%s has no command %q%s", cmd.CommandPath(), args[0], hint)}
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := cmd.Help(); err != nil || !cmd.HasParent() {
			return err
		}
		return &usageError{fmt.Errorf("%s needs a command", cmd.CommandPath())}
	}
	return cmd
}
