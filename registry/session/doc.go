// Package session is the HTTP API's sessions: something that lives on a node as long as
// checks of that node are well and it is renewed in time, and that can lock keys.
//
// A session is a lease and a record of it (see record), made together in one transaction.
// The lease is what lives: when it ends, for whatever reason, the record goes with it and
// the locks are freed, or their keys deleted, in that same step of the state machine. So
// nothing here has to be running for a session to end in time or a lock to be freed.
//
// It owns the "session" space's keys below "session/" and "delay/", the transactions that
// take and free locks, and the keeper, which ends sessions whose checks fail. It knows
// nothing of HTTP.
//
// Lock delay. A key whose holder was lost is not to be had for a while, since the one that
// held it may not know yet. Taking a lock leaves a mark for the key, attached to a lease of
// its own that begins when the session's lease ends (registry.GrantRequest.After): while
// the session lives the mark says nothing, from its end on it refuses the key, and it goes
// by itself. Freeing the lock removes the mark. No clock is read and no server has to
// remember.
//
// Sessions may be used by any number of goroutines. The package starts none; Keeper.Run is
// its caller's.
package session
