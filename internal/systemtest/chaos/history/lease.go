package history

import (
	"fmt"
	"time"

	"herald/registry"
)

// LeaseStep says what a client did with its lease.
type LeaseStep string

// What a client does with a lease.
const (
	// Grant makes it, with Keys attached to it in the same breath: the operation is over when
	// they are.
	Grant LeaseStep = "grant"
	// Renew keeps it alive.
	Renew LeaseStep = "renew"
	// Look reads one of the keys, linearizably.
	Look LeaseStep = "look"
	// Abandon is the client's silent death: it renews no more. Nothing is sent.
	Abandon LeaseStep = "abandon"
	// Revoke ends it.
	Revoke LeaseStep = "revoke"
)

// Holder is what keys live by and locks are held with: a lease, or a session of the HTTP API.
type Holder struct {
	Lease registry.LeaseID `json:"lease"`
	// Session is the session's id, "" for a lease.
	Session string `json:"session,omitempty"`
}

// Name says which it is.
func (h Holder) Name() string {
	if h.Session != "" {
		return "session " + h.Session
	}
	return fmt.Sprintf("lease %d", h.Lease)
}

// Leased is what a client did with a lease of its own, or a session that takes its keys along.
type Leased struct {
	Line
	Span
	Step LeaseStep `json:"step"`
	Holder
	TTL  time.Duration `json:"ttl,omitempty"`
	Keys []string      `json:"keys,omitempty"`
	// Found is how many of the keys a Look found.
	Found int `json:"found,omitempty"`
	// Gone is an answer: the lease does not exist (Renew), or none of the keys does (Look).
	// Outcome is then OK.
	Gone bool `json:"gone,omitempty"`
}

// LockStep says what a client did about a lock.
type LockStep string

// What a client does about a lock.
const (
	// Acquire takes the lock with a lease, if nobody holds it.
	Acquire LockStep = "acquire"
	// Hold renews the lease of the holder.
	Hold LockStep = "hold"
	// Release gives the lock back, or ends the lease.
	Release LockStep = "release"
	// End ends the session that the lock is held with, and does not give the lock back: its
	// lock delay begins.
	End LockStep = "end"
	// Guard writes to a resource that takes no token below one it has seen. It is not the
	// store's: nothing is sent.
	Guard LockStep = "guard"
)

// Locked is what a client did about a lock.
type Locked struct {
	Line
	Span
	Step LockStep `json:"step"`
	Lock string   `json:"lock"`
	Holder
	TTL time.Duration `json:"ttl,omitempty"`
	// Delay is the session's lock delay: how long nobody is to have a lock that was not given
	// back, from the end of the session on.
	Delay time.Duration `json:"delay,omitempty"`
	// Missed says that somebody else held the lock, or that it or its lease was lost
	// (Hold, Release), or that the resource refused the token (Guard).
	Missed bool `json:"missed,omitempty"`
	// Token is the fencing token: the revision at which the lock was taken. Count is how
	// often it had been by then.
	Token int64  `json:"token,omitempty"`
	Count uint64 `json:"count,omitempty"`
}
