package grpcserver

import (
	"encoding/base64"
	"errors"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"herald/registry"
)

// FuzzGivenHash feeds hashes that clients claim to have made: one that is taken can be
// compared with, in bounded time.
func FuzzGivenHash(f *testing.F) {
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(base64.StdEncoding.EncodeToString(hash))
	f.Add(base64.StdEncoding.EncodeToString([]byte("$2$31$")))
	f.Add("")
	f.Add("JDJhJDA0JA==")
	f.Fuzz(func(t *testing.T, hashed string) {
		hash, err := givenHash(hashed)
		if err != nil {
			if !errors.Is(err, registry.ErrInvalid) || hash != nil {
				t.Fatalf("%q, %v", hash, err)
			}
			return
		}
		cost, err := bcrypt.Cost(hash)
		if err != nil || cost > maxPasswordCost {
			t.Fatalf("%q is taken: cost %d, %v", hash, cost, err)
		}
		if cost > bcrypt.MinCost {
			return // one comparison takes too long here
		}
		if err := bcrypt.CompareHashAndPassword(hash, []byte("another")); err != nil && !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
			t.Fatalf("%q is taken and cannot be compared with: %v", hash, err)
		}
	})
}
