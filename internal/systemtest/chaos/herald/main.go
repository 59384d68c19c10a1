// Command herald, as it is tested under faults: what cmd/herald is, and beside it the door by
// which a test program drives the store itself. Built with the tag chaos, its clock and its
// disk can be made to misbehave from outside.
package main

import (
	"os"

	"herald/cmd/cli"
	_ "herald/cmd/standard"
	_ "herald/internal/systemtest/chaos/chaosdoor"
	"herald/registry/plugin"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], os.Stdout, os.Stderr, plugin.Default))
}
