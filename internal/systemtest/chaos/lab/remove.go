//go:build linux

package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// removeStale removes the labs whose outer process is gone.
func removeStale() error {
	dirs, err := filepath.Glob(filepath.Join(base, prefix+"*"))
	if err != nil {
		return err
	}
	var errs []error
	for _, dir := range dirs {
		l, err := lock(dir)
		switch {
		case errors.Is(err, syscall.EWOULDBLOCK), errors.Is(err, fs.ErrNotExist):
			continue // it lives, or somebody else is removing it
		case err != nil:
			errs = append(errs, err)
			continue
		}
		errs = append(errs, remove(dir))
		l.Close()
	}
	return errors.Join(errs...)
}

// remove ends the processes in a lab's namespaces and removes those and its directory.
func remove(dir string) error {
	names, err := namespaces(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, ns := range names {
		errs = append(errs, endProcesses(dir, ns))
	}
	for _, ns := range names {
		errs = append(errs, run("ip", "netns", "delete", ns))
	}
	if err := errors.Join(errs...); err != nil {
		return err // the directory stays, so that it is tried again
	}
	// Mounts have gone with the processes that had them.
	return os.RemoveAll(dir)
}

// namespaces are the network namespaces of a lab.
func namespaces(dir string) ([]string, error) {
	out, err := output("", "ip", "netns", "list")
	if err != nil {
		return nil, err
	}
	var names []string
	for line := range strings.Lines(out) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.HasPrefix(name, filepath.Base(dir)+"-") {
			names = append(names, name)
		}
	}
	return names, nil
}

// endProcesses kills what runs in a namespace. One that writes to a frozen disk cannot even be
// killed, so disks are thawed first.
func endProcesses(dir, ns string) error {
	for deadline := time.Now().Add(20 * time.Second); ; {
		pids, err := processes(ns)
		if err != nil || len(pids) == 0 {
			return err
		}
		for _, pid := range pids {
			thawAll(dir, pid)
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("processes %v in namespace %s do not end", pids, ns)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func processes(ns string) ([]int, error) {
	out, err := output("", "ip", "netns", "pids", ns)
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, field := range strings.Fields(out) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			return nil, fmt.Errorf("ip netns pids %s: %w", ns, err)
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// thawAll thaws the disks that a process sees. That one is not mounted or not frozen is
// the usual case.
func thawAll(dir string, pid int) {
	disks, _ := filepath.Glob(filepath.Join(dir, "n*", diskDir))
	for _, disk := range disks {
		_ = run("nsenter", "--target", strconv.Itoa(pid), "--mount", "fsfreeze", "--unfreeze", disk)
	}
}
