// Command herald is the service registry: server, agent and command line in one.
package main

import (
	"os"

	"herald/cmd/cli"
	_ "herald/cmd/standard"
	"herald/registry/plugin"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], os.Stdout, os.Stderr, plugin.Default))
}
