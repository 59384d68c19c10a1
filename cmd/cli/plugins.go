package cli

import (
	"github.com/spf13/cobra"
)

func (p *program) pluginsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "plugins",
		Short: "List what is compiled in: doors, kinds of health check, sources of services",
		Args:  args(cobra.NoArgs),
	}
	out := p.outputFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		type row struct {
			Type    string `json:"type"`
			Name    string `json:"name"`
			Summary string `json:"summary"`
		}
		var rows []row
		for _, d := range p.plugins.Doors() {
			rows = append(rows, row{"door", d.Name, d.Summary})
		}
		for _, c := range p.plugins.Checks() {
			rows = append(rows, row{"check", c.Name, c.Summary})
		}
		for _, s := range p.plugins.Sources() {
			rows = append(rows, row{"source", s.Name, s.Summary})
		}
		return out.table(rows, "TYPE\tNAME\tSUMMARY", func(line func(string, ...any)) {
			for _, r := range rows {
				line("%s\t%s\t%s", r.Type, r.Name, r.Summary)
			}
		})
	}
	return cmd
}
