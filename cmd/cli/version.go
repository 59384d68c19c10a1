package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set at link time: -ldflags "-X herald/cmd/cli.version=v0.1.0".
var version = ""

// Version is Herald's version: the one it was linked with, else the module's.
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}

func (p *program) versionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  args(cobra.NoArgs),
	}
	out := p.outputFlag(cmd)
	cmd.RunE = func(*cobra.Command, []string) error {
		v := struct {
			Version string `json:"version"`
			Go      string `json:"go"`
			OS      string `json:"os"`
			Arch    string `json:"arch"`
		}{Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH}
		return out.print(v, func() error {
			_, err := fmt.Fprintf(p.out, "herald %s (%s, %s/%s)\n", v.Version, v.Go, v.OS, v.Arch)
			return err
		})
	}
	return cmd
}
