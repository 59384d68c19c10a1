package mvcc

import (
	"slices"
	"sync/atomic"

	"herald/registry"
	"herald/registry/cow"
)

// image is the whole replicated state, for reading. The writer has a working
// image that it changes; every View has one that never changes again.
type image struct {
	applied uint64
	spaces  [registry.NumSpaces]space
	leases  *cow.Map[int64, *lease]
	holds   *cow.Tree[hold]
}

// State is the state machine. One goroutine at a time may use it, the writer,
// except for View, which any may call at any time.
type State struct {
	image
	pending [registry.NumSpaces]pending
	graves  [registry.NumSpaces]graveyard
	swept   sweeper

	// changed says what differs from the view that was frozen last.
	changed change
	frozen  *View
	view    atomic.Pointer[View]

	// Of the command under way.
	when  int64
	cause *cause

	// leaseChanges and made are what the command under way did to leases.
	leaseChanges []LeaseChange
	made         []madeLease

	causes  map[cause]*cause
	choices []bool
	scratch []*record
	maxDead int // maxDead, but for tests of forgetting
}

// change is a set of trees; those of a space are shifted by the space.
type change uint32

const (
	leasesChanged change = 1 << iota
	holdsChanged

	keysChanged change = 1 << 8
	deadChanged change = 1 << 16
)

// New returns an empty state, published.
func New() *State {
	s := &State{
		image: image{
			leases: cow.NewMap[int64, *lease](),
			holds:  cow.NewTree(holdLess),
		},
		causes:  make(map[cause]*cause),
		maxDead: maxDead,
		swept:   sweeper{step: sweepStep},
	}
	for id := range s.spaces {
		s.spaces[id] = newSpace(registry.Space(id))
		s.graves[id] = newGraveyard()
	}
	s.Publish()
	return s
}

// Result is what a command did.
type Result struct {
	// Err is why the command changed nothing; for a revoke, that some of its leases
	// were not there, while the others have ended. It wraps the errors of package
	// registry.
	Err error
	// Txn is what a transaction did. Its ranges at an old revision are empty until
	// Complete is called.
	Txn *registry.TxnResult
	// Lease is what was granted.
	Lease registry.Lease
	// Missing are the leases of a revoke or a checkpoint that do not exist.
	Missing []registry.LeaseID
	// Leases are the leases that were granted or woken, or that ended, in that order. They are for
	// who applies the command: no encoding has them.
	Leases []LeaseChange
	// Revisions is where each space stood after the command.
	Revisions registry.Revisions

	late *late
}

// Apply executes one command, and does a bounded piece of the upkeep that
// compactions left. What it does depends on the commands applied before and on
// nothing else; an invalid command fails the same way everywhere. Readers see
// nothing of it before Publish. After the last command of a log entry the caller
// says so with SetApplied.
//
// Apply keeps no reference to c or to anything in it, unless DecodeCommand made
// c: then a record may take over its memory, and it must not be modified later.
func (s *State) Apply(c *Command) Result {
	res := s.apply(c)
	for id := range s.spaces {
		res.Revisions[id] = s.spaces[id].rev
	}
	if len(s.leaseChanges) > 0 {
		res.Leases = slices.Clone(s.leaseChanges)
		s.leaseChanges = s.leaseChanges[:0]
	}
	s.made = s.made[:0]
	s.sweep()
	return res
}

func (s *State) apply(c *Command) Result {
	if err := c.Validate(); err != nil {
		return Result{Err: err}
	}
	s.when = toUnixNano(c.Origin.When)
	s.cause = s.intern(cause{c.Origin.Who, c.Origin.Why})
	switch {
	case c.Txn != nil:
		return s.txn(c.Txn, c.data)
	case c.Grant != nil:
		return s.grant(c.Grant)
	case c.Revoke != nil:
		return s.revoke(c.Revoke)
	case c.Compact != nil:
		return Result{Err: s.compact(c.Compact)}
	default:
		return s.checkpoint(c.Checkpoint)
	}
}

func (s *State) txn(t *registry.Txn, data []byte) Result {
	seen := &s.image
	if bugLockTwice && len(t.Compare) > 0 && t.Compare[0].Target == registry.CompareLockHolder {
		seen = &s.View().image
	}
	s.choices = seen.choose(t, s.choices[:0])
	r := run{image: &s.image, state: s, choices: s.choices, data: data}
	res, err := r.txn(t)
	if err != nil {
		s.undo()
		return Result{Err: err}
	}
	s.commit()
	if r.late != nil {
		return Result{Txn: res, late: &late{s.freeze(), r.late}}
	}
	return Result{Txn: res}
}

// intern returns one pointer for equal causes. Identities are few; should they
// not be, forgetting them costs memory, not correctness.
func (s *State) intern(c cause) *cause {
	if s.cause != nil && *s.cause == c {
		return s.cause
	}
	p, ok := s.causes[c]
	if !ok {
		const many = 1 << 14
		if len(s.causes) >= many {
			clear(s.causes)
		}
		p = new(cause)
		*p = c
		s.causes[c] = p
	}
	return p
}

// SetApplied notes that the log was applied up to and with the entry at index. A
// view published in the middle of an entry still has the index before it: it does
// not contain the entry.
func (s *State) SetApplied(index uint64) {
	s.applied = index
	s.sweep()
}

// View returns the last published view. Any goroutine may call it.
func (s *State) View() *View { return s.view.Load() }

// Publish freezes the state as it is and makes that its View. It takes constant
// time; what the writer changes afterwards, it copies first.
func (s *State) Publish() *View {
	v := s.freeze()
	s.view.Store(v)
	return v
}

// freeze makes a view of the state as it is.
func (s *State) freeze() *View {
	v := &View{image: s.image}
	for id := range v.swept {
		v.swept[id] = s.sweptTo(registry.Space(id))
	}
	old := s.frozen
	if old == nil {
		old, s.changed = v, ^change(0)
	}
	for id := range v.spaces {
		to, from := &v.spaces[id], &old.spaces[id]
		to.keys, to.dead = from.keys, from.dead
		if s.changed&(keysChanged<<id) != 0 {
			to.keys = s.spaces[id].keys.Copy()
		}
		if s.changed&(deadChanged<<id) != 0 {
			to.dead = s.spaces[id].dead.Copy()
		}
	}
	v.leases, v.holds = old.leases, old.holds
	if s.changed&leasesChanged != 0 {
		v.leases = s.leases.Copy()
	}
	if s.changed&holdsChanged != 0 {
		v.holds = s.holds.Copy()
	}
	s.changed = 0
	s.frozen = v
	return v
}
