// Package storetest says what every registry.Store does, as tests, and has a Store
// that needs no disk and no network.
//
// Run is the conformance suite: a Store that passes it can stand wherever a Store is
// asked for. Memory is such a Store, on the same state machine (mvcc) and the same
// fan-out (watch) as the replicated one, for tests of what is built on a Store. It is a
// cluster of one that is always ready, unless a test says otherwise; its leases
// run out by the clock of package time, so that it lives in testing/synctest bubbles.
//
// The package refuses to know how a store is replicated. Each Memory owns one
// goroutine, which ends leases, and that of its hub; Close waits for both.
package storetest
