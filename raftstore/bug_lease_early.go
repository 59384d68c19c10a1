//go:build bug_lease_early

package raftstore

const bugLeaseEarly = true
