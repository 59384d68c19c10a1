//go:build race

package dnsserver

// raceEnabled: pools then forget some of what they are given, so that allocations cannot be counted.
const raceEnabled = true
