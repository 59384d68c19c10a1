package mvcc

import (
	"fmt"

	"herald/registry"
	"herald/registry/cow"
)

// restoreGap is how far above everything known before a restore's revision lies. One
// would do for reads. But a watcher that was away during the restore asks for what
// follows the last revision it saw, which is that very one: it has to be refused like
// any revision before it.
const restoreGap = 2

// Supersede makes a state that was just decoded the successor of another one, of which
// floor are the revisions: the state after a restore, published. Clients of the other
// one hold revisions of it, and nothing that they were told may come again with another
// meaning:
//
//   - The revision of each space becomes higher than its own and than the other's. History
//     begins there: what reads or watches from before is a *CompactedError.
//   - The commit at that revision is by's and has no events, since the change from what
//     was is not known as such. A watcher that starts there, or one later, sees what is
//     written after the restore, and nothing of the restore itself.
//   - LastChange of every range is at least that revision: whoever waits for a range to
//     change reads it again.
//   - Keys are as they were, revisions, versions, leases and locks included: what is
//     compared with a key's own revision still compares alike if the key is the same.
//   - Leases are there with their whole time to live, since what they had left then, at
//     the time of the snapshot, says nothing of now. Their holders may not know yet
//     that they were away.
//
// The applied index is left for the caller to set, and then to publish. It fails with
// ErrCorrupt, the state being useless then, if there are no revisions left to go to,
// which commands cannot lead to.
func (s *State) Supersede(floor registry.Revisions, by registry.Origin) error {
	for id := range s.spaces {
		// Half of all revisions are left to count on with.
		if rev := max(s.spaces[id].rev, floor[id]); rev > maxRevision/2 {
			return fmt.Errorf("%w: space %v is at revision %d", registry.ErrCorrupt, registry.Space(id), rev)
		}
	}
	s.when = toUnixNano(by.When)
	s.cause = s.intern(cause{by.Who, by.Why})
	for id := range s.spaces {
		s.beginAgain(registry.Space(id), max(s.spaces[id].rev, floor[id])+restoreGap)
	}
	var noted []*lease
	s.leases.Scan(func(_ int64, l *lease) bool {
		if l.remaining != 0 {
			noted = append(noted, l)
		}
		return true
	})
	for _, l := range noted {
		whole := *l
		whole.remaining = 0
		s.setLease(&whole)
	}
	s.changed = ^change(0)
	s.Publish()
	return nil
}

// beginAgain has a space's history begin at rev, with an empty commit.
func (s *State) beginAgain(id registry.Space, rev int64) {
	sp := &s.spaces[id]
	sp.rev, sp.compacted, sp.restored = rev, rev, rev
	sp.versions, sp.versionBytes = 0, 0
	sp.log = newLog(rev)
	slot := sp.log.append(rev)
	slot.when, slot.cause = s.when, s.cause
	// That a key was deleted, also long ago, is now known only as some change up to rev.
	sp.dead, sp.deadFloor = cow.NewMap[string, int64](), rev
	s.graves[id] = newGraveyard()
	s.swept.next[id].rev, s.swept.next[id].event = rev+1, 0
}
