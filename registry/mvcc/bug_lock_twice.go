//go:build bug_lock_twice

package mvcc

const bugLockTwice = true
