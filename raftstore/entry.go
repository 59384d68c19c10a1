package raftstore

import (
	"encoding/binary"
	"fmt"

	"herald/registry"
)

// An entry of the raft log carries any number of commands:
//
//	byte     entryFormat
//	then, for each command:
//	uvarint  fence: the term that the command is for, or 0 for any
//	uvarint  length
//	bytes    the command, as mvcc encodes it
//
// An entry without commands is a barrier: it goes through the state machine, as
// raft's own barriers and no-ops do not, and changes nothing.
//
// A fenced command takes effect only if the entry's own raft term is its fence.
// The term of an entry is replicated with it, so every server decides alike.
// The leader's own decisions (a lease has run out) are fenced: they rest on what
// that leader knew in that term, and one left in a queue while leadership went
// away and came back must not be carried out on a state that others have written.
//
// Entries of restores have a format of their own: see restoreFormat.
const entryFormat = 1

func appendEntryHeader(b []byte) []byte { return append(b, entryFormat) }

// isBarrier says that an entry has no commands.
func isBarrier(b []byte) bool { return len(b) == 1 }

func appendCommand(b []byte, fence uint64, cmd []byte) []byte {
	b = binary.AppendUvarint(b, fence)
	b = binary.AppendUvarint(b, uint64(len(cmd)))
	return append(b, cmd...)
}

// commandOverhead is the most that appendCommand adds to a command.
const commandOverhead = 2 * binary.MaxVarintLen64

// splitEntry calls each with every command of an entry, in order, and stops at the
// first error: each's, registry.ErrFormat or registry.ErrCorrupt. cmd is part of b.
func splitEntry(b []byte, each func(fence uint64, cmd []byte) error) error {
	if len(b) == 0 {
		return fmt.Errorf("%w: log entry is empty", registry.ErrCorrupt)
	}
	if b[0] != entryFormat {
		return fmt.Errorf("%w: log entry has format %d, this version knows up to %d", registry.ErrFormat, b[0], restoreFormat)
	}
	b = b[1:]
	for n := 0; len(b) > 0; n++ {
		fence, w := binary.Uvarint(b)
		if w <= 0 {
			return fmt.Errorf("%w: command %d of the log entry has no fence", registry.ErrCorrupt, n)
		}
		b = b[w:]
		size, w := binary.Uvarint(b)
		if w <= 0 || size > uint64(len(b)-w) {
			return fmt.Errorf("%w: command %d of the log entry is cut short", registry.ErrCorrupt, n)
		}
		if err := each(fence, b[w:w+int(size)]); err != nil {
			return fmt.Errorf("command %d of the log entry: %w", n, err)
		}
		b = b[w+int(size):]
	}
	return nil
}
