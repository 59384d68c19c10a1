package history

import (
	"time"

	"herald/registry"
)

// Step says what a Streamed record is about.
type Step string

// What happens in the life of a watch.
const (
	// Begun is a watcher that was made: it delivers commits from From on.
	Begun Step = "begun"
	// Delivered is one commit.
	Delivered Step = "delivered"
	// ListedAt is a read of the whole range after history was lost: the watch is to go on
	// at From, and Count keys were there.
	ListedAt Step = "listed"
	// Ended is the end of a watcher.
	Ended Step = "ended"
	// Finished is the end of the client, who has followed up to Synced and all that
	// happened by then.
	Finished Step = "finished"
)

// Change is what a commit did to one key.
type Change struct {
	Key    string `json:"k"`
	Delete bool   `json:"del,omitempty"`
	Value  string `json:"v,omitempty"`
	// Create, Version and Mod are the key's revisions after the change; of a deleted key
	// only Mod is there.
	Create  int64 `json:"c,omitempty"`
	Version int64 `json:"n,omitempty"`
	Mod     int64 `json:"m"`
	// Prev is the key's modification revision before, 0 if it was absent.
	Prev int64 `json:"p,omitempty"`
}

// Streamed is what a watching client saw.
type Streamed struct {
	Line
	// Client is who watches; it makes one watcher after the other.
	Client int    `json:"client"`
	Node   string `json:"node"`
	// Via is the door, of Begun.
	Via  string        `json:"via,omitempty"`
	At   time.Duration `json:"at"`
	Step Step          `json:"step"`

	// Space and the range are of Begun and ListedAt.
	Space registry.Space `json:"space,omitempty"`
	Start string         `json:"start,omitempty"`
	End   string         `json:"end,omitempty"`
	From  int64          `json:"from,omitempty"`
	Count int64          `json:"count,omitempty"`

	// Rev and Changes are of Delivered.
	Rev     int64    `json:"rev,omitempty"`
	Changes []Change `json:"changes,omitempty"`

	// Synced is of Ended and Finished: all up to it was delivered.
	Synced int64  `json:"synced,omitempty"`
	Err    string `json:"err,omitempty"`
}

// Range is the range that a Begun or ListedAt record names.
func (s *Streamed) Range() registry.KeyRange {
	return registry.KeyRange{Start: s.Start, End: s.End}
}
