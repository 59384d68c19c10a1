package cookie

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"sync/atomic"
)

const (
	// OptionCode is the EDNS option's.
	OptionCode = 10
	// Size is how many bytes of option data Append appends.
	Size = clientSize + serverSize

	clientSize = 8
	headSize   = 8 // version, three reserved bytes and the timestamp
	serverSize = headSize + 8
	// leastServer and mostServer bound the server cookies there can be, those of
	// other forms included.
	leastServer, mostServer = 8, 32

	version = 1
)

// How old a server cookie may be, in seconds (RFC 9018 section 4.3).
const (
	mostAge = 60 * 60
	// renewAge is from when on the client is better given a new one.
	renewAge = 30 * 60
	// mostAhead is how far the clock of the server that made it may be ahead.
	mostAhead = 5 * 60
)

// Verdict is what a client's cookie says about it.
type Verdict uint8

const (
	// Missing is the verdict where the client has no server cookie yet.
	Missing Verdict = iota
	// Bad is the verdict on a server cookie that is forged, too old, of another
	// address or form, or made with a secret that is not known any more.
	Bad
	// Good is the verdict on a client that receives what is sent to its address.
	Good
	// Renew is Good, and the answer is to carry a new server cookie: the one
	// that came is half an hour old or made with another than the current secret.
	Renew
)

// Valid reports whether the client has shown that it receives what is sent to
// its address.
func (v Verdict) Valid() bool { return v >= Good }

// String names the verdict.
func (v Verdict) String() string {
	switch v {
	case Missing:
		return "missing"
	case Bad:
		return "bad"
	case Good:
		return "good"
	case Renew:
		return "renew"
	}
	return "unknown"
}

// Split returns the parts of a COOKIE option's data: the client's cookie of 8 bytes
// and the server's, which is empty or has 8 to 32 bytes. It reports false for data of
// any other size, to which the answer is FORMERR (RFC 7873 section 5.2.2).
func Split(option []byte) (client, server []byte, ok bool) {
	n := len(option) - clientSize
	if n != 0 && (n < leastServer || n > mostServer) {
		return nil, nil, false
	}
	return option[:clientSize:clientSize], option[clientSize:], true
}

// Keeper has the secrets.
type Keeper struct {
	secrets atomic.Pointer[[]Secret] // the current first
}

// New returns a Keeper that makes cookies with one secret and also accepts those
// made with others; see Use.
func New(current Secret, also ...Secret) *Keeper {
	k := &Keeper{}
	k.Use(current, also...)
	return k
}

// Use replaces the secrets: cookies are made with current from now on, and those
// made with it or any of the others are accepted.
//
// Servers that share a secret replace it in three steps, so that no client is
// refused meanwhile (RFC 9018 section 5): each is given Use(old, new), then
// each Use(new, old), and an hour after the last of them, when no cookie that was made
// with the old one can be valid, Use(new). The time of each that is accepted
// is spent on every forged cookie.
func (k *Keeper) Use(current Secret, also ...Secret) {
	secrets := append([]Secret{current}, also...)
	k.secrets.Store(&secrets)
}

// Roll makes cookies with next from now on and accepts those of the secret that
// was current, but of none before it. It is for a server whose secret is its own.
func (k *Keeper) Roll(next Secret) {
	for {
		old := k.secrets.Load()
		if k.secrets.CompareAndSwap(old, &[]Secret{next, (*old)[0]}) {
			return
		}
	}
}

// Check judges the cookies of a client, as Split returns them, at a time in
// seconds since 1970 by this server's clock.
func (k *Keeper) Check(client, server []byte, addr netip.Addr, now int64) Verdict {
	if len(server) == 0 {
		return Missing
	}
	if !addr.IsValid() || len(client) != clientSize || len(server) != serverSize || server[0] != version {
		return Bad
	}
	// Timestamps wrap around in 2106 and are compared as serial numbers are (RFC 1982).
	age := int32(uint32(now) - binary.BigEndian.Uint32(server[4:]))
	if age < -mostAhead || age > mostAge {
		return Bad
	}
	head, hash := server[:headSize], binary.LittleEndian.Uint64(server[headSize:])
	secrets := *k.secrets.Load()
	made := slices.IndexFunc(secrets, func(s Secret) bool { return s.hash(client, head, addr) == hash })
	switch {
	case made < 0:
		return Bad
	case made > 0 || age >= renewAge:
		return Renew
	}
	return Good
}

// Append appends the data of the COOKIE option that answers a client, Size bytes:
// the client's own cookie of 8 bytes and a new server cookie made with the current
// secret, at a time in seconds since 1970.
func (k *Keeper) Append(dst, client []byte, addr netip.Addr, now int64) []byte {
	var head [headSize]byte
	head[0] = version
	binary.BigEndian.PutUint32(head[4:], uint32(now))
	dst = append(dst, client[:clientSize]...)
	dst = append(dst, head[:]...)
	return binary.LittleEndian.AppendUint64(dst, (*k.secrets.Load())[0].hash(client, head[:], addr))
}
