package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

func (p *program) configCommand() *cobra.Command {
	return group(&cobra.Command{Use: "config", Short: "Show or check the configuration; get or put keys as one document"},
		p.configShowCommand(), p.configValidateCommand(), p.configGetCommand(), p.configPutCommand())
}

func (p *program) configShowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print every setting with its effective value and where that came from",
		Long: `Print every setting with its effective value and where that came from.

A flag beats the environment, which beats the file, which beats the default.
Some defaults depend on what is started: see --for.`,
		Args: args(cobra.NoArgs),
	}
	c := newConfig(p.plugins, cmd.Flags())
	c.addFlags()
	role := cmd.Flags().String("for", "server", "show what this would start with: "+strings.Join(roles, ", "))
	out := p.outputFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		if !slices.Contains(roles, *role) {
			return &usageError{fmt.Errorf("--for is %q: it is one of %s", *role, strings.Join(roles, ", "))}
		}
		c.startFrom(*role)
		if err := c.load(); err != nil {
			return err
		}
		list := c.effective()
		return out.table(list, "SETTING\tVALUE\tFROM", func(line func(string, ...any)) {
			for _, e := range list {
				line("%s\t%v\t%s", e.Name, e.Value, e.Source)
			}
		})
	}
	return cmd
}

func (p *program) configValidateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "validate FILE...",
		Short: "Check configuration files without starting anything",
		Args:  args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, files []string) error {
			var errs []error
			for _, file := range files {
				if err := p.validateFile(file); err != nil {
					errs = append(errs, err)
					continue
				}
				fmt.Fprintf(p.out, "%s: valid\n", file)
			}
			return errors.Join(errs...)
		},
	}
}

// validateFile loads a file as a process would, with no flags set.
func (p *program) validateFile(file string) error {
	c := newConfig(p.plugins, (&cobra.Command{Use: "validate"}).Flags())
	c.file = file
	return c.load()
}
