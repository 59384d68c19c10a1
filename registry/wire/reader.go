package wire

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// Reader walks the fields of one message in order. It allocates nothing, and
// remembers the first error, so that a decoder may read every field it knows
// and look at Err once:
//
//	r := wire.NewReader(b)
//	for r.Next() {
//		switch r.Number() {
//		case 1:
//			v.Name = r.String()
//		}
//	}
//	return r.Err()
type Reader struct {
	rest  []byte
	field Field
	err   error
}

// NewReader reads the message in b, which must not change meanwhile.
func NewReader(b []byte) Reader { return Reader{rest: b} }

// Next moves to the next field. It returns false at the end of the message and
// after an error.
func (r *Reader) Next() bool {
	if r.err != nil || len(r.rest) == 0 {
		return false
	}
	r.rest, r.err = r.field.read(r.rest)
	return r.err == nil
}

// Err is the first error met: ErrMalformed, or what Fail was given.
func (r *Reader) Err() error { return r.err }

// Fail ends the walk with err, unless it ended with an error before.
func (r *Reader) Fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// Number is the current field's number.
func (r *Reader) Number() int { return r.field.Number }

// Uint is the value of a varint field, 0 if the field is of another kind.
func (r *Reader) Uint() uint64 {
	v, err := r.field.Uint()
	r.Fail(err)
	return v
}

// Int is the value of a zigzag varint field.
func (r *Reader) Int() int64 {
	v, err := r.field.Int()
	r.Fail(err)
	return v
}

// Bool is the value of a bool field.
func (r *Reader) Bool() bool {
	v, err := r.field.Bool()
	r.Fail(err)
	return v
}

// Small is the value of a varint field that must be at most max.
func (r *Reader) Small(max uint64) uint64 {
	v, err := r.field.Small(max)
	r.Fail(err)
	return v
}

// Bytes is the value of a bytes, string or message field. It is part of the
// message that is being read and must be copied to be kept.
func (r *Reader) Bytes() []byte {
	v, err := r.field.Bytes()
	r.Fail(err)
	return v
}

// String is a copy of the value of a string field.
func (r *Reader) String() string { return string(r.Bytes()) }

// read decodes the field at the start of b and returns what follows it.
func (f *Field) read(b []byte) ([]byte, error) {
	num, kind, n := protowire.ConsumeTag(b)
	if n < 0 {
		return nil, fmt.Errorf("%w: bad field tag", ErrMalformed)
	}
	b = b[n:]
	*f = Field{Number: int(num), kind: kind}
	switch kind {
	case protowire.VarintType:
		f.num, n = protowire.ConsumeVarint(b)
	case protowire.BytesType:
		f.bytes, n = protowire.ConsumeBytes(b)
	default:
		n = protowire.ConsumeFieldValue(num, kind, b)
	}
	if n < 0 {
		return nil, fmt.Errorf("%w: field %d is cut short", ErrMalformed, num)
	}
	return b[n:], nil
}
