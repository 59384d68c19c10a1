package durable

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"

	"herald/registry"
)

// A journal's file is a header and frames. Integers are little-endian; a sum is the
// CRC-32C of all that comes before it in its header, or of the payload.
//
//	header  magic "herald-j", version (4 bytes), sum (4)
//	frame   mark FF "rec", length of the payload (4), the payload's sum (4), sum (4), payload
//
// A payload is operations, each of them a byte that says which, the length of the
// key as a varint, and the key; a put goes on with the length of the value, and it.
//
// A frame is what is there whole or not at all. Its header has a sum of its own, so
// that a damaged payload does not hide where the next frame begins; where a header is
// damaged, the next mark is looked for. A mark begins with a byte that UTF-8 does not have.
const (
	magic       = "herald-j"
	version     = 1
	headerBytes = len(magic) + 8

	mark       = "\xffrec"
	frameBytes = len(mark) + 12
)

// The operations of a payload.
const (
	opPut    = 1
	opDelete = 2
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)

	// errTorn is of a frame that ends before it should, as a crash leaves it.
	errTorn = errors.New("the file ends within a record")
	errSum  = fmt.Errorf("%w: a checksum does not match", registry.ErrCorrupt)
)

func sum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

func appendSummed(b []byte, from int) []byte {
	return binary.LittleEndian.AppendUint32(b, sum(b[from:]))
}

func appendHeader(b []byte) []byte {
	from := len(b)
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint32(b, version)
	return appendSummed(b, from)
}

// checkHeader says whether b begins with the header of a journal that can be read:
// registry.ErrFormat if it is one of a newer version.
func checkHeader(b []byte) error {
	if len(b) < headerBytes || string(b[:len(magic)]) != magic {
		return fmt.Errorf("%w: it does not begin as a journal does", registry.ErrCorrupt)
	}
	if sum(b[:headerBytes-4]) != binary.LittleEndian.Uint32(b[headerBytes-4:]) {
		return errSum
	}
	if v := binary.LittleEndian.Uint32(b[len(magic):]); v != version {
		return fmt.Errorf("%w: format %d, this one knows up to %d; start it with the newer version", registry.ErrFormat, v, version)
	}
	return nil
}

// placed is an operation, and where in the frame or the file its value begins.
type placed struct {
	Op
	at int
}

// appendFrame appends the frame of a change.
func appendFrame(b []byte, ops []Op) ([]byte, error) {
	from := len(b)
	b = append(b, mark...)
	b = append(b, make([]byte, frameBytes-len(mark))...)
	for _, o := range ops {
		if o.Value == nil {
			b = appendText(append(b, opDelete), o.Key)
			continue
		}
		b = appendText(append(b, opPut), o.Key)
		b = appendText(b, string(o.Value))
	}
	n := len(b) - from - frameBytes
	if n > math.MaxInt32 {
		return b[:from], fmt.Errorf("%w: a change of %d bytes", registry.ErrTooLarge, n)
	}
	head := b[from : from+frameBytes]
	binary.LittleEndian.PutUint32(head[4:], uint32(n))
	binary.LittleEndian.PutUint32(head[8:], sum(b[from+frameBytes:]))
	binary.LittleEndian.PutUint32(head[12:], sum(head[:12]))
	return b, nil
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// parseFrame is the frame that b begins with, and its length. Where that is known, it is
// returned with an error, too.
func parseFrame(b []byte) (ops []placed, n int, err error) {
	if torn := b[:min(len(b), len(mark))]; string(torn) != mark[:len(torn)] {
		return nil, 0, errSum
	}
	if len(b) < frameBytes {
		return nil, 0, errTorn
	}
	if sum(b[:12]) != binary.LittleEndian.Uint32(b[12:]) {
		return nil, 0, errSum
	}
	length := binary.LittleEndian.Uint32(b[4:])
	if uint64(length) > uint64(len(b)-frameBytes) {
		return nil, 0, errTorn
	}
	n = frameBytes + int(length)
	payload := b[frameBytes:n]
	if sum(payload) != binary.LittleEndian.Uint32(b[8:]) {
		return nil, n, errSum
	}
	ops, err = parseOps(b[:n], frameBytes)
	return ops, n, err
}

// parseOps decodes the payload of a frame, which begins at from. Values are parts of it.
func parseOps(frame []byte, from int) (ops []placed, err error) {
	text := func() []byte {
		n, size := binary.Uvarint(frame[from:])
		if size <= 0 || n > uint64(len(frame)-from-size) {
			err = fmt.Errorf("%w: a record does not decode", registry.ErrCorrupt)
			return nil
		}
		begin := from + size
		from = begin + int(n)
		return frame[begin:from:from]
	}
	for from < len(frame) && err == nil {
		kind := frame[from]
		from++
		o := placed{Op: Op{Key: string(text())}}
		switch {
		case err != nil:
		case kind == opPut:
			o.Value = text()
			o.at = from - len(o.Value)
		case kind != opDelete:
			err = fmt.Errorf("%w: a record does not decode", registry.ErrCorrupt)
		}
		ops = append(ops, o)
	}
	if err != nil {
		return nil, err
	}
	return ops, nil
}

// contents is what a journal's bytes come to.
type contents struct {
	records map[string]placed
	// end is where the last frame that can be read ends.
	end int
	// torn says that after end there is what a crash leaves of a write: nothing that
	// was acknowledged.
	torn bool
	// damage is what cannot be read elsewhere, each with its place.
	damage []error
}

// read reads a journal's bytes, which may be anything. It fails with
// registry.ErrFormat alone.
func read(b []byte) (contents, error) {
	c := contents{records: map[string]placed{}, end: headerBytes}
	next := headerBytes
	if err := checkHeader(b); errors.Is(err, registry.ErrFormat) {
		return contents{}, err
	} else if err != nil {
		c.damage = append(c.damage, err)
		c.end, next = 0, nextFrame(b, 0)
	}
	for next < len(b) {
		ops, n, err := parseFrame(b[next:])
		if err == nil {
			for _, o := range ops {
				if o.Value == nil {
					delete(c.records, o.Key)
				} else {
					o.at += next
					c.records[o.Key] = o
				}
			}
			next += n
			c.end = next
			continue
		}
		at := next
		if n == 0 {
			n = nextFrame(b[next:], 1)
		}
		next += n
		// Blocks of the file that a crash kept from the disk are read as zeros.
		zeros := len(bytes.TrimRight(b[at:], "\x00")) == 0
		if next >= len(b) && (errors.Is(err, errTorn) || zeros) {
			c.torn = true
			break
		}
		c.damage = append(c.damage, fmt.Errorf("at byte %d: %w", at, err))
	}
	return c, nil
}

// nextFrame is where the next sound frame of b begins at from or later, len(b) if there is
// none.
func nextFrame(b []byte, from int) int {
	for from < len(b) {
		i := bytes.Index(b[from:], []byte(mark))
		if i < 0 {
			break
		}
		from += i
		if _, _, err := parseFrame(b[from:]); err == nil {
			return from
		}
		from++
	}
	return len(b)
}
