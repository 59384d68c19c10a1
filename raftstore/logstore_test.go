package raftstore

import (
	"testing"

	"github.com/hashicorp/raft"
)

func TestGuardedLogDeletes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name        string
		keep        uint64
		from, to    uint64
		first, last uint64 // that remain, of 1 to 20
	}{
		{"compaction within bounds", 15, 1, 10, 11, 20},
		{"compaction held back", 8, 1, 10, 8, 20},
		{"compaction while every entry is needed", 0, 1, 10, 1, 20},
		{"compaction of what is needed from the first", 1, 1, 10, 1, 20},
		{"a conflicting tail", 0, 15, 20, 1, 14},
		{"everything, after a snapshot from the leader", 0, 1, 20, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := &guardedLog{
				LogStore: raft.NewInmemStore(),
				keepFrom: func() (uint64, error) { return c.keep, nil },
				grew:     func(int64) {},
			}
			for i := range uint64(20) {
				if err := g.StoreLog(&raft.Log{Index: i + 1}); err != nil {
					t.Fatal(err)
				}
			}
			if err := g.DeleteRange(c.from, c.to); err != nil {
				t.Fatal(err)
			}
			first, _ := g.FirstIndex()
			last, _ := g.LastIndex()
			if first != c.first || last != c.last {
				t.Errorf("%d to %d remain, want %d to %d", first, last, c.first, c.last)
			}
		})
	}
}

func TestGuardedLogIsMonotonicAsItsStore(t *testing.T) {
	t.Parallel()
	if (&guardedLog{LogStore: raft.NewInmemStore()}).IsMonotonic() {
		t.Error("a store that takes gaps is called monotonic")
	}
	if !(&guardedLog{LogStore: &failingLog{}}).IsMonotonic() {
		t.Error("a store that refuses gaps is not called monotonic")
	}
}
