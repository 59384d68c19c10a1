//go:build !bug_lock_twice

package mvcc

// bugLockTwice plants a bug in a test build: whether a lock is free is decided on what was last published,
// so that two commands of one batch may both find it so.
const bugLockTwice = false
