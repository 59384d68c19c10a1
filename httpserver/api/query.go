package api

import "herald/registry/query"

// PreparedQuery is a prepared query as it is kept, or as it is to be.
type PreparedQuery struct {
	query.Definition
	CreateIndex, ModifyIndex uint64
}

// PreparedQueryID is what POST /v1/query answers.
type PreparedQueryID struct{ ID string }

// PreparedQueryExecution is what GET /v1/query/<id or name>/execute answers.
type PreparedQueryExecution struct {
	Service    string
	Nodes      []ServiceEntry
	DNS        query.DNS
	Datacenter string
	Failovers  int // always 0: there are no other datacenters

	// What the headers say, too.
	Index       uint64
	LastContact uint64 // in milliseconds
	KnownLeader bool
}

// PreparedQueryExplanation is what GET /v1/query/<id or name>/explain answers: the
// query that would be executed.
type PreparedQueryExplanation struct{ Query query.Definition }
