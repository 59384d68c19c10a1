//go:build !bug_lease_early

package raftstore

// bugLeaseEarly plants a bug in a test build: a new leader starts leases with a part of their time.
const bugLeaseEarly = false
