//go:build !unix

package raftstore

import "time"

// cpuTime is not known here; benchmarks then report 0.
func cpuTime() time.Duration { return 0 }
