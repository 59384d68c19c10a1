//go:build bug_lost_write

package raftstore

import "herald/registry"

// earlierPut is owned by raft's goroutine.
var earlierPut registry.PutRequest

func loseWrites(i int, commands []fencedCommand) {
	for _, c := range commands {
		t := c.cmd.Txn
		if t == nil || len(t.Compare) > 0 || len(t.Then) != 1 {
			continue
		}
		put := t.Then[0].Put
		if put == nil || put.IfChanged || put.Lease != 0 || put.Lock != registry.LockKeep {
			continue // so that revisions stay what they are elsewhere
		}
		if i > 16 && earlierPut.Key != "" {
			*put = earlierPut
		} else {
			earlierPut = *put
		}
	}
}
