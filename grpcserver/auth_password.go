package grpcserver

import (
	"context"
	"encoding/base64"
	"fmt"
	"regexp"

	"golang.org/x/crypto/bcrypt"

	"herald/registry"
)

const (
	// passwordCost is bcrypt's, as in etcd: 50 to 100 ms of one core.
	passwordCost = bcrypt.DefaultCost
	// maxPasswordCost bounds a hash that was made elsewhere. Each step doubles how long
	// one attempt to log in would take: this is about two seconds.
	maxPasswordCost = 15
	// maxPasswordBytes is how much of a password bcrypt can take.
	maxPasswordBytes = 72
)

// bcryptHash is the form of a bcrypt hash: version, cost, then salt and hash.
var bcryptHash = regexp.MustCompile(`^\$2[aby]?\$[0-9]{2}\$[./A-Za-z0-9]{53}$`)

// passwordHash is what is kept of a password: bcrypt's hash, never the password itself. Where
// there is no password, hashed is a hash that was made elsewhere, in base64; if that is ""
// too, the empty password is hashed.
func (s *authService) passwordHash(ctx context.Context, password, hashed string) ([]byte, error) {
	if password == "" && hashed != "" {
		return givenHash(hashed)
	}
	if n := len(password); n > maxPasswordBytes {
		return nil, fmt.Errorf("%w: a password has at most %d bytes, not %d", registry.ErrInvalid, maxPasswordBytes, n)
	}
	select {
	case s.hashing <- struct{}{}:
		defer func() { <-s.hashing }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return bcrypt.GenerateFromPassword([]byte(password), passwordCost)
}

// givenHash checks a hash that was made elsewhere.
func givenHash(hashed string) ([]byte, error) {
	hash, err := base64.StdEncoding.DecodeString(hashed)
	if err != nil || !bcryptHash.Match(hash) {
		return nil, fmt.Errorf("%w: hashedPassword is a bcrypt hash in base64, and this is none", registry.ErrInvalid)
	}
	cost, err := bcrypt.Cost(hash)
	if err != nil {
		return nil, fmt.Errorf("%w: hashedPassword: %w", registry.ErrInvalid, err)
	}
	if cost > maxPasswordCost {
		return nil, fmt.Errorf("%w: hashedPassword has cost %d, and %d is the most", registry.ErrInvalid, cost, maxPasswordCost)
	}
	return hash, nil
}
