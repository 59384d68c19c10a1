package history

import (
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

// Leased is what a client did with a lease of its own.
type Leased struct {
	Line
	Span
	Step  LeaseStep        `json:"step"`
	Lease registry.LeaseID `json:"lease"`
	TTL   time.Duration    `json:"ttl,omitempty"`
	Keys  []string         `json:"keys,omitempty"`
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
	// Guard writes to a resource that takes no token below one it has seen. It is not the
	// store's: nothing is sent.
	Guard LockStep = "guard"
)

// Locked is what a client did about a lock.
type Locked struct {
	Line
	Span
	Step  LockStep         `json:"step"`
	Lock  string           `json:"lock"`
	Lease registry.LeaseID `json:"lease"`
	TTL   time.Duration    `json:"ttl,omitempty"`
	// Missed says that somebody else held the lock, or that it or its lease was lost
	// (Hold, Release), or that the resource refused the token (Guard).
	Missed bool `json:"missed,omitempty"`
	// Token is the fencing token: the revision at which the lock was taken. Count is how
	// often it had been by then.
	Token int64  `json:"token,omitempty"`
	Count uint64 `json:"count,omitempty"`
}
