package raftstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"herald/registry"
	"herald/registry/wire"
)

// A restore goes through the log, in entries of its own:
//
//	byte     restoreFormat
//	byte     kind
//	uvarint  fence: the term that the restore is of
//	uvarint  id: the restore that it is part of
//	uvarint  offset in the archive; of the end its size
//	bytes    a piece of the archive; of the end whose restore it is
//
// The pieces of an archive change nothing, and what is written between them goes on as
// ever; only the end replaces the state, on every server at the same place in the log. So a
// restore is agreed upon like any write. Whoever leads next knows from the log
// alone whether it has happened.
//
// A restore is over, without effect, with the first entry of a later term, with a
// cancel, when another begins (a piece at offset 0), and when a piece is missing.
const restoreFormat = 2

// The kinds of restore entry.
const (
	restorePiece = iota + 1
	restoreEnd
	restoreCancel
)

type restoreEntry struct {
	kind   byte
	fence  uint64
	id     uint64
	offset uint64
	data   []byte
}

// isRestore says that an entry is part of a restore, whoever may be able to read it.
func isRestore(b []byte) bool { return len(b) > 0 && b[0] == restoreFormat }

// isRestoreCancel says that an entry only takes back.
func isRestoreCancel(b []byte) bool {
	return len(b) > 1 && b[0] == restoreFormat && b[1] == restoreCancel
}

func (e *restoreEntry) append(b []byte) []byte {
	b = append(b, restoreFormat, e.kind)
	b = binary.AppendUvarint(b, e.fence)
	b = binary.AppendUvarint(b, e.id)
	b = binary.AppendUvarint(b, e.offset)
	return append(b, e.data...)
}

// decodeRestoreEntry reads an entry of which isRestore is true. It fails with
// registry.ErrFormat and registry.ErrCorrupt. Its data is part of b.
func decodeRestoreEntry(b []byte) (e restoreEntry, err error) {
	if len(b) < 2 {
		return e, fmt.Errorf("%w: entry of a restore is cut short", registry.ErrCorrupt)
	}
	e.kind = b[1]
	if e.kind < restorePiece || e.kind > restoreCancel {
		return e, fmt.Errorf("%w: entry of a restore is of the unknown kind %d", registry.ErrFormat, e.kind)
	}
	b = b[2:]
	for _, field := range []*uint64{&e.fence, &e.id, &e.offset} {
		v, w := binary.Uvarint(b)
		if w <= 0 {
			return e, fmt.Errorf("%w: entry of a restore is cut short", registry.ErrCorrupt)
		}
		*field, b = v, b[w:]
	}
	e.data = b
	return e, nil
}

// appendOrigin encodes who restores, for the end of a restore and for another server.
func appendOrigin(b []byte, o registry.Origin) []byte {
	b = wire.AppendString(b, 1, o.Who)
	b = wire.AppendUint(b, 2, uint64(o.Why))
	if o.When.IsZero() {
		return b
	}
	return wire.AppendInt(b, 3, o.When.UnixNano())
}

// decodeOrigin fails for what it does not know: it becomes part of the state.
func decodeOrigin(b []byte) (o registry.Origin, err error) {
	r := wire.NewReader(b)
	for r.Next() {
		switch r.Number() {
		case 1:
			o.Who = r.String()
		case 2:
			o.Why = registry.Reason(r.Small(math.MaxUint8))
		case 3:
			if n := r.Int(); n != 0 {
				o.When = time.Unix(0, n).UTC()
			}
		default:
			r.Fail(fmt.Errorf("%w: origin of a restore has an unknown field %d", registry.ErrFormat, r.Number()))
		}
	}
	err = r.Err()
	if errors.Is(err, wire.ErrMalformed) {
		err = fmt.Errorf("%w: origin of a restore: %w", registry.ErrCorrupt, err)
	}
	return o, err
}
