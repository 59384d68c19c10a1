package cli

import (
	"os/exec"
	"runtime"
	"syscall"
)

// dieWithParent has a command killed when this process dies without a word. The kernel goes by the
// thread that started it, which is therefore kept until done is called.
func dieWithParent(cmd *exec.Cmd) (done func()) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	runtime.LockOSThread()
	return runtime.UnlockOSThread
}
