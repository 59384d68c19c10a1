//go:build !chaos

package raftstore

import "time"

// now is the clock by which the store decides: when leases end, how old history is, when
// a command was proposed. It is apart from time.Now so that a build with the tag chaos
// can be given a clock that jumps or drifts (see clock_chaos.go). What is only measured, such
// as how long an append took, is measured by time.Now.
func now() time.Time { return time.Now() }
