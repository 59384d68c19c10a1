// Command herald-plus is Herald with the plugins of this module compiled in.
package main

import (
	"os"

	"herald/cmd/cli"
	_ "herald/cmd/standard"
	"herald/registry/plugin"

	_ "example.com/herald-plus/banner"
	_ "example.com/herald-plus/line"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], os.Stdout, os.Stderr, plugin.Default))
}
