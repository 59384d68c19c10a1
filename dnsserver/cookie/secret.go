package cookie

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"

	"github.com/dchest/siphash"
)

// SecretSize is how many bytes a secret has.
const SecretSize = 16

// Secret is what cookies are made with. Who knows it can make them for any address.
type Secret [SecretSize]byte

// NewSecret returns a random secret.
func NewSecret() Secret {
	var s Secret
	rand.Read(s[:]) // never fails: see crypto/rand
	return s
}

// ParseSecret reads a secret of 32 hexadecimal digits. The error does not repeat
// what was given, which may be a secret with a slip in it.
func ParseSecret(text string) (Secret, error) {
	var s Secret
	if len(text) != hex.EncodedLen(SecretSize) {
		return s, fmt.Errorf("a cookie secret has %d hexadecimal digits, not %d characters", hex.EncodedLen(SecretSize), len(text))
	}
	if _, err := hex.Decode(s[:], []byte(text)); err != nil {
		return Secret{}, fmt.Errorf("a cookie secret has %d hexadecimal digits and nothing else", hex.EncodedLen(SecretSize))
	}
	return s, nil
}

// String hides the secret, which would otherwise be in a log sooner or later.
func (s Secret) String() string { return "(cookie secret)" }

// GoString hides the secret.
func (s Secret) GoString() string { return s.String() }

// hash is the last part of a server cookie: over the client's cookie, the server
// cookie's first part and the client's address (RFC 9018 section 4.4).
func (s *Secret) hash(client, head []byte, addr netip.Addr) uint64 {
	var b [clientSize + headSize + 16]byte
	copy(b[:], client)
	copy(b[clientSize:], head)
	n := clientSize + headSize
	// An IPv4 client of a socket for both families is the client it is on another.
	if addr = addr.Unmap(); addr.Is4() {
		ip := addr.As4()
		n += copy(b[n:], ip[:])
	} else {
		ip := addr.As16()
		n += copy(b[n:], ip[:])
	}
	return siphash.Hash(binary.LittleEndian.Uint64(s[:]), binary.LittleEndian.Uint64(s[8:]), b[:n])
}
