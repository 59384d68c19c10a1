//go:build !linux

package cli

import "os/exec"

// dieWithParent is for kernels that can do it: elsewhere a command outlives this process if that is killed.
func dieWithParent(*exec.Cmd) (done func()) { return func() {} }
