// Package archive is the file of `herald snapshot save`: the whole state of a store, with
// what it is and where it comes from, and sums that find every damage. It owns the
// format and nothing else: what a state is, package mvcc knows; how one is taken of a
// cluster or put into one, the store does. It has no goroutines; its functions share
// nothing and may be called by any number of goroutines.
//
// An archive is:
//
//	magic     "heraldar" (8 bytes)
//	format    uint32
//	length    uint32, of the header
//	header    JSON: see header
//	sum       CRC-32C of all of the above
//	chunks    each its length (uint32, at least 1) and as many bytes: the state, as
//	          mvcc encodes it, cut into pieces
//	end       uint32 0
//	size      uint64, of the state
//	sum       SHA-256 of the state
//	sum       SHA-256 of every byte before it
//
// Numbers are little-endian. The CRC tells a newer format from a damaged one, and every
// later format keeps what is before the header. The chunks make an archive end where it
// ends: it can be written while its size is not known yet, and can be followed by
// something else, as on a connection.
//
// An archive that was downloaded by an etcd client is sealed: zeros follow it up to a multiple
// of 512 bytes, and then the SHA-256 of every byte before it. Such clients take nothing
// else for a whole snapshot.
package archive
