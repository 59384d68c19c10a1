package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// output is the form that a command's result is printed in.
type output struct {
	format string
	w      io.Writer
}

// outputFlag gives a command the flag --output.
func (p *program) outputFlag(cmd *cobra.Command) *output {
	o := &output{w: p.out}
	cmd.Flags().StringVarP(&o.format, "output", "o", "text", "form of the result: text or json")
	return o
}

// print prints v as JSON, or calls text.
func (o *output) print(v any, text func() error) error {
	switch o.format {
	case "text":
		return text()
	case "json":
		e := json.NewEncoder(o.w)
		e.SetIndent("", "  ")
		return e.Encode(v)
	default:
		return &usageError{fmt.Errorf("--output is %q: it is text or json", o.format)}
	}
}

// table prints v as JSON, or its rows in columns under a heading.
func (o *output) table(v any, heading string, rows func(line func(format string, args ...any))) error {
	return o.print(v, func() error {
		t := tabwriter.NewWriter(o.w, 0, 8, 2, ' ', 0)
		fmt.Fprintln(t, heading)
		rows(func(format string, args ...any) { fmt.Fprintf(t, format+"\n", args...) })
		return t.Flush()
	})
}
