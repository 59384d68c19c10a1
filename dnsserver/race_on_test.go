//go:build race

package dnsserver

// raceDetector makes everything ten times slower.
const raceDetector = true
