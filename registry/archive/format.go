package archive

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"

	"herald/registry"
	"herald/registry/mvcc"
)

// Format is the version of the format that Write writes.
const Format = 1

const (
	// sealBlock is what an archive is filled up to a multiple of when it is sealed.
	sealBlock = 512

	magic = "heraldar"
	// prefixLen is what comes before the header: magic, format and length.
	prefixLen = len(magic) + 8
	// maxHeader and maxChunk bound what a reader takes on a length's word.
	maxHeader = 1 << 20
	maxChunk  = 1 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header is what is known before the state is written. A field that is not known is
// passed over: what must not be needs a new format.
type header struct {
	Version   string             `json:"herald_version"`
	ClusterID string             `json:"cluster_id"`
	NodeID    string             `json:"node_id"`
	Created   time.Time          `json:"created"`
	Index     uint64             `json:"index"`
	Term      uint64             `json:"term"`
	Revisions registry.Revisions `json:"revisions"`
	Keys      map[string]int64   `json:"keys"`
	Leases    int64              `json:"leases"`
}

// describe is info with everything that the view knows itself.
func describe(v *mvcc.View, info registry.SnapshotInfo) registry.SnapshotInfo {
	size := v.Size()
	info.Format = Format
	info.Created = info.Created.UTC().Round(0)
	info.Index = v.Applied()
	info.Revisions = v.Revisions()
	info.Leases = int64(size.Leases)
	info.Keys = make(map[string]int64, registry.NumSpaces)
	for s := range registry.Space(registry.NumSpaces) {
		info.Keys[s.String()] = int64(size.Spaces[s].Keys)
	}
	return info
}

func headerOf(info *registry.SnapshotInfo) header {
	return header{
		Version: info.Version, ClusterID: info.ClusterID, NodeID: info.NodeID, Created: info.Created,
		Index: info.Index, Term: info.Term, Revisions: info.Revisions, Keys: info.Keys, Leases: info.Leases,
	}
}

func (h *header) info() registry.SnapshotInfo {
	return registry.SnapshotInfo{
		Format: Format, Version: h.Version, ClusterID: h.ClusterID, NodeID: h.NodeID, Created: h.Created.UTC(),
		Index: h.Index, Term: h.Term, Revisions: h.Revisions, Keys: h.Keys, Leases: h.Leases,
	}
}

// begin is an archive up to its chunks.
func begin(format uint32, head []byte) []byte {
	b := []byte(magic)
	b = binary.LittleEndian.AppendUint32(b, format)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(head)))
	b = append(b, head...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// corrupt is an ErrCorrupt that says what is wrong.
func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", registry.ErrCorrupt, fmt.Sprintf(format, args...))
}
