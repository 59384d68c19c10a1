package api

import (
	"encoding/json"
	"time"
)

// Duration is spelled as time.Duration is, such as "10s".
type Duration time.Duration

// MarshalJSON writes a string.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// AutopilotConfiguration is what GET /v1/operator/autopilot/configuration answers.
type AutopilotConfiguration struct {
	// CleanupDeadServers says that a dead server is removed once another has taken its
	// place, or after DeadServerAfter (0s is never) where MinQuorum others vote.
	CleanupDeadServers bool
	DeadServerAfter    Duration
	MinQuorum          int
	// LastContactThreshold is how long a server may take to answer, and MaxTrailingLogs
	// how many entries it may be behind, to count as healthy.
	LastContactThreshold Duration
	MaxTrailingLogs      int
	// ServerStabilizationTime is how long a new server must have kept up to get a vote.
	ServerStabilizationTime Duration
	RedundancyZoneTag       string // "": there are no zones
	DisableUpgradeMigration bool
	UpgradeVersionTag       string
	CreateIndex             uint64
	ModifyIndex             uint64
}

// AutopilotHealth is what GET /v1/operator/autopilot/health answers.
type AutopilotHealth struct {
	// Healthy says that there is a leader, and that every server is healthy.
	Healthy bool
	// FailureTolerance is how many voters may fail before writes stop.
	FailureTolerance int
	Servers          []AutopilotServerHealth
}

// AutopilotServerHealth is one server of AutopilotHealth.
type AutopilotServerHealth struct {
	ID         string
	Name       string
	Address    string // of the peer port
	SerfStatus string // "alive" or "failed"
	Version    string
	Leader     bool
	// LastContact is "0s" for a server that answered when it was asked for this, and
	// null for one that did not: since when is not known.
	LastContact *string
	LastTerm    uint64
	LastIndex   uint64
	Healthy     bool
	Voter       bool
}

// AutopilotState is what GET /v1/operator/autopilot/state answers.
type AutopilotState struct {
	Healthy                    bool
	FailureTolerance           int
	OptimisticFailureTolerance int // the same: there are no zones
	Servers                    map[string]AutopilotServer
	Leader                     string   // its id, "" if there is none
	Voters                     []string // ids
}

// AutopilotServer is one server of AutopilotState.
type AutopilotServer struct {
	ID          string
	Name        string
	Address     string
	NodeStatus  string // "alive" or "failed"
	Version     string
	LastContact *string // as in AutopilotServerHealth
	LastTerm    uint64
	LastIndex   uint64
	Healthy     bool
	Status      string // "leader", "voter" or "non-voter"
	NodeType    string // "voter" or "non-voter"
}
