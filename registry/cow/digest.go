package cow

import "strings"

// A search in a node must not touch the keys, each of which lies somewhere else in
// memory. So a node knows how long the prefix is that its keys share, and of each
// key a digest: the 8 bytes that follow the prefix, as a number. Numbers that differ
// say how the keys compare; only where they are equal is a key itself looked at.

// digest is the first 8 bytes of s, big-endian; what s lacks counts as zeros. If the
// digests of two strings differ, they are ordered as the strings are.
func digest(s string) uint64 {
	if len(s) >= 8 {
		return uint64(s[7]) | uint64(s[6])<<8 | uint64(s[5])<<16 | uint64(s[4])<<24 |
			uint64(s[3])<<32 | uint64(s[2])<<40 | uint64(s[1])<<48 | uint64(s[0])<<56
	}
	var d uint64
	for i := range len(s) {
		d |= uint64(s[i]) << (56 - 8*i)
	}
	return d
}

// common is how many bytes a and b begin with that are the same.
func common(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// widen moves digests to the left by the bytes of s, which the keys have in common in
// front of what was digested.
func widen(digests []uint64, s string) {
	d := digest(s)
	if len(s) >= 8 {
		for i := range digests {
			digests[i] = d
		}
		return
	}
	for i := range digests {
		digests[i] = d | digests[i]>>(8*len(s))
	}
}

// narrow makes the prefix of digested keys, of which first is the first, one that key
// begins with, too, and returns how long it is then.
func narrow(digests []uint64, prefix int, first, key string) int {
	p := common(key, first[:prefix])
	if p < prefix {
		widen(digests, first[p:prefix])
	}
	return p
}

// candidates are the positions lo to hi, without hi, of the digests that equal d; if
// there are none, both are where it would be.
func candidates(digests []uint64, d uint64) (lo, hi int) {
	// Without a branch on what is compared, which could not be predicted.
	n := len(digests)
	for n > 1 {
		half := n >> 1
		if digests[lo+half-1] < d {
			lo += half
		}
		n -= half
	}
	if n == 1 && digests[lo] < d {
		lo++
	}
	for hi = lo; hi < len(digests) && digests[hi] == d; hi++ {
	}
	return lo, hi
}

// beside says on which side of all strings that begin with prefix key lies: below
// them -1, above them 1, and 0 if it begins so, too.
func beside(key, prefix string) int {
	if len(key) >= len(prefix) {
		return strings.Compare(key[:len(prefix)], prefix)
	}
	if key > prefix[:len(key)] {
		return 1
	}
	return -1
}
