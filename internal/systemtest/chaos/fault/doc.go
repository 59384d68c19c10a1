// Package fault does to a cluster in a lab what happens to clusters: one fault after the
// other, drawn from a seed, with at most a minority of the servers hit at a time but where
// a kind says otherwise. Beside them, small things happen that hit nobody: clocks jump and drift,
// history is compacted, snapshots are saved, leadership is handed on.
//
// It writes down what it did (history.Fault) and revives processes that ended by
// themselves, as a service manager would. It does not judge: whether the cluster kept its
// promises meanwhile is for package check.
//
// Run owns two goroutines, one for each kind of thing, and waits for them.
package fault
