//go:build !bug_wake_late

package httpserver

// bugWakeLate plants a bug in a test build: who waits for a change of keys does not see those of so many
// revisions after the one that was read.
const bugWakeLate = 0
