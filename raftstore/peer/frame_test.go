package peer

import (
	"bytes"
	"errors"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"
)

// TestFrameBytes pins the format of version 1.
func TestFrameBytes(t *testing.T) {
	got := appendFrame(nil, header{kind: kindRequest, method: 7, id: 0x0102, remaining: 1500}, []byte("hi"))
	want := "\x00\x00\x00\x02" + "\x02" + "\x07" + "\x00\x00\x00\x00\x00\x00\x01\x02" + "\x00\x00\x05\xdc" + "hi"
	if string(got) != want {
		t.Errorf("frame is %q, want %q", got, want)
	}
}

func TestFramesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type frame struct {
			header
			payload []byte
		}
		var sent []frame
		var b []byte
		for range rapid.IntRange(1, 20).Draw(t, "frames") {
			f := frame{header: header{
				kind:      kind(rapid.IntRange(int(kindPing), int(kindVoid)).Draw(t, "kind")),
				method:    Method(rapid.Byte().Draw(t, "method")),
				id:        rapid.Uint64().Draw(t, "id"),
				remaining: rapid.Uint32().Draw(t, "remaining"),
			}}
			if f.kind != kindPing && f.kind != kindCancel {
				// Now and then it is longer than the buffer.
				size := rapid.SampledFrom([]int{0, 1, 10, 1000, 2 * readBuffer}).Draw(t, "size")
				f.payload = bytes.Repeat([]byte{byte(f.id)}, size)
			}
			sent = append(sent, f)
			b = appendFrame(b, f.header, f.payload)
		}
		r := newFrameReader(iotest.HalfReader(bytes.NewReader(b)), 2*readBuffer)
		for _, want := range sent {
			h, err := r.next()
			if err != nil {
				t.Fatal(err)
			}
			take := r.keep
			if rapid.Bool().Draw(t, "borrow") {
				take = r.borrow
			}
			payload, err := take(h.size)
			h.size = 0
			if err != nil || h != want.header || !bytes.Equal(payload, want.payload) {
				t.Fatalf("%+v became %+v with %d bytes, %v", want.header, h, len(payload), err)
			}
		}
	})
}

func TestMoreIsAWholeFrame(t *testing.T) {
	first := appendFrame(nil, header{kind: kindPing}, nil)
	second := appendFrame(nil, header{kind: kindRequest}, []byte("payload"))
	for cut := range len(second) + 1 {
		r := newFrameReader(bytes.NewReader(append(first[:len(first):len(first)], second[:cut]...)), 100)
		if _, err := r.next(); err != nil {
			t.Fatal(err)
		}
		if got, want := r.more(), cut == len(second); got != want {
			t.Errorf("with %d of %d bytes: %v", cut, len(second), got)
		}
	}
}

func TestMalformedHeaders(t *testing.T) {
	const limit = 100
	cases := map[string][]byte{
		"kind 0":          appendFrame(nil, header{}, nil),
		"unknown kind":    appendFrame(nil, header{kind: kindVoid + 1}, nil),
		"over the limit":  appendFrame(nil, header{kind: kindRequest}, make([]byte, limit+1)),
		"ping with bytes": appendFrame(nil, header{kind: kindPing}, []byte("x")),
	}
	for name, b := range cases {
		if _, err := parseHeader(b[:headerSize], limit); !errors.Is(err, errMalformedFrame) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzFrames(f *testing.F) {
	f.Add(appendFrame(appendFrame(nil, header{kind: kindPing}, nil), header{kind: kindRequest, method: 1, id: 2}, []byte("hello")))
	f.Add([]byte("\x7f\xff\xff\xff\x02"))
	f.Fuzz(func(t *testing.T, b []byte) {
		const limit = 1 << 10
		var whole []byte
		r := newFrameReader(bytes.NewReader(b), limit)
		for {
			h, err := r.next()
			if err != nil {
				break
			}
			if h.size > limit {
				t.Fatalf("a frame of %d bytes passes a limit of %d", h.size, limit)
			}
			payload, err := r.keep(h.size)
			if err != nil {
				break
			}
			whole = appendFrame(whole, h, payload)
		}
		if !bytes.HasPrefix(b, whole) {
			t.Errorf("%q was read as %q", b, whole)
		}
	})
}
