//go:build unix

package cli

import (
	"os/exec"
	"syscall"
)

// ownGroup has a command be the head of a process group, so that what it starts can be ended with
// it.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func askGroup(cmd *exec.Cmd) error { return signalGroup(cmd, syscall.SIGTERM) }

func killGroup(cmd *exec.Cmd) { _ = signalGroup(cmd, syscall.SIGKILL) }

// signalGroup sends a signal to a command, and to its group if it has its own.
func signalGroup(cmd *exec.Cmd, s syscall.Signal) error {
	if cmd.SysProcAttr == nil || !cmd.SysProcAttr.Setpgid {
		return cmd.Process.Signal(s)
	}
	return syscall.Kill(-cmd.Process.Pid, s)
}

func exitStatus(e *exec.ExitError) int {
	if w, ok := e.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return 128 + int(w.Signal())
	}
	return e.ExitCode()
}
