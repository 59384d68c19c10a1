//go:build chaos

package raftstore

import (
	"os"
	"time"

	"github.com/hashicorp/raft"
)

// chaosStallFile names the file for as long as which exists, appends to the log hang: a
// disk that takes no writes and reports no error.
var chaosStallFile = os.Getenv("HERALD_CHAOS_STALL")

// chaosStallPoll is how often a hanging append looks whether it may go on.
const chaosStallPoll = 5 * time.Millisecond

func stallable(l raft.LogStore) raft.LogStore {
	if chaosStallFile == "" {
		return l
	}
	return &hangingLog{l}
}

type hangingLog struct{ raft.LogStore }

func (s *hangingLog) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

func (s *hangingLog) StoreLogs(logs []*raft.Log) error {
	for {
		if _, err := os.Stat(chaosStallFile); err != nil {
			return s.LogStore.StoreLogs(logs)
		}
		time.Sleep(chaosStallPoll)
	}
}

// IsMonotonic says whether the store refuses gaps. Embedding alone would hide it.
func (s *hangingLog) IsMonotonic() bool {
	m, ok := s.LogStore.(raft.MonotonicLogStore)
	return ok && m.IsMonotonic()
}
