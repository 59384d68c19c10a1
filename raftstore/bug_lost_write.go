//go:build bug_lost_write

package raftstore

const bugLostWrite = true
