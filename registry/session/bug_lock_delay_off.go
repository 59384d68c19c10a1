//go:build !bug_lock_delay

package session

// bugLockDelay plants a bug in a test build: a lock delay begins when the lock is taken, not when its session ends.
const bugLockDelay = false
