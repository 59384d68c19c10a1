package api

import "time"

// Session is a session as /v1/session answers it.
type Session struct {
	ID, Name, Node string
	// LockDelay is in nanoseconds in JSON.
	LockDelay time.Duration
	Behavior  string
	TTL       string
	// NodeChecks is never null.
	NodeChecks    []string
	ServiceChecks []ServiceCheck
	// Checks is the older spelling of NodeChecks, if that was used.
	Checks      []string `json:",omitempty"`
	CreateIndex uint64
	ModifyIndex uint64
}

// ServiceCheck names a check of a service that a session ends with.
type ServiceCheck struct {
	ID        string
	Namespace string // always ""
}
