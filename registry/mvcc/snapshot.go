package mvcc

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"hash/crc64"

	"herald/registry"
)

// A snapshot is a header, frames, and an end:
//
//	header   "heraldkv", the format (uint32), CRC-32C of those 12 bytes
//	frame    kind (1 byte), length (uvarint), payload
//	end      a frame whose payload is the CRC-64 of every byte before it
//
// Numbers are little-endian; payloads are protobuf messages (snapshot.proto).
// The header's own checksum tells a newer format from a damaged one, and every
// later format keeps it. Frames come in this order:
//
//	state
//	lease                          each, by id
//	space                          each, and of each:
//	  key                            each live at the compaction revision, by key
//	  commit                         each from the compaction revision on:
//	    before? kept|put|delete        each event, by key
//	  dead                           each deleted key remembered, by key
//	end
//
// The state after the last commit is not written: replaying the commits over the
// keys gives it, and each version of a key appears once. Only of the commit at
// the compaction revision itself the versions before it have to be told (before),
// and the records it put are among the keys already (kept).
//
// The frames are a function of the logical state: equal states have equal
// snapshots, swept or not.
const (
	snapshotMagic  = "heraldkv"
	snapshotFormat = 1
	headerLen      = len(snapshotMagic) + 8
)

// The kinds of frame.
const (
	frameState byte = iota + 1
	frameLease
	frameSpace
	frameKey
	frameCommit
	frameBefore
	frameKept
	framePut
	frameDelete
	frameDead
	frameEnd
)

var (
	crc32c  = crc32.MakeTable(crc32.Castagnoli)
	crc64ec = crc64.MakeTable(crc64.ECMA)
)

// appendHeader appends a snapshot's header.
func appendHeader(b []byte, format uint32) []byte {
	at := len(b)
	b = append(b, snapshotMagic...)
	b = binary.LittleEndian.AppendUint32(b, format)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[at:], crc32c))
}

// checkHeader says what is wrong with a snapshot's header.
func checkHeader(h []byte) error {
	n := len(snapshotMagic)
	format := binary.LittleEndian.Uint32(h[n:])
	switch {
	case string(h[:n]) != snapshotMagic || crc32.Checksum(h[:n+4], crc32c) != binary.LittleEndian.Uint32(h[n+4:]) || format == 0:
		return fmt.Errorf("%w: this is no snapshot, or its header is damaged", registry.ErrCorrupt)
	case format > snapshotFormat:
		return fmt.Errorf("%w: snapshot format %d, this version reads up to %d", registry.ErrFormat, format, snapshotFormat)
	}
	return nil
}

// history is the first revision of which a space keeps the commit.
func (s *space) history() int64 { return max(s.compacted, firstRevision+1) }
