//go:build !bug_health_sleep

package catalog

// bugHealthSleep plants a bug in a test build: every second change of a service wakes nobody who waits for it.
const bugHealthSleep = false
