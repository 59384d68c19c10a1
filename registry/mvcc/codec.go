package mvcc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"herald/registry"
	"herald/registry/wire"
)

// commandFormat is the first byte of an encoded command. Whatever an older version
// could not apply faithfully, a new field included, needs a new number.
const commandFormat = 1

// The fields of a command. command.proto beside this file is the schema.
const (
	commandOrigin     = 1
	commandTxn        = 2
	commandGrant      = 3
	commandRevoke     = 4
	commandCompact    = 5
	commandCheckpoint = 6
)

// AppendTo appends the command's encoding. Equal commands have equal bytes.
func (c *Command) AppendTo(b []byte) []byte {
	b = append(b, commandFormat)
	if c.Origin != (registry.Origin{}) {
		b = wire.AppendMessage(b, commandOrigin, func(b []byte) []byte { return appendOrigin(b, &c.Origin) })
	}
	if c.Txn != nil {
		b = wire.AppendMessage(b, commandTxn, func(b []byte) []byte { return appendTxn(b, c.Txn) })
	}
	if c.Grant != nil {
		b = wire.AppendMessage(b, commandGrant, func(b []byte) []byte {
			b = wire.AppendInt(b, 1, int64(c.Grant.ID))
			return wire.AppendInt(b, 2, int64(c.Grant.TTL))
		})
	}
	if c.Revoke != nil {
		b = wire.AppendMessage(b, commandRevoke, func(b []byte) []byte {
			for _, id := range c.Revoke.IDs {
				b = appendLeaseRemaining(b, LeaseRemaining{ID: id})
			}
			return b
		})
	}
	if c.Compact != nil {
		b = wire.AppendMessage(b, commandCompact, func(b []byte) []byte {
			b = wire.AppendUint(b, 1, uint64(c.Compact.Space))
			return wire.AppendInt(b, 2, c.Compact.Revision)
		})
	}
	if c.Checkpoint != nil {
		b = wire.AppendMessage(b, commandCheckpoint, func(b []byte) []byte {
			for _, r := range c.Checkpoint.Remaining {
				b = appendLeaseRemaining(b, r)
			}
			return b
		})
	}
	return b
}

// OwnBytes is how many bytes of a command's encoding are its own, which limits on the size of
// writes count: all but its origin, which no caller knows the length of.
func OwnBytes(encoded []byte) int {
	const tag = commandOrigin<<3 | 2 // a field of bytes
	if len(encoded) < 2 || encoded[1] != tag {
		return len(encoded)
	}
	n, w := binary.Uvarint(encoded[2:])
	if w <= 0 || n > uint64(len(encoded)-2-w) {
		return len(encoded) // malformed, as decoding it will tell
	}
	return len(encoded) - 1 - w - int(n)
}

func appendOrigin(b []byte, o *registry.Origin) []byte {
	b = wire.AppendString(b, 1, o.Who)
	b = wire.AppendUint(b, 2, uint64(o.Why))
	return wire.AppendInt(b, 3, toUnixNano(o.When))
}

func appendLeaseRemaining(b []byte, r LeaseRemaining) []byte {
	return wire.AppendMessage(b, 1, func(b []byte) []byte {
		b = wire.AppendInt(b, 1, int64(r.ID))
		return wire.AppendInt(b, 2, int64(r.Remaining))
	})
}

// DecodeCommand decodes a command. It fails with ErrFormat if a newer version
// wrote it: an unknown format, kind or field, none of which may be passed over,
// since those who know it would come to another state; and with ErrCorrupt if it
// is malformed. It keeps no reference to b. What it returns need not be valid
// (see Validate), but Apply treats it the same everywhere.
func DecodeCommand(b []byte) (Command, error) {
	c, err := decodeCommand(b)
	if err != nil {
		return Command{}, malformed("command", err)
	}
	return c, nil
}

// malformed is err, which is ErrCorrupt if it was met in bytes that no version wrote.
func malformed(what string, err error) error {
	if errors.Is(err, wire.ErrMalformed) {
		return fmt.Errorf("%w: %s: %w", registry.ErrCorrupt, what, err)
	}
	return err
}

