package archive

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"maps"
	"strings"

	"herald/registry"
	"herald/registry/mvcc"
)

// Read reads an archive, and nothing of what follows it in r, into a state of its own,
// published. It fails with ErrFormat if a newer version wrote it, with
// ErrCorrupt if it is not byte for byte what Write wrote, and with r's own errors. Memory
// grows with what r delivers, whatever lengths it claims.
func Read(r io.Reader) (*mvcc.State, registry.SnapshotInfo, error) {
	a := &reader{in: r, whole: sha256.New()}
	s, info, err := a.archive()
	if err != nil {
		return nil, registry.SnapshotInfo{}, err
	}
	return s, info, nil
}

// ReadAll is Read of an archive that is all of r, sealed or not. With anything else behind
// it, it fails with ErrCorrupt.
func ReadAll(r io.Reader) (*mvcc.State, registry.SnapshotInfo, error) {
	a := &reader{in: r, whole: sha256.New()}
	s, info, err := a.archive()
	if err == nil {
		err = a.seal()
	}
	if err != nil {
		return nil, registry.SnapshotInfo{}, err
	}
	return s, info, nil
}

// Inspect reads an archive as ReadAll does, and returns what it says of itself: an
// archive that Inspect accepts can be restored.
func Inspect(r io.Reader) (registry.SnapshotInfo, error) {
	_, info, err := ReadAll(r)
	return info, err
}

// reader reads one archive and sums it up.
type reader struct {
	in    io.Reader
	whole hash.Hash
	n     int64 // bytes read
}

func (a *reader) archive() (*mvcc.State, registry.SnapshotInfo, error) {
	var none registry.SnapshotInfo
	h, err := a.header()
	if err != nil {
		return nil, none, fmt.Errorf("read snapshot: %w", err)
	}
	state := &chunkReader{a: a, sum: sha256.New()}
	s, err := mvcc.Decode(state)
	switch {
	case errors.Is(err, registry.ErrFormat):
		return nil, none, fmt.Errorf("%w: upgrade herald", err)
	case err != nil:
		return nil, none, err
	}
	if err := a.end(state); err != nil {
		return nil, none, fmt.Errorf("read snapshot: %w", err)
	}
	info := h.info()
	info.Bytes = state.size
	info.SHA256 = hex.EncodeToString(state.sum.Sum(nil))
	is := describe(s.View(), info)
	// Who wrote it may not have known all the spaces: those that have no keys are as if it had.
	for space := range registry.Space(registry.NumSpaces) {
		if _, known := info.Keys[space.String()]; !known && is.Keys[space.String()] == 0 {
			info.Revisions[space] = is.Revisions[space]
			if info.Keys == nil {
				info.Keys = map[string]int64{}
			}
			info.Keys[space.String()] = 0
		}
	}
	if is.Index != info.Index || is.Revisions != info.Revisions || is.Leases != info.Leases || !maps.Equal(is.Keys, info.Keys) {
		return nil, none, fmt.Errorf("read snapshot: %w", corrupt("its header says another content"))
	}
	return s, info, nil
}

// fill reads exactly len(b) bytes.
func (a *reader) fill(b []byte) error {
	n, err := io.ReadFull(a.in, b)
	a.n += int64(n)
	a.whole.Write(b[:n])
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return corrupt("it is cut short after %d bytes", a.n)
	}
	return err
}

func (a *reader) header() (h header, err error) {
	b := make([]byte, prefixLen)
	err = a.fill(b)
	if err != nil && !errors.Is(err, registry.ErrCorrupt) {
		return h, err
	}
	if start := b[:min(a.n, int64(len(magic)))]; len(start) == 0 || !strings.HasPrefix(magic, string(start)) {
		return h, corrupt("this is not a Herald snapshot")
	}
	if err != nil {
		return h, err
	}
	format := binary.LittleEndian.Uint32(b[len(magic):])
	size := binary.LittleEndian.Uint32(b[len(magic)+4:])
	if size > maxHeader {
		return h, corrupt("its header claims %d bytes", size)
	}
	rest := make([]byte, size+4)
	if err := a.fill(rest); err != nil {
		return h, err
	}
	head := rest[:size]
	sum := crc32.Update(crc32.Checksum(b, castagnoli), castagnoli, head)
	switch {
	case sum != binary.LittleEndian.Uint32(rest[size:]) || format == 0:
		return h, corrupt("its header is damaged")
	case format > Format:
		return h, fmt.Errorf("%w: archive format %d, this version reads up to %d: upgrade herald", registry.ErrFormat, format, Format)
	}
	if err := json.Unmarshal(head, &h); err != nil {
		return h, corrupt("its header cannot be read: %v", err)
	}
	return h, nil
}

// end reads what follows the chunks and compares the sums.
func (a *reader) end(state *chunkReader) error {
	var b [8 + sha256.Size]byte
	if err := a.fill(b[:]); err != nil {
		return err
	}
	whole := a.whole.Sum(nil)
	var last [sha256.Size]byte
	if err := a.fill(last[:]); err != nil {
		return err
	}
	if binary.LittleEndian.Uint64(b[:]) != uint64(state.size) || !bytes.Equal(b[8:], state.sum.Sum(nil)) || !bytes.Equal(last[:], whole) {
		return corrupt("its checksum does not match")
	}
	return nil
}

// seal reads what may follow an archive, to the end of it all.
func (a *reader) seal() error {
	padding := int(-a.n & (sealBlock - 1))
	b := make([]byte, padding+sha256.Size+1)
	n, err := io.ReadFull(a.in, b)
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return err
	case n != padding+sha256.Size || !allZero(b[:padding]):
		return fmt.Errorf("read snapshot: %w", corrupt("something follows its end"))
	}
	a.whole.Write(b[:padding])
	if !bytes.Equal(a.whole.Sum(nil), b[padding:n]) {
		return fmt.Errorf("read snapshot: %w", corrupt("the checksum that the etcd client's download ends with does not match"))
	}
	return nil
}

func allZero(b []byte) bool {
	return bytes.Count(b, []byte{0}) == len(b)
}

// chunkReader reads the chunks as one stream, up to their end.
type chunkReader struct {
	a    *reader
	sum  hash.Hash
	size int64
	left uint32 // of the chunk under way
	over bool
}

func (c *chunkReader) Read(p []byte) (int, error) {
	if c.over {
		return 0, io.EOF
	}
	if c.left == 0 {
		var length [4]byte
		if err := c.a.fill(length[:]); err != nil {
			return 0, err
		}
		c.left = binary.LittleEndian.Uint32(length[:])
		switch {
		case c.left == 0:
			c.over = true
			return 0, io.EOF
		case c.left > maxChunk:
			return 0, corrupt("a part of it claims %d bytes", c.left)
		}
	}
	p = p[:min(len(p), int(c.left))]
	if err := c.a.fill(p); err != nil {
		return 0, err
	}
	c.sum.Write(p)
	c.size += int64(len(p))
	c.left -= uint32(len(p))
	return len(p), nil
}
