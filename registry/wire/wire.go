// Package wire is the field encoding that commands, snapshots and catalog records share:
// protobuf's wire format, written and read field by field. It is the only
// importer of the protobuf runtime's protowire.
//
// Encoders append to a slice and leave zero values out, so that equal values
// have equal bytes. Decoders walk the fields of one message in order and may
// skip fields they do not know.
package wire

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
)

// ErrMalformed is returned, wrapped, when bytes are not a valid message.
var ErrMalformed = errors.New("malformed message")

// AppendUint appends a varint field, unless v is 0.
func AppendUint(b []byte, field int, v uint64) []byte {
	if v == 0 {
		return b
	}
	b = protowire.AppendTag(b, protowire.Number(field), protowire.VarintType)
	return protowire.AppendVarint(b, v)
}

// AppendInt appends a zigzag varint field (sint64), unless v is 0.
func AppendInt(b []byte, field int, v int64) []byte {
	return AppendUint(b, field, protowire.EncodeZigZag(v))
}

// AppendBool appends a bool field, unless v is false.
func AppendBool(b []byte, field int, v bool) []byte {
	return AppendUint(b, field, protowire.EncodeBool(v))
}

// AppendString appends a string field, unless it is empty.
func AppendString(b []byte, field int, v string) []byte {
	if v == "" {
		return b
	}
	b = protowire.AppendTag(b, protowire.Number(field), protowire.BytesType)
	return protowire.AppendString(b, v)
}

// AppendBytes appends a bytes field, unless it is empty.
func AppendBytes(b []byte, field int, v []byte) []byte {
	if len(v) == 0 {
		return b
	}
	b = protowire.AppendTag(b, protowire.Number(field), protowire.BytesType)
	return protowire.AppendBytes(b, v)
}

// AppendMessage appends an embedded message, also when it is empty: its
// presence may be its meaning. fill appends the message's fields.
func AppendMessage(b []byte, field int, fill func([]byte) []byte) []byte {
	b = protowire.AppendTag(b, protowire.Number(field), protowire.BytesType)
	// The length goes before a body whose size is not known yet. Room is left for a
	// one-byte length; a longer body is moved up.
	at := len(b)
	b = fill(append(b, 0))
	n := len(b) - at - 1
	extra := protowire.SizeVarint(uint64(n)) - 1
	if extra > 0 {
		b = append(b, make([]byte, extra)...)
		copy(b[at+1+extra:], b[at+1:at+1+n])
	}
	protowire.AppendVarint(b[:at], uint64(n))
	return b
}

// Field is one decoded field of a message.
type Field struct {
	Number int
	kind   protowire.Type
	num    uint64
	bytes  []byte
}

// Uint is the value of a varint field.
func (f *Field) Uint() (uint64, error) {
	if f.kind != protowire.VarintType {
		return 0, f.wrongKind("a number")
	}
	return f.num, nil
}

// Int is the value of a zigzag varint field.
func (f *Field) Int() (int64, error) {
	v, err := f.Uint()
	return protowire.DecodeZigZag(v), err
}

// Bool is the value of a bool field.
func (f *Field) Bool() (bool, error) {
	v, err := f.Uint()
	return v != 0, err
}

// Small is the value of a varint field that must be at most max.
func (f *Field) Small(max uint64) (uint64, error) {
	v, err := f.Uint()
	if err == nil && v > max {
		return 0, fmt.Errorf("%w: field %d is %d, above %d", ErrMalformed, f.Number, v, max)
	}
	return v, err
}

// Bytes is the value of a bytes, string or message field. It is part of the
// message that is being decoded and must be copied to be kept.
func (f *Field) Bytes() ([]byte, error) {
	if f.kind != protowire.BytesType {
		return nil, f.wrongKind("bytes")
	}
	return f.bytes, nil
}

// String is a copy of the value of a string field.
func (f *Field) String() (string, error) {
	v, err := f.Bytes()
	return string(v), err
}

func (f *Field) wrongKind(want string) error {
	return fmt.Errorf("%w: field %d is not %s", ErrMalformed, f.Number, want)
}

// Decode calls each with every field of a message, in order. It stops at the
// first error, its own (ErrMalformed) or each's.
func Decode(b []byte, each func(f *Field) error) error {
	var f Field
	for len(b) > 0 {
		var err error
		if b, err = f.read(b); err != nil {
			return err
		}
		if err := each(&f); err != nil {
			return err
		}
	}
	return nil
}
