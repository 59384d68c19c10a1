package main

import (
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"
)

func TestFamilies(t *testing.T) {
	// A shell that waits for a shell that waits for cat, which ends with its input.
	cmd := exec.Command("sh", "-c", "sh -c 'cat; true'; true")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		in.Close()
		_ = cmd.Wait()
	}()
	var all []int
	for begin := time.Now(); len(all) != 3 && time.Since(begin) < 30*time.Second; {
		if all, err = families([]int{cmd.Process.Pid}); err != nil {
			t.Fatal(err)
		}
	}
	if len(all) != 3 || all[0] != cmd.Process.Pid || slices.Contains(all, os.Getpid()) {
		t.Fatalf("the processes of %d are %v", cmd.Process.Pid, all)
	}
	if err := gone(all, time.Millisecond); err == nil {
		t.Error("they are gone, while they run")
	}
	in.Close()
	// Without a Wait: the first one has ended, but is still in the list of processes.
	if err := gone(all, 30*time.Second); err != nil {
		t.Error(err)
	}
}