func decodeCommand(b []byte) (Command, error) {
	var c Command
	switch {
	case len(b) == 0 || b[0] == 0:
		return c, fmt.Errorf("%w: command has no format", registry.ErrCorrupt)
	case b[0] != commandFormat:
		return c, fmt.Errorf("%w: command format %d, this version reads %d", registry.ErrFormat, b[0], commandFormat)
	}
	kinds := 0
	r := wire.NewReader(b[1:])
	for r.Next() {
		if r.Number() != commandOrigin {
			kinds++
		}
		switch r.Number() {
		case commandOrigin:
			c.Origin = decodeOrigin(&r)
		case commandTxn:
			if c.Txn, c.data = decodeOnePut(&r); c.Txn == nil {
				c.Txn = decodeTxn(&r, 0)
			}
		case commandGrant:
			c.Grant = decodeGrant(&r)
		case commandRevoke:
			c.Revoke = new(LeaseRevoke)
			decodeLeases(&r, func(l LeaseRemaining) { c.Revoke.IDs = append(c.Revoke.IDs, l.ID) })
		case commandCompact:
			c.Compact = decodeCompact(&r)
		case commandCheckpoint:
			c.Checkpoint = new(LeaseCheckpoint)
			decodeLeases(&r, func(l LeaseRemaining) { c.Checkpoint.Remaining = append(c.Checkpoint.Remaining, l) })
		default:
			unknownField(&r, "command")
		}
	}
	if err := r.Err(); err != nil {
		return Command{}, err
	}
	if kinds != 1 {
		return Command{}, fmt.Errorf("%w: command has %d kinds, not one", registry.ErrCorrupt, kinds)
	}
	return c, nil
}

// unknownField fails a message for a field that only a newer version can have
// written.
func unknownField(r *wire.Reader, message string) {
	r.Fail(fmt.Errorf("%w: %s has an unknown field %d", registry.ErrFormat, message, r.Number()))
}

// part reads the message that is the current field of r: each is called with
// every field of it. Errors go to r.
func part(r *wire.Reader, name string, each func(*wire.Reader) bool) {
	m := wire.NewReader(r.Bytes())
	for m.Next() {
		if !each(&m) {
			unknownField(&m, name)
		}
	}
	r.Fail(m.Err())
}

// decodeOrigin does without part, as the parts of a transaction do: every
// command has one, and what a callback can see is allocated.
func decodeOrigin(r *wire.Reader) (o registry.Origin) {
	m := wire.NewReader(r.Bytes())
	for m.Next() {
		switch m.Number() {
		case 1:
			o.Who = m.String()
		case 2:
			o.Why = registry.Reason(m.Small(math.MaxUint8))
		case 3:
			o.When = fromUnixNano(m.Int())
		default:
			unknownField(&m, "origin")
		}
	}
	r.Fail(m.Err())
	return o
}

func decodeGrant(r *wire.Reader) *LeaseGrant {
	g := new(LeaseGrant)
	part(r, "lease grant", func(m *wire.Reader) bool {
		switch m.Number() {
		case 1:
			g.ID = registry.LeaseID(m.Int())
		case 2:
			g.TTL = time.Duration(m.Int())
		default:
			return false
		}
		return true
	})
	return g
}

func decodeCompact(r *wire.Reader) *Compact {
	c := new(Compact)
	part(r, "compaction", func(m *wire.Reader) bool {
		switch m.Number() {
		case 1:
			c.Space = decodeSpace(m)
		case 2:
			c.Revision = m.Int()
		default:
			return false
		}
		return true
	})
	return c
}

func decodeLeases(r *wire.Reader, add func(LeaseRemaining)) {
	part(r, "list of leases", func(m *wire.Reader) bool {
		if m.Number() != 1 {
			return false
		}
		var l LeaseRemaining
		part(m, "lease", func(m *wire.Reader) bool {
			switch m.Number() {
			case 1:
				l.ID = registry.LeaseID(m.Int())
			case 2:
				l.Remaining = time.Duration(m.Int())
			default:
				return false
			}
			return true
		})
		add(l)
		return true
	})
}

// decodeSpace reads a space. One that does not exist yet is a newer version's.
func decodeSpace(r *wire.Reader) registry.Space {
	v := r.Small(math.MaxUint8)
	s := registry.Space(v)
	if !s.Valid() {
		r.Fail(fmt.Errorf("%w: unknown space %d", registry.ErrFormat, v))
	}
	return s
}
