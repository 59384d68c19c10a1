package history

import "time"

// Mode is how fresh a read was asked to be.
type Mode string

// The modes of a read.
const (
	// Linearizable is the Go contract's.
	Linearizable Mode = ""
	// Default is the HTTP door's when a request names none. It promises as much.
	Default Mode = "default"
	// Consistent is the HTTP door's ?consistent.
	Consistent Mode = "consistent"
	// Stale is whatever the server has.
	Stale Mode = "stale"
)

// Cond holds if the key's modification revision is Rev; 0 is for a key that is absent.
type Cond struct {
	Key string `json:"k"`
	Rev int64  `json:"r"`
}

// Write puts a key, or deletes it.
type Write struct {
	Key string `json:"k"`
	// Value is unique in the history.
	Value  string `json:"v,omitempty"`
	Delete bool   `json:"del,omitempty"`
}

// Cell is a key as it was read.
type Cell struct {
	Key   string `json:"k"`
	Value string `json:"v,omitempty"`
	// Rev is the key's modification revision; 0 means that it is absent.
	Rev int64 `json:"r,omitempty"`
}

// KV is one atomic step on the registers of a group: if every If holds, every Set is
// written. Then, or else, the keys of Got are read.
type KV struct {
	Line
	Span
	// Group names the registers that one step may touch together.
	Group string  `json:"group"`
	Mode  Mode    `json:"mode,omitempty"`
	If    []Cond  `json:"if,omitempty"`
	Set   []Write `json:"set,omitempty"`

	// What follows is only there if Outcome is OK.

	// Missed says that the conditions did not hold.
	Missed bool   `json:"missed,omitempty"`
	Got    []Cell `json:"got,omitempty"`
	// Rev is where the store stood after the step; 0 where the door does not say.
	Rev int64 `json:"rev,omitempty"`
	// Age is how old a stale read claimed to be at most.
	Age time.Duration `json:"age,omitempty"`
}

// Writes reports whether the step may change anything.
func (o *KV) Writes() bool { return len(o.Set) > 0 }

// Added is the writing of a key that is written once.
type Added struct {
	Line
	Span
	Key string `json:"key"`
	// Rev is the revision that it was acknowledged at, 0 where the door does not say.
	Rev int64 `json:"rev,omitempty"`
}

// Listed is a part of what a server's own copy holds once all writing has ended: the keys
// of one prefix in order, over as many records as it takes.
type Listed struct {
	Line
	Node   string `json:"node"`
	Prefix string `json:"prefix"`
	// Rev is the revision the listing is of.
	Rev   int64  `json:"rev"`
	Cells []Cell `json:"cells,omitempty"`
	// Last marks the last record of a listing.
	Last bool `json:"last,omitempty"`
	// Err says why there is no (more of the) listing. It is then the last.
	Err string `json:"err,omitempty"`
}
