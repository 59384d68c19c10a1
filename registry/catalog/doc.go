// Package catalog says what nodes, service instances and checks are as keys of
// registry.SpaceCatalog, and keeps an index of them to answer from.
//
// It owns the key scheme (keys.go), the encoding of the records (record.go), the
// operations that write them (op.go, advertise.go), and a function of the keys:
// Index, an immutable picture of all nodes, services and checks at one revision.
// Catalog holds the current Index, feeds it from a store's watch and wakes those
// who wait for a part of it to change. It refuses to know how the store
// replicates, how an answer is spoken, and who runs the checks.
//
// # The index
//
// An Index and everything reached from it may be read by any number of
// goroutines, for as long as they like, and must not be modified. A commit makes
// a new Index that shares what the commit did not touch; the whole effect of a
// commit appears at once. A service's entry is replaced whenever anything in an
// answer about it may have changed, so what is derived from an entry (its lists,
// rendered answers) is kept with the entry and never invalidated.
//
// # Records that lack another
//
// Records may be written in any order, and lose what they refer to. An instance
// whose node has no record, and a check whose instance or node has none, are kept
// but in no answer, until the record they lack appears. So a writer that must
// split its work writes an instance's checks before the instance: no reader then
// takes an instance whose checks have not arrived for a healthy one.
//
// A record that cannot be read is counted, logged, and treated as absent.
//
// # Topics
//
// A Topic is a part of the catalog that can be waited for. Its revision is that
// of the last commit that changed an answer about it, may be too high (after a
// start or a restore, or for one of very many services that are gone), is never
// too low, and never goes down. A topic that does not exist has a revision too.
//
// # Goroutines
//
// The package starts none. Catalog.Follow works in its caller's, Wait and
// WaitRevision block their callers'.
package catalog
