//go:build !bug_lost_write

package raftstore

// bugLostWrite plants a bug in a test build: a server that catches up forgets to apply the last entry of a
// large batch.
const bugLostWrite = false
