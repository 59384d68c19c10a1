package check

import (
	"os/exec"
	"strconv"
)

func shell(line string) []string { return []string{"cmd", "/C", line} }

func ownGroup(*exec.Cmd) {}

// killGroup kills the command and what it started: taskkill follows the tree of
// parents. The command itself is killed either way.
func killGroup(cmd *exec.Cmd) error {
	_ = exec.Command("taskkill", "/T", "/F", "/PID", strconv.Itoa(cmd.Process.Pid)).Run()
	return cmd.Process.Kill()
}
