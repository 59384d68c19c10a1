//go:build unix

package check

import (
	"os/exec"
	"syscall"
)

func shell(line string) []string { return []string{"/bin/sh", "-c", line} }

// ownGroup has the command lead a process group of its own, so that what it
// starts can be killed with it.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func killGroup(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
