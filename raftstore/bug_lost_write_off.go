//go:build !bug_lost_write

package raftstore

// loseWrites plants a bug in a test build: a server that catches up in large batches puts what an
// earlier entry put once more, instead of what a later one does. It is given the commands
// of the i-th entry of a batch.
func loseWrites(int, []fencedCommand) {}
