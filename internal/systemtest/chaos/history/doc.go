// Package history is what clients of a cluster saw, written down so that it can be judged
// afterwards, and judged again.
//
// It owns the records, one type for each kind of observation, and their form on disk: a
// directory with one file of JSON lines for each kind, only ever appended to. It refuses
// to know how observations are made (workload) and what they must satisfy (check).
//
// All times are read from one monotonic clock, that of the Recorder, as time since the
// recorder was made. No clock of a server under test appears in a history.
//
// The package has no goroutines. A Recorder may be used by any number of them.
package history
