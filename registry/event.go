package registry

import "time"

// EventType says what happened to a key.
type EventType uint8

// What can happen to a key.
const (
	EventPut EventType = iota
	EventDelete
)

// Event is what one commit did to one key.
type Event struct {
	Type EventType
	// Seq is the event's place among its commit's, from 0, in the order in which the
	// operations of the transaction first wrote to the keys; a deletion of several keys
	// goes in key order.
	Seq uint32
	// KV is the key after the event. Of a deleted key only Key and ModRevision
	// (the revision of the deletion) are set.
	KV KeyValue
	// Prev is the key before the event, or nil if it did not exist.
	Prev *KeyValue
}

// IsCreate reports whether the event brought the key into being.
func (e *Event) IsCreate() bool {
	return e.Type == EventPut && e.KV.CreateRevision == e.KV.ModRevision
}

// Commit is everything that one transaction did to one space. Events are in
// key order, at most one for each key; Event.Seq says what came before what.
//
// A Commit is immutable and shared by all who read it.
type Commit struct {
	Revision int64
	Events   []Event
	Origin   Origin
}

// Reason says why something was written.
type Reason uint8

// Why something was written.
const (
	// ReasonClient is a client's own request.
	ReasonClient Reason = iota
	// ReasonLeaseEnd is the end of a lease, by its clock.
	ReasonLeaseEnd
	// ReasonCheck is a health check that changed its status.
	ReasonCheck
	// ReasonSessionEnd is the end of a session other than by its clock.
	ReasonSessionEnd
	// ReasonAgent is an agent bringing the catalog in line with what it knows.
	ReasonAgent
	// ReasonOperator is an operator's command.
	ReasonOperator
	// ReasonSystem is the store's own upkeep, such as automatic compaction.
	ReasonSystem
)

var reasonNames = [...]string{"client", "lease-end", "check", "session-end", "agent", "operator", "system"}

// String returns the reason as the audit log spells it.
func (r Reason) String() string {
	if int(r) < len(reasonNames) {
		return reasonNames[r]
	}
	return "unknown"
}

// Origin is where a command came from. It is replicated as data and kept with
// the commits the command made.
type Origin struct {
	// Who is the caller's identity, "" if it gave none.
	Who string
	Why Reason
	// When is the proposer's wall clock. Nothing is ever decided by it.
	When time.Time
}
