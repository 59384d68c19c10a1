//go:build bug_session_twice

package session

const bugSessionTwice = true
