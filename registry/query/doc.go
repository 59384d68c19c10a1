// Package query is prepared queries: questions for instances of a service that are
// kept under a name, so that who asks needs to know the name alone.
//
// It owns what a query may say (Definition, Validate), how a template becomes a query
// (Render), where queries are kept and how they change there (keys.go, change.go), how
// one is found by what it is called (Find), and which instances it stands for
// (Execute). It refuses to know how a query is asked for and how its answer is
// spoken, and it starts no goroutine. Everything in it may be called by any number of
// goroutines.
//
// # How they are kept
//
// In registry.SpaceSession, under keys that are written together or not at all:
//
//	query/<id>           the definition
//	query-name/<name>    the id of the query of that name, in lower case
//	query-prefix/<name>  the id of the template that answers for what begins so
//
// A query that is bound to a session hangs from the session's lease, with its name,
// and goes when that ends.
package query
