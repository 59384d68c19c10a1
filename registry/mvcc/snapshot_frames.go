package mvcc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"math"

	"herald/registry"
	"herald/registry/wire"
)

// corrupt is an ErrCorrupt that says what does not fit.
func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", registry.ErrCorrupt, fmt.Sprintf(format, args...))
}

// fill reads exactly len(b) bytes and sums them up.
func (d *decoder) fill(b []byte) error {
	if _, err := io.ReadFull(d.in, b); err != nil {
		return endsEarly(err)
	}
	d.sum = crc64.Update(d.sum, crc64ec, b)
	return nil
}

func endsEarly(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return corrupt("it ends early")
	}
	return err
}

// next reads the next frame into d.kind and d.buf.
func (d *decoder) next() error {
	var head [1 + binary.MaxVarintLen64]byte
	n := 0
	for {
		b, err := d.in.ReadByte()
		if err != nil {
			return endsEarly(err)
		}
		head[n] = b
		n++
		if n > 1 && b < 0x80 {
			break
		}
		if n == len(head) {
			return corrupt("a frame has no length")
		}
	}
	d.sum = crc64.Update(d.sum, crc64ec, head[:n])
	d.kind = head[0]
	size, used := binary.Uvarint(head[1:n])
	if used != n-1 || size > math.MaxInt64 {
		return corrupt("a frame has no length")
	}
	if d.kind == frameEnd {
		return d.end(size)
	}
	return d.body(int64(size))
}

// body reads a payload. A large one is read in steps, so that memory is taken
// only for bytes that are there.
func (d *decoder) body(size int64) error {
	const step = 1 << 20
	d.buf = d.buf[:0]
	for int64(len(d.buf)) < size {
		at := len(d.buf)
		n := int(min(size-int64(at), step))
		if cap(d.buf)-at < n {
			d.buf = append(make([]byte, 0, max(2*cap(d.buf), at+n)), d.buf...)
		}
		d.buf = d.buf[:at+n]
		if err := d.fill(d.buf[at:]); err != nil {
			return err
		}
	}
	return nil
}

// end checks the checksum, and that nothing follows it.
func (d *decoder) end(size uint64) error {
	want := d.sum
	var b [8]byte
	if size != uint64(len(b)) {
		return corrupt("its end is damaged")
	}
	if err := d.fill(b[:]); err != nil {
		return err
	}
	if binary.LittleEndian.Uint64(b[:]) != want {
		return corrupt("its checksum does not match")
	}
	if _, err := d.in.ReadByte(); !errors.Is(err, io.EOF) {
		if err != nil {
			return err
		}
		return corrupt("bytes follow its end")
	}
	return nil
}

// want reads a frame that must be of one kind.
func (d *decoder) want(kind byte) error {
	if err := d.next(); err != nil {
		return err
	}
	if d.kind != kind {
		return corrupt("it has a frame of kind %d where one of kind %d should be", d.kind, kind)
	}
	return nil
}

// message walks the current frame's payload. In a format that is known, an
// unknown field is damage.
func (d *decoder) message(each func(*wire.Reader) bool) error {
	r := wire.NewReader(d.buf)
	for r.Next() {
		if !each(&r) {
			return d.unknown(r.Number())
		}
	}
	return r.Err()
}

func (d *decoder) unknown(field int) error {
	return corrupt("a frame of kind %d has an unknown field %d", d.kind, field)
}
