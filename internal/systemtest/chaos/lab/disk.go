//go:build linux

package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const (
	// diskBytes is the size of a node's disk: room for a log, its segments and the
	// snapshots. The image is sparse.
	diskBytes = 1 << 30
	diskImage = "disk.img"
	diskDir   = "disk"
	fillFile  = "fill"
)

func (n *Node) disk() string { return filepath.Join(n.dir, diskDir) }

// makeDisk makes and mounts the node's disk. The image is mounted in the mount
// namespace of this process, which its children share.
func (n *Node) makeDisk() error {
	if err := os.MkdirAll(n.disk(), 0o700); err != nil {
		return err
	}
	image := filepath.Join(n.dir, diskImage)
	f, err := os.Create(image)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(diskBytes), f.Close()); err != nil {
		return err
	}
	// -m 0: nothing is kept back for root, who runs the node.
	if err := run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1", image); err != nil {
		return err
	}
	if err := run("mount", "-o", "loop", image, n.disk()); err != nil {
		return err
	}
	n.mounted = true
	return nil
}

func (n *Node) unmount() error {
	if !n.mounted {
		return nil
	}
	n.mounted = false
	return run("umount", n.disk())
}

// Freeze makes everything hang that writes to the node's disk, as a disk does that does not
// answer; the process cannot even be killed then.
func (n *Node) Freeze() error {
	if n.frozen {
		return nil
	}
	n.frozen = true
	return run("fsfreeze", "--freeze", n.disk())
}

// Thaw ends Freeze.
func (n *Node) Thaw() error {
	if !n.frozen {
		return nil
	}
	n.frozen = false
	return run("fsfreeze", "--unfreeze", n.disk())
}

// Fill takes all space that is left on the node's disk, but for some bytes.
func (n *Node) Fill(leave int64) error {
	var s syscall.Statfs_t
	if err := syscall.Statfs(n.disk(), &s); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(n.disk(), fillFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	// What the file system needs to note where the file is comes out of the same space, so
	// the last bit is taken in small steps.
	left := int64(s.Bavail)*s.Bsize - leave
	at := int64(0)
	for step := left; step >= 4096; {
		err := syscall.Fallocate(int(f.Fd()), 0, at, step)
		switch {
		case err == nil:
			if at += step; at >= left {
				return nil
			}
			step = min(step, left-at)
		case errors.Is(err, syscall.ENOSPC):
			step /= 2
		default:
			return fmt.Errorf("fill the disk of %s: %w", n.Name, err)
		}
	}
	return nil
}

// Drain ends Fill.
func (n *Node) Drain() error {
	err := os.Remove(filepath.Join(n.disk(), fillFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// SetStall makes appends to the node's log hang, or not. Everything else on the disk works.
func (n *Node) SetStall(on bool) error {
	if on {
		return os.WriteFile(n.stallFile(), nil, 0o600)
	}
	err := os.Remove(n.stallFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// SetClock makes the node's clock wrong: its wall reading is off by jump, in whole seconds, and it
// runs at rate, from now on.
func (n *Node) SetClock(jump time.Duration, rate float64) error {
	tmp := n.clockFile() + ".new"
	if err := os.WriteFile(tmp, fmt.Appendf(nil, "%v %v\n", jump, rate), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, n.clockFile())
}

func (n *Node) stallFile() string { return filepath.Join(n.dir, "stall") }
func (n *Node) clockFile() string { return filepath.Join(n.dir, "clock") }
func (n *Node) logFile() string   { return filepath.Join(n.dir, "log") }
