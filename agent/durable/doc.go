// Package durable keeps files that hold after a crash what they held before it: whole
// files that are replaced in one step, and a Journal, which is a set of records in
// one file that grows by what changes.
//
// It refuses to know what the bytes mean. It has no goroutines; what one goroutine may
// call at a time is said at each type.
package durable
