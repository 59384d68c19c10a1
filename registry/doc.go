// Package registry is Herald's vocabulary: what a key, a lease, a service and
// a change are, the contract every store keeps, and every error, once.
//
// It refuses to know how any of it is stored, replicated or spoken. It imports
// the standard library only, starts no goroutine and holds no state; the types
// are plain values. Packages below it (mvcc, watch, catalog, plugin) say how;
// raftstore replicates; the doors translate at their edges.
//
// Words, used the same way everywhere:
//
//   - revision: a space's count of transactions that wrote to it. An empty space
//     is at revision 1; the first write makes 2; it grows by exactly one each.
//   - version: how many times one key was put since it was last created.
//   - index: a position in the raft log, never shown to a client.
//   - lease: an identity with a time to live. Keys attach to it and go with it.
//   - instance: one registered endpoint of a service.
//
// Byte slices that a store hands out (values, events) are shared with the store
// and with other readers. They must not be modified.
package registry
