// Package chaosdoor is a door through which a test program drives the whole of
// registry.Store in another process, and asks that process what no protocol of
// Herald's tells: how its state hashes. Client is the other side of the door, itself a
// registry.Store, so that one workload runs against a store in memory and against
// real servers. It is compiled into the binary under test only (see ../herald), and it
// is simple rather than fast: gob on TCP, one call at a time on a connection, one
// connection for each watcher.
//
// It knows nothing of faults, of what is run against it, or of how answers are judged.
//
// The door's Run owns the goroutine of each connection, and that one the goroutine of a
// Next under way. A Client starts one goroutine for each watcher, which ends when
// the watcher does; Client.Close ends all of them and waits.
package chaosdoor
