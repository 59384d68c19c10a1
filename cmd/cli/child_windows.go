package cli

import "os/exec"

func ownGroup(*exec.Cmd) {}

// askGroup kills: Windows has no way to ask a process without a window to end.
func askGroup(cmd *exec.Cmd) error { return cmd.Process.Kill() }

func killGroup(*exec.Cmd) {}

func exitStatus(e *exec.ExitError) int { return e.ExitCode() }
