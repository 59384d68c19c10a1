//go:build !chaos

package raftstore

import "github.com/hashicorp/raft"

// stallable is the log as it is. A build with the tag chaos can make its appends hang.
func stallable(l raft.LogStore) raft.LogStore { return l }
