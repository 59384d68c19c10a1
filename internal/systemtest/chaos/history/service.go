package history

import "herald/registry"

// Registered is a change of one instance of a service.
type Registered struct {
	Line
	Span
	Service  string `json:"service"`
	Instance string `json:"instance"`
	Address  string `json:"address"`
	// Lease is the lease the instance ends with, 0 for none.
	Lease registry.LeaseID `json:"lease,omitempty"`
	// Gone takes the instance out, Sick makes it critical; otherwise it is there and healthy.
	Gone bool `json:"gone,omitempty"`
	Sick bool `json:"sick,omitempty"`
}

// Asked is a DNS query for a service.
type Asked struct {
	Line
	Span
	Service string `json:"service"`
	// Type is "A" or "SRV".
	Type string `json:"type"`
	// Code is the answer's code as dig spells it; "" if there was no answer. Outcome
	// is OK for every answer but SERVFAIL and its like.
	Code    string   `json:"code,omitempty"`
	Answers []string `json:"answers,omitempty"` // addresses
}
