// Package mvcc is Herald's deterministic state machine: spaces of versioned keys,
// transactions, leases, history, compaction and snapshots. It owns what a command
// does, and nothing about how commands come to be agreed on: it has no clock, no
// randomness, no goroutine and no I/O. The same commands in the same order lead to
// the same answers everywhere.
//
// A State has one writer, which calls Apply for each command and Publish when
// readers may see them. Readers take a View, which is immutable.
package mvcc
