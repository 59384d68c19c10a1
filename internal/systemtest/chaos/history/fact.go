package history

import "time"

// Plan is what was meant to happen. There is one in a history.
type Plan struct {
	Line
	// Started is for people: when the history began, by the wall clock.
	Started time.Time `json:"started"`
	Seed    uint64    `json:"seed"`
	Nodes   []string  `json:"nodes"`
	// Workloads are those that ran: those of package workload, "polls" where anything is
	// followed by blocking queries, and "sessions" where there are any. What they are checked for has to have been found.
	Workloads []string `json:"workloads"`
	// Drift is the most by which the rate of a server's clock was made wrong, as a share:
	// 0.1 is ten percent.
	Drift float64 `json:"drift,omitempty"`
}

// Fault is something that was done to the cluster.
type Fault struct {
	Line
	Kind  string        `json:"kind"`
	Node  string        `json:"node,omitempty"`
	From  time.Duration `json:"from"`
	Until time.Duration `json:"until,omitempty"` // as From where it has no length
	Note  string        `json:"note,omitempty"`
}

// Led is a server that says that it leads, when it began to be seen to.
type Led struct {
	Line
	At   time.Duration `json:"at"`
	Node string        `json:"node"`
	Term uint64        `json:"term"`
}

// Pulsed is a small write through one server, to see whether it can be done. Each server has a
// client that makes one after the other, so that one server which does not answer holds up
// nobody else's.
type Pulsed struct {
	Line
	Span
	Rev int64 `json:"rev,omitempty"`
}

// Hashed is a server's state as one number. Servers that have applied the same must have
// the same.
type Hashed struct {
	Line
	Node    string        `json:"node"`
	At      time.Duration `json:"at"`
	Applied uint64        `json:"applied"`
	Hash    uint64        `json:"hash"`
	// Closing marks those that were taken when all writing had ended.
	Closing bool `json:"closing,omitempty"`
	// Err says why a closing one is missing.
	Err string `json:"err,omitempty"`
}
