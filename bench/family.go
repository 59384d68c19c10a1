package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"
)

// families are the processes given, and behind them all that they started, and so on: a server may be several. Nobody else's are
// among them.
func families(pids []int) ([]int, error) {
	children, err := childrenOf()
	if err != nil {
		return nil, err
	}
	all := slices.Clone(pids)
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all, nil
}

// childrenOf has the children of each process that has any.
func childrenOf() (map[int][]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list the processes, for which this must be Linux: %w", err)
	}
	children := map[int][]int{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if p, err := readProcess(e.Name()); err == nil { // else it has ended
			children[p.parent] = append(children[p.parent], pid)
		}
	}
	return children, nil
}

// gone waits until none of some processes is there, for so long at most.
func gone(pids []int, most time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	for _, pid := range pids {
		for {
			if p, err := readProcess(strconv.Itoa(pid)); err != nil || p.ended {
				break
			}
			if !pause(ctx, 5*time.Millisecond) {
				return fmt.Errorf("process %d is still there %v after it was killed", pid, most)
			}
		}
	}
	return nil
}
