// Package node is one running Herald process: a store (on a server), a live
// catalog, the local agent, and the doors it was given. Production and tests
// boot the same object.
//
// It owns the order of starting and stopping, readiness, and the process's
// metrics; it refuses to know any protocol, any file format and any flag.
//
// Start: the store, then the doors' sockets, then everything that runs. Stop: the
// doors drain first, side by side; then the agent withdraws what it advertised;
// then the catalog stops following; the store closes last, so that all of the
// others could still use it.
//
// Goroutines, all owned by Run, which waits for each of them:
//
//	catalog   Catalog.Follow, feeds the catalog from the store     (servers only)
//	agent     Agent.Run, keeps the lease and the advertised records
//	door      Door.Run, one for each door
//	source    Source.Run, one for each source of services
//	store     waits for the store to fail                           (servers only)
package node
