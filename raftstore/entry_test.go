package raftstore

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"herald/registry"
)

type item struct {
	fence uint64
	cmd   []byte
}

func TestEntryRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		items := rapid.SliceOf(rapid.Custom(func(t *rapid.T) item {
			return item{rapid.Uint64().Draw(t, "fence"), rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "cmd")}
		})).Draw(t, "items")
		size := 1
		b := appendEntryHeader(nil)
		for _, it := range items {
			b = appendCommand(b, it.fence, it.cmd)
			size += len(it.cmd) + commandOverhead
		}
		if len(b) > size {
			t.Errorf("entry has %d bytes, %d were planned", len(b), size)
		}
		var n int
		err := splitEntry(b, func(fence uint64, cmd []byte) error {
			if fence != items[n].fence || !bytes.Equal(cmd, items[n].cmd) {
				t.Errorf("command %d is %d %x, want %d %x", n, fence, cmd, items[n].fence, items[n].cmd)
			}
			n++
			return nil
		})
		if err != nil || n != len(items) {
			t.Errorf("read %d commands of %d: %v", n, len(items), err)
		}
		// No proper prefix that cuts into a command is taken for an entry.
		if len(b) > 1 {
			cut := rapid.IntRange(1, len(b)-1).Draw(t, "cut")
			m := 0
			err := splitEntry(b[:cut], func(uint64, []byte) error { m++; return nil })
			if err == nil && m == len(items) {
				t.Errorf("a prefix of %d of %d bytes reads as the whole", cut, len(b))
			}
		}
	})
}

func TestEntryErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		in   []byte
		want error
	}{
		{"empty", nil, registry.ErrCorrupt},
		{"newer format", []byte{restoreFormat + 1}, registry.ErrFormat},
		{"no length", []byte{entryFormat, 0}, registry.ErrCorrupt},
		{"short command", []byte{entryFormat, 0, 3, 'a'}, registry.ErrCorrupt},
		{"huge length", []byte{entryFormat, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, registry.ErrCorrupt},
		{"bad fence", bytes.Repeat([]byte{0xff}, 12), registry.ErrFormat},
		{"endless fence", append([]byte{entryFormat}, bytes.Repeat([]byte{0xff}, 12)...), registry.ErrCorrupt},
	} {
		if err := splitEntry(c.in, func(uint64, []byte) error { return nil }); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func FuzzEntry(f *testing.F) {
	f.Add([]byte{entryFormat})
	f.Add(appendCommand(appendEntryHeader(nil), 7, []byte("command")))
	f.Fuzz(func(t *testing.T, b []byte) {
		total := 0
		err := splitEntry(b, func(_ uint64, cmd []byte) error { total += len(cmd); return nil })
		if total > len(b) {
			t.Errorf("commands of %d bytes in an entry of %d", total, len(b))
		}
		if err != nil && !errors.Is(err, registry.ErrCorrupt) && !errors.Is(err, registry.ErrFormat) {
			t.Errorf("unexpected error %v", err)
		}
	})
}
