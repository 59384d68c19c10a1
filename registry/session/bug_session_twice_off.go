//go:build !bug_session_twice

package session

// bugSessionTwice plants a bug in a test build: a lock whose holder has no lock delay is taken without a look at
// whether anybody holds it.
const bugSessionTwice = false
