// Package check judges histories.
//
// It owns what a history must satisfy. Its checks are pure functions from a history to a
// Verdict; it refuses to know how the history came about, and talks to nobody. A check
// that found nothing to check has not passed.
//
// What a check cannot know it does not hold against the servers: an operation whose
// outcome is unknown may have taken effect at any time after it was sent, or never.
//
// The package has no goroutines but those of the linearizability checker, which end
// before a check returns.
package check
