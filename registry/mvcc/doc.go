// Package mvcc is Herald's deterministic state machine: spaces of versioned keys,
// transactions, leases, history, compaction and snapshots. It owns what a command
// does and how state is kept; it refuses to know how commands come to be agreed
// on, what time it is, and who is listening. It has no clock, no randomness, no
// goroutine and no I/O: the same commands in the same order lead to the same
// answers everywhere, a year apart, on other machines.
//
// # Use
//
// A State has one writer, which calls Apply for each command of a log entry and
// Publish when readers may see what was done. Everything else reads a View: an
// immutable state that State.View returns at any time, to any goroutine, and that
// may be held for as long as it is useful. Readers and the writer never wait for
// each other.
//
// # What a space keeps
//
// Four commits to the kv space, which starts at revision 1:
//
//	2  put a=1
//	3  put b=1
//	4  put a=2, delete b      (one transaction)
//	5  put a=3
//
// leave it like this, a@4 being the version of a that revision 4 wrote and b@4x
// the tombstone of b:
//
//	keys   a@5                    the live keys
//	log    2 3 4 5                by revision: events, each with its record and the one before:
//	                              a@2, b@3, a@4 (a@2) b@4x (b@3), a@5 (a@4)
//	dead   b: 4                   deleted keys
//	rev 5, compacted never
//
// A read of the present looks at keys alone. A read at revision 3 takes, of a key that
// was written to since, what the first such event found before it, and of every other
// key what keys has: a@2 and b@3. Readers index the log by key where they need
// to; see past.go.
//
// Compacting at 4 makes revisions below 4 unreadable at once, and what only they
// needed is garbage: of every commit up to 4, the version that it superseded, and
// the tombstone it left.
//
//	keys   a@5
//	log    4 5                    4 stays, with what it deleted: a watcher may start there;
//	                              2 and 3 go when all of their chunk can
//	dead   b: 4                   stays, for LastChange
//	rev 5, compacted 4
//
// The garbage is not removed by the command that compacts: counting what a long history
// held would stall everybody. Each Apply sweeps a bounded number of events of the log, oldest
// first, until it reaches the compaction revision, and gives up the chunks that are
// done. Readers, hashes and snapshots cannot tell how far sweeping has come.
// testdata/compact.txt shows it step by step.
//
// # Decisions
//
//   - A transaction whose writes cancel out (a key created and deleted by it) still
//     makes a revision, with a commit that has no events: its results have named that
//     revision already. One that writes nothing at all moves nothing.
//   - A key deleted and put again by one transaction begins anew (version 1, created
//     now), with one put event that also has what was there before.
//   - Version grows by one for each revision that writes a key, also when a lease's
//     end frees its lock.
//   - LockAcquire fails with ErrLeaseNotFound for a holder that does not exist, as a
//     put attached to it would: nobody would ever release it.
//   - A revoke ends the leases that exist, each in a revision of its own, and reports
//     those that do not both as Missing and as ErrLeaseNotFound.
//   - A restore leaves revisions out (restoreGap), the only thing that does: no commit has
//     them, and history begins above them.
//   - Of the deleted keys, the last 262,144 are remembered (maxDead). What is forgotten
//     raises a floor under LastChange: it may then be too high, never too low.
//
// # Invariants
//
// Tests hold these; code relies on them.
//
//   - A record never changes once Publish may have shown it, and its memory is its
//     own. Readers get views of it.
//   - keys has exactly one record for each live key; the log has every version that was
//     superseded, and every tombstone, above the compaction revision.
//   - The log is dense: the commit of revision r is at index r-first. The writer
//     fills slots beyond what readers know of and never touches others.
//   - dead and keys have no key in common.
//   - holds has exactly the pairs of a lease and a key of which the key's record says
//     that it is attached to the lease, or locked by it; those leases exist.
//   - Whatever fails leaves no trace: a transaction changes only keys before
//     it commits, and undo takes that back.
//   - Nothing that is decided depends on what was swept, published or interned.
//
// # Costs
//
// n live keys, h events in the log, k keys in the answer, e events.
//
//	Get                      O(log n)
//	Range, by key            O(log n + k); counting beyond the limit O(log² n)
//	Range, sorted otherwise  O(log n + m log m) for m keys in the range
//	Get, old revision        O(log n + h/8192 · log h), the first read of a stretch O(its events · log) once
//	Range, old revision      as Get, and log(h/8192) for each of k and of the keys written since within it
//	LastChange               O(keys of the range, live and remembered)
//	put, delete of a key     O(log n), and copying the path once per publication
//	transaction              the sum of its operations but for its reads of old revisions, which
//	                         Result.Complete does; undoing it as much
//	end of a lease           O(keys of the lease · log n)
//	Compact                  O(1), and 64 + 2e events swept by each Apply after it
//	Publish                  O(1)
//	Commits                  O(1) to find, O(e) to yield
//	Encode, Decode, Hash     O(n + h), without holding up the writer
//
// A live key costs its key and value and about 130 bytes, its commit in the log
// included; BenchmarkMillion measures it.
package mvcc
