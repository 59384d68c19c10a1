package chaosdoor

import (
	"encoding/gob"
	"net"
	"time"

	"herald/registry"
)

// request is one call: exactly one of the pointers and flags after Caller is set.
type request struct {
	// Timeout is what the caller's context leaves, by its own clock; 0 is no bound.
	Timeout time.Duration
	Caller  registry.Caller

	Range   *registry.RangeRequest
	Txn     *registry.Txn
	Compact *compactCall
	Lease   *leaseCall
	Leases  bool
	Without []registry.Space // of the leases asked for

	// Watch turns the connection into a watcher's: what follows on it is Next and Synced.
	Watch  *registry.WatchRequest
	Next   bool
	Synced bool

	Status, Members, StateHash bool
	Operate                    *operateCall
}

type compactCall struct {
	Space    registry.Space
	Revision int64
}

// leaseCall is a call about leases.
type leaseCall struct {
	Do   string // grant, keepalive, revoke, describe
	ID   registry.LeaseID
	IDs  []registry.LeaseID
	TTL  time.Duration
	Keys bool
}

// operateCall is a call of registry.Operator.
type operateCall struct {
	Do    string // join, leave, remove, transfer, save
	On    string // the id or address it is about
	Stale bool
}

// response answers a request: Err, or the field that the request asks for.
type response struct {
	Err *wireError

	Range  registry.RangeResult
	Txn    registry.TxnResult
	Lease  registry.Lease
	Leases []registry.LeaseID
	// Revisions are where the spaces stood after leases were revoked.
	Revisions registry.Revisions

	// To is which of a watcher's questions it answers, since a Synced overtakes a Next.
	To      question
	Watch   int64 // Watcher.StartedAt
	Commits []registry.Commit
	Synced  int64

	Status  registry.Status
	Members []registry.Member
	Applied uint64
	Hash    uint64
	Archive []byte
	Info    registry.SnapshotInfo
}

type question uint8

const (
	toOther question = iota
	toNext
	toSynced
)

// link is one connection. Reading and writing are each for one goroutine at a time.
type link struct {
	net.Conn
	enc *gob.Encoder
	dec *gob.Decoder
}

func newLink(c net.Conn) *link {
	return &link{Conn: c, enc: gob.NewEncoder(c), dec: gob.NewDecoder(c)}
}
