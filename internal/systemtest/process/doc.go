// Package process runs the built binary for end-to-end tests: a single node, or a
// cluster of three servers, on loopback ports of their own, to be stopped, killed, frozen
// and started again by the test that owns them; and a real etcd in its place, for tests that
// would know whether it does the same.
//
// It knows the command line and the paths that probes ask, and nothing of what is
// It knows the command line, the paths that probes ask and how to put a document at a path, and nothing else of what is
// spoken over the doors: that is for the tests, with real clients.
//
// A process is ended when its test is, with what it printed if the test has failed. Goroutines
// of its own read what it prints and wait for its end; they have ended when Kill,
// Stop or the test's cleanup returns. Methods of one Process may be called by several goroutines,
// those that fail the test only by the test's own.
package process
