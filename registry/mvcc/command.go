package mvcc

import (
	"fmt"
	"time"

	"herald/registry"
)

// Command is one step of the state machine: what a raft entry carries. Exactly
// one of the pointers is set.
type Command struct {
	Origin     registry.Origin
	Txn        *registry.Txn
	Grant      *LeaseGrant
	Revoke     *LeaseRevoke
	Compact    *Compact
	Checkpoint *LeaseCheckpoint

	// data is the memory that DecodeCommand made for key and value of a command that
	// is one put; a record takes it over.
	data []byte
}

// LeaseGrant makes a lease. The id is chosen before it is proposed.
type LeaseGrant struct {
	ID  registry.LeaseID
	TTL time.Duration
}

// LeaseRevoke ends leases, each with its keys in one revision of each space.
// Those that do not exist are told in the result; the others end all the same.
type LeaseRevoke struct {
	IDs []registry.LeaseID
}

// Compact forgets the history of a space below a revision.
type Compact struct {
	Space    registry.Space
	Revision int64
}

// LeaseCheckpoint notes what leases have left to live, for the next leader.
type LeaseCheckpoint struct {
	Remaining []LeaseRemaining
}

// LeaseRemaining is what one lease has left; 0 says that nothing is noted.
type LeaseRemaining struct {
	ID        registry.LeaseID
	Remaining time.Duration
}

// Validate says what is wrong with the command in itself, whatever the state:
// ErrInvalid, ErrEmptyKey, ErrInvalidTTL, ErrTooLarge. Apply refuses what it
// refuses; calling it earlier spares a log entry.
func (c *Command) Validate() error {
	set := 0
	var err error
	if c.Txn != nil {
		set, err = set+1, validateTxn(c.Txn, 0)
	}
	if c.Grant != nil {
		set, err = set+1, c.Grant.validate()
	}
	if c.Revoke != nil {
		set++
	}
	if c.Compact != nil {
		set, err = set+1, c.Compact.validate()
	}
	if c.Checkpoint != nil {
		set, err = set+1, c.Checkpoint.validate()
	}
	if set != 1 {
		return fmt.Errorf("%w: a command has %d kinds set, not one", registry.ErrInvalid, set)
	}
	return err
}

func (g *LeaseGrant) validate() error {
	if g.ID == 0 {
		return fmt.Errorf("%w: a lease needs an id other than 0", registry.ErrInvalid)
	}
	return validTTL(g.TTL)
}

func (c *Compact) validate() error {
	if !c.Space.Valid() {
		return invalidSpace(c.Space)
	}
	return nil
}

func (c *LeaseCheckpoint) validate() error {
	for _, r := range c.Remaining {
		if err := validTTL(r.Remaining); err != nil {
			return fmt.Errorf("lease %d: %w", r.ID, err)
		}
	}
	return nil
}

func writesError() error {
	return fmt.Errorf("%w: a transaction that writes cannot run on a view", registry.ErrInvalid)
}
