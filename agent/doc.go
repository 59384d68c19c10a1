// Package agent is the local agent: it knows what runs on this node, checks its
// health, and keeps the catalog true to it.
//
// It owns the desired state (what configuration files, the local API, sources and
// the process itself ask to be advertised), the runs of the checks, and one lease
// that everything it advertises hangs from, so that all of it goes when the host
// dies. It refuses to know how servers are reached (an Upstream does that), how it is
// asked (a door does that) and how a kind of check works (see agent/check).
//
// A service may hang from another lease besides: it is withdrawn when that ends, at
// most a few seconds later, and goes with the agent's own all the same.
//
// Every local call answers from local state, but for those that name another lease
// or ask for one. What it changes is marked, and the
// goroutines of Run bring the catalog in line soon after.
//
// # Who may define what
//
// Definitions come from four origins. Config.Services are the process's own and
// cannot be replaced or withdrawn. Whenever files are read (at start, at Reload)
// a file's definition takes the id from the API and from sources, and what the
// API had under it is forgotten. Between two readings the API may replace or
// withdraw what a file defines, until the next. A source is refused an id that
// another origin holds. A check's id belongs to one service, or to the node: a
// second owner is refused, since the first would silently lose its check.
//
// Exec checks may come from files and the process. The API and sources may name them
// only with Config.AllowExec, because whoever reaches the API could otherwise run
// programs here.
//
// # Health
//
// A check's status moves by its thresholds (threshold.go). Only a change of status
// is sent at once; a change of output alone is sent with the check's next change, or
// after five minutes. A ttl check that is not reported in time becomes critical.
//
// An alias check stands as the checks of a service, or of a node, that it names (alias.go). Of this agent
// it changes with them, under the same lock; of another node a goroutine asks the Upstream, which
// answers when that node's records change.
//
// # What is advertised
//
// The state remembers which of its records have changed (pending.go), and those alone are
// written, so that a change costs the same however much the node has. Everything is compared with the
// catalog for a new lease, after an attempt whose outcome is not known, when the node's own record is not as
// it was left, and every few minutes in any case: what others do to the other records lasts until then.
//
// # One name, one node
//
// The catalog's node of a name belongs to the node ID that wrote it. An agent that
// finds its name taken keeps its lease, says so in Sync and once in the log, and
// tries on, every two seconds at most: a predecessor that crashed, and whose ID was not
// kept, holds the name until its lease has run out.
//
// # Restart
//
// With a DataDir, what was registered over the API, the state of ttl checks and the
// lease's id outlive the process. A start within the TTL takes the lease up again.
// Registrations are in a journal (agent/durable), so that those that come at one time
// go to disk together. A file that is damaged is set aside under its name plus
// ".corrupt", said in the log, and what can be read of it is used. A file of a newer
// format fails New, and nothing is touched.
//
// # Locks
//
// Three, taken in this order:
//
//	Agent.edit  held through changes of definitions, their disk write included, so
//	            that the disk and the state see changes in one order; who waits for it
//	            has whoever gets it first make its change too (change.go)
//	state.mu    the desired state and the results of checks; never held over I/O
//	link.mu     how the agent stands with the servers; never held over a call
//
// # Goroutines
//
// Run starts these and waits for them:
//
//	keepLease      grants the lease and keeps it alive; nothing but the Upstream's
//	               own lease calls can hold it up
//	advertise      writes the records whenever they, or the lease, changed
//	followLeases   withdraws services whose lease has ended
//	reap           withdraws services whose check has been critical too long
//	save           writes the states of ttl checks and the lease's id to disk
//	one per check  runs it, or its ttl, or follows another node for it; ends with the check
//
// New, and every other method, start none.
package agent
