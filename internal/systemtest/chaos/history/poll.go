package history

import "time"

// Watched is what a blocking query asks for.
type Watched string

// What a blocking query may ask for.
const (
	// OneKey is a key.
	OneKey Watched = ""
	// KeyPrefix is all keys of a prefix.
	KeyPrefix Watched = "prefix"
	// ServiceHealth is the instances of a service, with their checks.
	ServiceHealth Watched = "health"
)

// Seen is an instance of a service as an answer has it.
type Seen struct {
	ID string `json:"id"`
	// Sick is an instance with a check that does not pass.
	Sick bool `json:"sick,omitempty"`
}

// Polled is one blocking query of the HTTP door, as fresh as its default is or fresher.
type Polled struct {
	Line
	Span
	Of Watched `json:"of,omitempty"`
	// Key is the key, the prefix or the service's name.
	Key string `json:"key"`
	// Index is the index that the client had; the query waits for a higher one.
	Index uint64 `json:"index"`
	// Wait is how long it waits at least if nothing changes.
	Wait time.Duration `json:"wait,omitempty"`
	// Got is the index of the answer.
	Got uint64 `json:"got,omitempty"`
	// Cells is what was answered of a key or of a prefix: those keys that are there.
	Cells []Cell `json:"cells,omitempty"`
	// Instances is what was answered of a service.
	Instances []Seen `json:"instances,omitempty"`
	// Cut says that the client ended the wait itself, when all writing had ended and the
	// server had had everything for a while.
	Cut bool `json:"cut,omitempty"`
	// Closing marks a query that did not wait, made when all writing had ended.
	Closing bool `json:"closing,omitempty"`
}
