package session

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"

	"herald/registry"
)

// ID is a session's name: a UUID in lower case. It is made of the session's lease and of
// nothing else, so that whoever sees the lease on a key can tell the session.
type ID string

// leaseBits of an id are the lease: all of the lower half that RFC 9562 leaves free.
const leaseBits = 62

// newLease picks the lease of a new session.
func newLease() registry.LeaseID {
	return registry.LeaseID(1 + rand.Int64N(1<<leaseBits-1))
}

// IDOf is the id of the session that a lease is of.
func IDOf(lease registry.LeaseID) ID {
	var u [16]byte
	binary.BigEndian.PutUint64(u[:8], mix(uint64(lease)))
	binary.BigEndian.PutUint64(u[8:], uint64(lease)&(1<<leaseBits-1))
	u[6] = u[6]&0x0f | 0x40 // RFC 9562: version 4
	u[8] = u[8]&0x3f | 0x80 // and its variant
	var text [36]byte
	hex.Encode(text[:8], u[:4])
	hex.Encode(text[9:13], u[4:6])
	hex.Encode(text[14:18], u[6:8])
	hex.Encode(text[19:23], u[8:10])
	hex.Encode(text[24:], u[10:])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return ID(text[:])
}

// Lease is the lease of the session, and whether the id can be one's at all.
func (id ID) Lease() (registry.LeaseID, bool) {
	if len(id) != 36 {
		return 0, false
	}
	low, err := hex.DecodeString(string(id[19:23] + id[24:]))
	if err != nil {
		return 0, false
	}
	lease := registry.LeaseID(binary.BigEndian.Uint64(low) & (1<<leaseBits - 1))
	return lease, lease != 0 && IDOf(lease) == id
}

// mix spreads a number over 64 bits, each number differently (the finalizer of
// splitmix64, by Sebastiano Vigna).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
