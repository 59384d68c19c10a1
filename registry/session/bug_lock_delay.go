//go:build bug_lock_delay

package session

const bugLockDelay = true
