package raftstore

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"herald/registry"
	"herald/registry/mvcc"
	"herald/registry/wire"
)

// sentinelNumbers are the errors of registry as servers tell each other of them: all,
// so that none has to be argued about. Numbers are never reused. A test holds the
// table against registry's source.
var sentinelNumbers = [...]struct {
	number uint64
	err    error
}{
	{1, registry.ErrEmptyKey},
	{2, registry.ErrKeyNotFound},
	{3, registry.ErrTooLarge},
	{4, registry.ErrFutureRevision},
	{5, registry.ErrCompacted},
	{6, registry.ErrRequire},
	{7, registry.ErrInvalid},
	{8, registry.ErrResourceExhausted},

	{9, registry.ErrLeaseNotFound},
	{10, registry.ErrLeaseExists},
	{11, registry.ErrInvalidTTL},

	{12, registry.ErrWatchClosed},
	{13, registry.ErrWatchReset},

	{14, registry.ErrNoLeader},
	{15, registry.ErrUnavailable},
	{16, registry.ErrTimeout},
	{17, registry.ErrStopped},
	{18, registry.ErrDiskFull},

	{19, registry.ErrMemberNotFound},
	{20, registry.ErrMembership},
	{21, registry.ErrForeignCluster},

	{22, registry.ErrDataDirLocked},
	{23, registry.ErrDataDirOwner},
	{24, registry.ErrFormat},
	{25, registry.ErrCorrupt},

	{26, registry.ErrServiceNotFound},
	{27, registry.ErrCheckNotFound},
	{28, registry.ErrNodeNotFound},
	{29, registry.ErrNodeTaken},
	{30, registry.ErrDuplicateService},
	{31, registry.ErrNotTTLCheck},
	{32, registry.ErrInvalidDefinition},
	{33, registry.ErrExecDisabled},

	{34, registry.ErrQuorum},
	{35, registry.ErrVoter},
	{36, registry.ErrNotInSync},

	{37, registry.ErrNotAdvertised},
}

// The fields of an encoded error. A field that is not known is passed over.
const (
	errorText      = 1
	errorSentinel  = 2 // each that it is
	errorCompacted = 3 // message: space = 1, lowest = 2
	errorRequire   = 4 // message: op = 1, have = 2
)

// encodeError encodes an error, which is not nil, for another server: its text, and
// what it is to errors.Is and errors.As as far as registry knows it. That it was an end of
// a context is left out: the caller's own context is alive.
func encodeError(err error) []byte {
	b := wire.AppendString(nil, errorText, err.Error())
	for _, s := range sentinelNumbers {
		if errors.Is(err, s.err) {
			b = wire.AppendUint(b, errorSentinel, s.number)
		}
	}
	if c, ok := errors.AsType[*registry.CompactedError](err); ok {
		b = wire.AppendMessage(b, errorCompacted, func(b []byte) []byte {
			b = wire.AppendUint(b, 1, uint64(c.Space))
			return wire.AppendInt(b, 2, c.Lowest)
		})
	}
	if r, ok := errors.AsType[*registry.RequireError](err); ok {
		b = wire.AppendMessage(b, errorRequire, func(b []byte) []byte {
			b = wire.AppendInt(b, 1, int64(r.Op))
			return wire.AppendMessage(b, 2, func(b []byte) []byte { return mvcc.AppendKeyValue(b, &r.Have) })
		})
	}
	return b
}

// decodeError is the error that encodeError encoded: of the same text, and the same to
// errors.Is and errors.As. It is never nil.
//
// A newer version may know sentinels that this one does not. An error that is one of
// those beside others is the others alone. One that is only of those, and what is
// malformed, is ErrTimeout, whose promise is the weakest: what was asked for may
// have been done.
func decodeError(b []byte) error {
	var e sentError
	strange := false
	r := wire.NewReader(b)
	for r.Next() {
		switch r.Number() {
		case errorText:
			e.text = r.String()
		case errorSentinel:
			if s := sentinel(r.Uint()); s != nil {
				e.is = append(e.is, s)
			} else {
				strange = true
			}
		case errorCompacted:
			e.replace(registry.ErrCompacted, decodeCompacted(&r))
		case errorRequire:
			e.replace(registry.ErrRequire, decodeRequire(&r))
		}
	}
	if err := r.Err(); err != nil {
		return fmt.Errorf("%w: the error that another server answered cannot be understood: %w", registry.ErrTimeout, err)
	}
	if strange && len(e.is) == 0 {
		e.is = append(e.is, registry.ErrTimeout)
	}
	if len(e.is) == 1 && e.is[0].Error() == e.text {
		return e.is[0] // it was not wrapped
	}
	return &e
}

func sentinel(number uint64) error {
	for _, s := range sentinelNumbers {
		if s.number == number {
			return s.err
		}
	}
	return nil
}

func decodeCompacted(r *wire.Reader) error {
	c := new(registry.CompactedError)
	m := wire.NewReader(r.Bytes())
	for m.Next() {
		switch m.Number() {
		case 1:
			c.Space = registry.Space(m.Small(math.MaxUint8))
		case 2:
			c.Lowest = m.Int()
		}
	}
	r.Fail(m.Err())
	return c
}

func decodeRequire(r *wire.Reader) error {
	q := new(registry.RequireError)
	m := wire.NewReader(r.Bytes())
	for m.Next() {
		switch m.Number() {
		case 1:
			q.Op = int(m.Int())
		case 2:
			kv, err := mvcc.DecodeKeyValue(m.Bytes())
			m.Fail(err)
			q.Have = kv
		}
	}
	r.Fail(m.Err())
	return q
}

// sentError is an error of another server.
type sentError struct {
	text string
	is   []error
}

func (e *sentError) Error() string { return e.text }

// Unwrap says what it is to errors.Is and errors.As.
func (e *sentError) Unwrap() []error { return e.is }

// replace puts a typed error in the place of the sentinel that it is anyway.
func (e *sentError) replace(sentinel, typed error) {
	e.is = append(slices.DeleteFunc(e.is, func(is error) bool { return is == sentinel }), typed)
}
