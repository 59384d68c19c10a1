package wire

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// TestBytes pins the encoding: what was written must stay readable.
func TestBytes(t *testing.T) {
	body := func(n int) func([]byte) []byte {
		return func(b []byte) []byte { return append(b, strings.Repeat("x", n)...) }
	}
	for _, c := range []struct {
		name string
		got  []byte
		want string
	}{
		{"uint", AppendUint(nil, 1, 300), "08ac02"},
		{"uint 0 is left out", AppendUint(nil, 1, 0), ""},
		{"largest uint", AppendUint(nil, 2, math.MaxUint64), "10ffffffffffffffffff01"},
		{"int", AppendInt(nil, 1, -1), "0801"},
		{"int 0 is left out", AppendInt(nil, 1, 0), ""},
		{"smallest int", AppendInt(nil, 1, math.MinInt64), "08ffffffffffffffffff01"},
		{"true", AppendBool(nil, 1, true), "0801"},
		{"false is left out", AppendBool(nil, 1, false), ""},
		{"string", AppendString(nil, 3, "hé"), "1a0368c3a9"},
		{"empty string is left out", AppendString(nil, 3, ""), ""},
		{"bytes", AppendBytes(nil, 3, []byte{0, 255}), "1a0200ff"},
		{"empty bytes are left out", AppendBytes(nil, 3, []byte{}), ""},
		{"field above 15", AppendUint(nil, 16, 1), "800101"},
		{"message", AppendMessage(nil, 1, func(b []byte) []byte { return AppendUint(b, 1, 1) }), "0a020801"},
		{"empty message is kept", AppendMessage(nil, 1, body(0)), "0a00"},
		{"longest message with a short length", AppendMessage(nil, 1, body(127))[:3], "0a7f78"},
		{"shortest message with a long length", AppendMessage(nil, 1, body(128))[:4], "0a800178"},
		{"appends", AppendMessage([]byte{0xee}, 1, body(1)), "ee0a0178"},
	} {
		if got := fmt.Sprintf("%x", c.got); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestMessageLengths writes messages of every length around those where the length
// itself grows, into buffers with and without room.
func TestMessageLengths(t *testing.T) {
	for _, n := range []int{0, 1, 126, 127, 128, 129, 16382, 16383, 16384, 16385, 1 << 21, 1<<21 + 1} {
		body := bytes.Repeat([]byte("ab"), n/2+1)[:n]
		want := append([]byte("before"), protowire.AppendBytes(protowire.AppendTag(nil, 5, protowire.BytesType), body)...)
		for _, room := range []int{0, 3, n + 100} {
			b := append(make([]byte, 0, len("before")+room), "before"...)
			got := AppendMessage(b, 5, func(b []byte) []byte { return append(b, body...) })
			if !bytes.Equal(got, want) {
				t.Errorf("a message of %d bytes is not what it should be", n)
			}
		}
	}
}

func TestReader(t *testing.T) {
	b := AppendUint(nil, 1, 7)
	b = AppendInt(b, 2, -7)
	b = AppendBool(b, 3, true)
	b = AppendString(b, 4, "text")
	b = AppendBytes(b, 5, []byte("bytes"))
	b = protowire.AppendFixed32(protowire.AppendTag(b, 6, protowire.Fixed32Type), 1) // never written, skipped
	b = AppendUint(b, 7, 9)
	var got []any
	r := NewReader(b)
	for r.Next() {
		switch r.Number() {
		case 1:
			got = append(got, r.Uint())
		case 2:
			got = append(got, r.Int())
		case 3:
			got = append(got, r.Bool())
		case 4:
			got = append(got, r.String())
		case 5:
			got = append(got, string(r.Bytes()))
		case 7:
			got = append(got, r.Small(9))
		}
	}
	if want := "[7 -7 true text bytes 9]"; fmt.Sprint(got) != want || r.Err() != nil {
		t.Errorf("%v, %v, want %s", got, r.Err(), want)
	}
}

func TestReaderErrors(t *testing.T) {
	number, text := AppendUint(nil, 1, 7), AppendString(nil, 1, "text")
	for _, c := range []struct {
		name string
		b    []byte
		read func(r *Reader)
	}{
		{"a number as bytes", number, func(r *Reader) { r.Bytes() }},
		{"a number as text", number, func(r *Reader) { _ = r.String() }},
		{"text as a number", text, func(r *Reader) { r.Uint() }},
		{"text as a signed number", text, func(r *Reader) { r.Int() }},
		{"text as a bool", text, func(r *Reader) { r.Bool() }},
		{"text as a small number", text, func(r *Reader) { r.Small(9) }},
		{"a number above its bound", number, func(r *Reader) { r.Small(6) }},
		{"a tag without a field", number[:1], func(*Reader) {}},
		{"a tag cut short", []byte{0x80}, func(*Reader) {}},
		{"field 0", []byte{0, 0}, func(*Reader) {}},
		{"a field number beyond all", protowire.AppendVarint(nil, math.MaxUint64), func(*Reader) {}},
		{"text cut short", text[:3], func(*Reader) {}},
		{"text of a length beyond all", append([]byte{10}, bytes.Repeat([]byte{0xff}, 9)...), func(*Reader) {}},
		{"a number of eleven bytes", append([]byte{8}, bytes.Repeat([]byte{0xff}, 11)...), func(*Reader) {}},
		{"the end of a group", []byte{1<<3 | byte(protowire.EndGroupType)}, func(*Reader) {}},
		{"a kind that does not exist", []byte{1<<3 | 7}, func(*Reader) {}},
	} {
		r := NewReader(c.b)
		for r.Next() {
			c.read(&r)
		}
		if !errors.Is(r.Err(), ErrMalformed) {
			t.Errorf("%s: %v", c.name, r.Err())
		}
		if r.Next() {
			t.Errorf("%s: it goes on after an error", c.name)
		}
		err := r.Err()
		r.Fail(errors.New("another"))
		if r.Err() != err {
			t.Errorf("%s: a later error hides the first", c.name)
		}
	}
}

func TestDecodeStops(t *testing.T) {
	stop := errors.New("enough")
	seen := 0
	err := Decode(AppendUint(AppendUint(nil, 1, 1), 2, 2), func(f *Field) error {
		seen++
		return stop
	})
	if err != stop || seen != 1 {
		t.Errorf("%v after %d fields", err, seen)
	}
}

// FuzzReader has Reader and Decode agree on any bytes, and with the protobuf
// runtime on what a message is.
func FuzzReader(f *testing.F) {
	f.Add([]byte{})
	f.Add(AppendMessage(AppendInt(nil, 1, -5), 2, func(b []byte) []byte { return AppendString(b, 3, "x") }))
	f.Add(protowire.AppendFixed64(protowire.AppendTag(nil, 6, protowire.Fixed64Type), 1))
	f.Add([]byte{0x0b, 0x08, 0x01, 0x0c})
	f.Fuzz(func(t *testing.T, b []byte) {
		read, readErr := walkReader(b)
		decoded, decodeErr := walkDecode(b)
		if read != decoded || (readErr == nil) != (decodeErr == nil) {
			t.Fatalf("Reader: %s%v\nDecode: %s%v", read, readErr, decoded, decodeErr)
		}
		if valid(b) != (readErr == nil) {
			t.Fatalf("valid is %v: %v", valid(b), readErr)
		}
		if readErr != nil && !errors.Is(readErr, ErrMalformed) {
			t.Fatal(readErr)
		}
	})
}

func walkReader(b []byte) (string, error) {
	var out strings.Builder
	r := NewReader(b)
	for r.Next() {
		fmt.Fprintln(&out, r.Number(), r.field.num, r.field.bytes)
	}
	return out.String(), r.Err()
}

func walkDecode(b []byte) (string, error) {
	var out strings.Builder
	err := Decode(b, func(f *Field) error {
		fmt.Fprintln(&out, f.Number, f.num, f.bytes)
		return nil
	})
	return out.String(), err
}

// valid walks a message with the protobuf runtime alone.
func valid(b []byte) bool {
	for len(b) > 0 {
		_, _, n := protowire.ConsumeField(b)
		if n < 0 {
			return false
		}
		b = b[n:]
	}
	return true
}

func BenchmarkReader(b *testing.B) {
	m := AppendBytes(AppendString(AppendInt(nil, 1, 5), 2, "a key of some length"), 3, make([]byte, 100))
	b.ReportAllocs()
	for b.Loop() {
		r := NewReader(m)
		n := 0
		for r.Next() {
			n += r.Number()
		}
		if n != 6 {
			b.Fatal(n)
		}
	}
}
