package peer

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// kind is what a frame is.
type kind byte

const (
	kindPing     kind = iota + 1 // either side: I am here
	kindRequest                  // caller: answer with the same id
	kindOneWay                   // caller: no answer
	kindCancel                   // caller: the answer to id is not needed any more
	kindResponse                 // server: the handler's answer
	kindError                    // server: the handler's error, encoded
	kindUnserved                 // server: there is no handler for the method; why, as text
	kindVoid                     // a request that was withdrawn before it was written
)

// A frame is this header and then size bytes. Numbers are big-endian.
//
//	0  size       4
//	4  kind       1
//	5  method     1   of requests
//	6  id         8   chosen by the caller, its answer's too
//	14 remaining  4   of requests: milliseconds the caller will wait, 0 without end
const headerSize = 18

const kindOffset = 4

type header struct {
	size      int
	kind      kind
	method    Method
	id        uint64
	remaining uint32
}

// errMalformedFrame is what no server of this protocol version sends.
var errMalformedFrame = errors.New("malformed frame")

func appendFrame(b []byte, h header, payload []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(payload)))
	b = append(b, byte(h.kind), byte(h.method))
	b = binary.BigEndian.AppendUint64(b, h.id)
	b = binary.BigEndian.AppendUint32(b, h.remaining)
	return append(b, payload...)
}

// parseHeader reads a header of exactly headerSize bytes. A size over limit is an
// error before anything is allocated for it.
func parseHeader(b []byte, limit int) (header, error) {
	h := header{
		kind:      kind(b[kindOffset]),
		method:    Method(b[5]),
		id:        binary.BigEndian.Uint64(b[6:]),
		remaining: binary.BigEndian.Uint32(b[14:]),
	}
	size := binary.BigEndian.Uint32(b)
	switch {
	case h.kind < kindPing || h.kind > kindVoid:
		return h, fmt.Errorf("%w: unknown kind %d", errMalformedFrame, h.kind)
	case uint64(size) > uint64(limit):
		return h, fmt.Errorf("%w: a message of %d bytes, and the limit is %d", errMalformedFrame, size, limit)
	case (h.kind == kindPing || h.kind == kindCancel) && size != 0:
		return h, fmt.Errorf("%w: %d bytes where there are none", errMalformedFrame, size)
	}
	h.size = int(size)
	return h, nil
}

// frameReader reads frames through a buffer.
type frameReader struct {
	*bufio.Reader
	limit int
}

const readBuffer = 64 << 10

func newFrameReader(r io.Reader, limit int) frameReader {
	return frameReader{bufio.NewReaderSize(r, readBuffer), limit}
}

// next reads a header.
func (r frameReader) next() (header, error) {
	b, err := r.Peek(headerSize)
	if err != nil {
		return header{}, err
	}
	h, err := parseHeader(b, r.limit)
	if err != nil {
		return h, err
	}
	_, err = r.Discard(headerSize)
	return h, err
}

// keep reads a payload into memory of its own.
func (r frameReader) keep(size int) ([]byte, error) {
	if size == 0 {
		return nil, nil
	}
	b := make([]byte, size)
	_, err := io.ReadFull(r, b)
	return b, err
}

// borrow reads a payload that is valid until the next read.
func (r frameReader) borrow(size int) ([]byte, error) {
	if size > r.Size() {
		return r.keep(size)
	}
	b, err := r.Peek(size)
	if err != nil {
		return nil, err
	}
	_, err = r.Discard(size)
	return b, err
}

// more says that a whole frame is in the buffer, so that reading it will not block.
func (r frameReader) more() bool {
	if r.Buffered() < headerSize {
		return false
	}
	b, _ := r.Peek(headerSize)
	return uint64(binary.BigEndian.Uint32(b)) <= uint64(r.Buffered()-headerSize)
}
