//go:build !bug_stale_read

package raftstore

// bugStaleRead plants a bug in a test build: reads are answered from what this server has, without asking
// whether a leader has more.
const bugStaleRead = false
