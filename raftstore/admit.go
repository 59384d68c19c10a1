package raftstore

import (
	"fmt"

	"herald/registry"
)

// admitCommand says why the log takes no commands now.
func (s *Store) admitCommand() error {
	if s.log.full.Load() {
		return fmt.Errorf("%w: less than %d bytes are free in %s: free some; writes then go on by themselves", registry.ErrDiskFull, s.cfg.DiskReserve, s.dir.path)
	}
	return nil
}

// admit refuses transactions that may add to the state while it is over its limit.
func (s *Store) admit(t *registry.Txn) error {
	if s.cfg.MemoryLimit == 0 || !puts(t) {
		return nil
	}
	n := s.machine.View().Size().Memory()
	if n > s.crowdedAt() {
		select {
		case s.crowded <- struct{}{}:
		default:
		}
	}
	if n > s.cfg.MemoryLimit {
		return fmt.Errorf("%w: %d bytes in use, the limit is %d", registry.ErrResourceExhausted, n, s.cfg.MemoryLimit)
	}
	return nil
}

func puts(t *registry.Txn) bool {
	for _, ops := range [][]registry.Op{t.Then, t.Else} {
		for i := range ops {
			if ops[i].Put != nil || ops[i].Txn != nil && puts(ops[i].Txn) {
				return true
			}
		}
	}
	return false
}
