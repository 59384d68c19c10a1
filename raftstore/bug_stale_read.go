//go:build bug_stale_read

package raftstore

const bugStaleRead = true
