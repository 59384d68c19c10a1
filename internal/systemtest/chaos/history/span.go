package history

import "time"

// Outcome says what a client knows of an operation once it is over.
type Outcome string

// What a client may know of an operation.
const (
	// OK has taken effect, between Call and Return.
	OK Outcome = "ok"
	// Failed has had no effect and never will: the server said so, or was never reached.
	Failed Outcome = "failed"
	// Unknown may have taken effect, may take effect at any time after Call, or never.
	Unknown Outcome = "unknown"
)

// Span is when an operation took place, through which server, and how it went.
type Span struct {
	Client int    `json:"client"`
	Node   string `json:"node"`
	// Via is the door: "http", "txn" (HTTP's transactions), "etcd", "store" or "dns".
	Via string `json:"via,omitempty"`
	// Life tells one start of the server's process from the next. It is 0 where it is not
	// known, or changed during the operation.
	Life int64 `json:"life,omitempty"`
	// Call is just before the request was sent, Return just after the client had its answer
	// or gave up.
	Call    time.Duration `json:"call"`
	Return  time.Duration `json:"return"`
	Outcome Outcome       `json:"outcome"`
	// Err is what the client was told when Outcome is not OK.
	Err string `json:"err,omitempty"`
}

// Line is where a record stands in its file, from 1; it is set by Read.
type Line struct {
	N int `json:"-"`
}
