package archive

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"

	"herald/registry"
	"herald/registry/mvcc"
)

// Write writes an archive of a view to w, and returns what it says of itself. Of info
// it takes who made it of what (Version, ClusterID, NodeID, Created, Term); the rest
// follows from the view. It takes as long as w takes, holds up nobody, and needs
// memory for a few pieces. An error is w's; what was written before it is
// useless, and Read says so.
func Write(w io.Writer, v *mvcc.View, info registry.SnapshotInfo) (registry.SnapshotInfo, error) {
	info = describe(v, info)
	head, err := json.Marshal(headerOf(&info))
	if err != nil {
		return registry.SnapshotInfo{}, fmt.Errorf("describe snapshot: %w", err)
	}
	whole := sha256.New()
	out := bufio.NewWriterSize(io.MultiWriter(w, whole), 128<<10)
	out.Write(begin(Format, head)) // the first error of out is told by Flush
	state := &chunkWriter{w: out, sum: sha256.New()}
	if err := v.Encode(state); err != nil {
		return registry.SnapshotInfo{}, err
	}
	out.Write(state.end())
	if err := out.Flush(); err != nil {
		return registry.SnapshotInfo{}, fmt.Errorf("write snapshot: %w", err)
	}
	if _, err := w.Write(whole.Sum(nil)); err != nil {
		return registry.SnapshotInfo{}, fmt.Errorf("write snapshot: %w", err)
	}
	info.Bytes = state.size
	info.SHA256 = hex.EncodeToString(state.sum.Sum(nil))
	return info, nil
}

// chunkWriter writes what it is given as chunks.
type chunkWriter struct {
	w    io.Writer
	sum  hash.Hash
	size int64
}

func (c *chunkWriter) Write(p []byte) (n int, err error) {
	var length [4]byte
	for len(p) > 0 {
		piece := p[:min(len(p), maxChunk)]
		binary.LittleEndian.PutUint32(length[:], uint32(len(piece)))
		if _, err := c.w.Write(length[:]); err != nil {
			return n, err
		}
		if _, err := c.w.Write(piece); err != nil {
			return n, err
		}
		c.sum.Write(piece)
		c.size += int64(len(piece))
		n += len(piece)
		p = p[len(piece):]
	}
	return n, nil
}

// end is what follows the chunks, up to the last sum.
func (c *chunkWriter) end() []byte {
	b := binary.LittleEndian.AppendUint32(nil, 0)
	b = binary.LittleEndian.AppendUint64(b, uint64(c.size))
	return c.sum.Sum(b)
}
