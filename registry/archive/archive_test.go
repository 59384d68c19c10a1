package archive

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"

	"herald/registry"
	"herald/registry/mvcc"
)

var update = flag.Bool("update", false, "write the golden file anew")

var testInfo = registry.SnapshotInfo{
	Version: "1.2.3", ClusterID: "cluster", NodeID: "node", Term: 7,
	Created: time.Date(2026, 11, 22, 14, 3, 0, 5, time.FixedZone("", 3600)),
}

func testView(t testing.TB) *mvcc.View {
	t.Helper()
	s := mvcc.New()
	put := func(p registry.PutRequest) mvcc.Command {
		return mvcc.Command{Txn: &registry.Txn{Then: []registry.Op{{Put: &p}}}}
	}
	for _, c := range []mvcc.Command{
		{Grant: &mvcc.LeaseGrant{ID: 5, TTL: time.Minute}},
		put(registry.PutRequest{Key: "a", Value: []byte("1")}),
		put(registry.PutRequest{Key: "a", Value: []byte("2"), Lease: 5}),
		put(registry.PutRequest{Key: "c", Space: registry.SpaceCatalog}),
	} {
		if res := s.Apply(&c); res.Err != nil {
			t.Fatal(res.Err)
		}
	}
	s.SetApplied(42)
	return s.Publish()
}

func write(t testing.TB, v *mvcc.View) ([]byte, registry.SnapshotInfo) {
	t.Helper()
	var b bytes.Buffer
	info, err := Write(&b, v, testInfo)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), info
}

func TestArchiveGolden(t *testing.T) {
	b, info := write(t, testView(t))
	said, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	const file = "testdata/archive.golden"
	got := string(said) + "\n" + hex.Dump(b)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the bytes are not those of %s: archives that were written before cannot be read alike\n%s", file, got)
	}
}

func TestWriteThenRead(t *testing.T) {
	v := testView(t)
	b, info := write(t, v)
	want := testInfo
	want.Format = 1
	want.Created = testInfo.Created.UTC()
	want.Index = 42
	want.Revisions = registry.Revisions{3, 2, 1, 1}
	want.Keys = map[string]int64{"kv": 1, "catalog": 1, "session": 0, "system": 0}
	want.Leases = 1
	want.Bytes, want.SHA256 = info.Bytes, info.SHA256
	if !reflect.DeepEqual(info, want) {
		t.Errorf("it says of itself\n%+v, want\n%+v", info, want)
	}
	var state bytes.Buffer
	if err := v.Encode(&state); err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(state.Bytes()); info.Bytes != int64(state.Len()) || info.SHA256 != hex.EncodeToString(sum[:]) {
		t.Errorf("%d bytes of sum %s, want %d of %x", info.Bytes, info.SHA256, state.Len(), sum)
	}
	// Something follows it, as on a connection, and comes in pieces.
	in := bytes.NewReader(append(bytes.Clone(b), "more"...))
	s, read, err := Read(iotest.HalfReader(in))
	if err != nil || !reflect.DeepEqual(read, want) {
		t.Fatalf("read\n%+v (%v), want\n%+v", read, err, want)
	}
	if s.View().Hash() != v.Hash() || s.View().Applied() != 42 {
		t.Error("the state is another one")
	}
	if rest, _ := io.ReadAll(in); string(rest) != "more" {
		t.Errorf("%q is left, want more", rest)
	}
	if inspected, err := Inspect(iotest.OneByteReader(bytes.NewReader(b))); err != nil || !reflect.DeepEqual(inspected, want) {
		t.Errorf("inspected\n%+v (%v), want\n%+v", inspected, err, want)
	}
}

// TestChunks has states that are smaller and larger than a chunk.
func TestChunks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := mvcc.New()
		for i := range rapid.IntRange(0, 4).Draw(t, "keys") {
			size := rapid.IntRange(0, 3*maxChunk/2).Draw(t, "size")
			c := mvcc.Command{Txn: &registry.Txn{Then: []registry.Op{{Put: &registry.PutRequest{
				Key: fmt.Sprint(i), Value: bytes.Repeat([]byte{byte(i)}, size),
			}}}}}
			s.Apply(&c)
		}
		var b bytes.Buffer
		info, err := Write(&b, s.Publish(), testInfo)
		if err != nil {
			t.Fatal(err)
		}
		got, read, err := Read(&b)
		if err != nil || !reflect.DeepEqual(read, info) || got.View().Hash() != s.View().Hash() || b.Len() != 0 {
			t.Fatalf("%+v became %+v (%v), %d bytes left", info, read, err, b.Len())
		}
	})
}

// TestDamage flips each bit, cuts at each length, and takes each byte out.
func TestDamage(t *testing.T) {
	whole, _ := write(t, testView(t))
	for i := range whole {
		for bit := range 8 {
			b := bytes.Clone(whole)
			b[i] ^= 1 << bit
			if _, err := Inspect(bytes.NewReader(b)); !errors.Is(err, registry.ErrCorrupt) {
				t.Fatalf("bit %d of byte %d flipped: %v", bit, i, err)
			}
		}
		if _, err := Inspect(bytes.NewReader(whole[:i])); !errors.Is(err, registry.ErrCorrupt) {
			t.Fatalf("cut to %d bytes: %v", i, err)
		}
		if _, err := Inspect(bytes.NewReader(append(bytes.Clone(whole[:i]), whole[i+1:]...))); !errors.Is(err, registry.ErrCorrupt) {
			t.Fatalf("without byte %d: %v", i, err)
		}
	}
}

// sealed is an archive as an etcd client's download has it.
func sealed(b []byte) []byte {
	b = append(bytes.Clone(b), make([]byte, -len(b)&511)...)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// TestSealed takes an archive with its seal, and with no other.
func TestSealed(t *testing.T) {
	v := testView(t)
	plain, want := write(t, v)
	whole := sealed(plain)
	if len(whole)%512 != 32 {
		t.Fatalf("%d bytes", len(whole))
	}
	s, info, err := ReadAll(iotest.HalfReader(bytes.NewReader(whole)))
	if err != nil || !reflect.DeepEqual(info, want) || s.View().Hash() != v.Hash() {
		t.Errorf("%+v (%v), want %+v", info, err, want)
	}
	for i := len(plain); i < len(whole); i++ {
		for bit := range 8 {
			b := bytes.Clone(whole)
			b[i] ^= 1 << bit
			if _, err := Inspect(bytes.NewReader(b)); !errors.Is(err, registry.ErrCorrupt) {
				t.Fatalf("bit %d of byte %d flipped: %v", bit, i, err)
			}
		}
		if _, err := Inspect(bytes.NewReader(whole[:i])); i > len(plain) && !errors.Is(err, registry.ErrCorrupt) {
			t.Fatalf("cut to %d bytes: %v", i, err)
		}
		if _, err := Inspect(bytes.NewReader(append(bytes.Clone(whole[:i]), whole[i+1:]...))); !errors.Is(err, registry.ErrCorrupt) {
			t.Fatalf("without byte %d: %v", i, err)
		}
	}
	for what, b := range map[string][]byte{
		"something behind it": append(bytes.Clone(whole), 0),
		"two seals":           sealed(whole),
		"a whole block more":  append(bytes.Clone(plain), make([]byte, 1024)...),
	} {
		if _, err := Inspect(bytes.NewReader(b)); !errors.Is(err, registry.ErrCorrupt) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestWhatPeopleAreTold(t *testing.T) {
	whole, _ := write(t, testView(t))
	state := bytes.Index(whole, []byte("heraldkv"))
	if state < 0 {
		t.Fatal("no state in the archive")
	}
	var plain bytes.Buffer
	if err := testView(t).Encode(&plain); err != nil {
		t.Fatal(err)
	}
	edit := func(at int, with byte) []byte {
		b := bytes.Clone(whole)
		b[at] = with
		return b
	}
	for _, c := range []struct {
		name string
		b    []byte
		is   error
		text string
	}{
		{"nothing", nil, registry.ErrCorrupt, "not a Herald snapshot"},
		{"a short text", []byte("hi"), registry.ErrCorrupt, "not a Herald snapshot"},
		{"a long text", bytes.Repeat([]byte("text "), 100), registry.ErrCorrupt, "not a Herald snapshot"},
		{"a state without an archive", plain.Bytes(), registry.ErrCorrupt, "not a Herald snapshot"},
		{"cut in the magic", whole[:5], registry.ErrCorrupt, "cut short after 5 bytes"},
		{"cut in the header", whole[:40], registry.ErrCorrupt, "cut short after 40 bytes"},
		{"cut in the state", whole[:state+20], registry.ErrCorrupt, fmt.Sprintf("cut short after %d bytes", state+20)},
		{"cut in the sums", whole[:len(whole)-1], registry.ErrCorrupt, fmt.Sprintf("cut short after %d bytes", len(whole)-1)},
		{"a damaged header", edit(30, 0xff), registry.ErrCorrupt, "header is damaged"},
		{"a damaged format", edit(len(magic), 9), registry.ErrCorrupt, "header is damaged"},
		{"a huge header", edit(len(magic)+7, 0xff), registry.ErrCorrupt, "its header claims"},
		{"a damaged sum", edit(len(whole)-1, whole[len(whole)-1]^1), registry.ErrCorrupt, "checksum does not match"},
		{"a newer archive", begin(Format+1, []byte("whatever")), registry.ErrFormat, "upgrade herald"},
		{"a newer state", archiveOf(begin(Format, []byte("{}")), newerState(plain.Bytes())), registry.ErrFormat, "upgrade herald"},
		{"no format", begin(0, []byte("{}")), registry.ErrCorrupt, "header is damaged"},
		{"a header that is no JSON", begin(Format, []byte("{")), registry.ErrCorrupt, "header cannot be read"},
		{"a header of something else", archiveOf(begin(Format, []byte("{}")), plain.Bytes()), registry.ErrCorrupt, "another content"},
	} {
		_, err := Inspect(bytes.NewReader(c.b))
		if !errors.Is(err, c.is) || err == nil || !strings.Contains(err.Error(), c.text) || errors.Is(err, io.EOF) {
			t.Errorf("%s: %v, want %q", c.name, err, c.text)
		}
		if other := map[error]error{registry.ErrCorrupt: registry.ErrFormat, registry.ErrFormat: registry.ErrCorrupt}[c.is]; errors.Is(err, other) {
			t.Errorf("%s: it is both of two kinds: %v", c.name, err)
		}
	}
}

// archiveOf is an archive whose sums are right, whatever its state is.
func archiveOf(beginning, state []byte) []byte {
	var out bytes.Buffer
	out.Write(beginning)
	c := &chunkWriter{w: &out, sum: sha256.New()}
	c.Write(state)
	out.Write(c.end())
	sum := sha256.Sum256(out.Bytes())
	return append(out.Bytes(), sum[:]...)
}

// newerState is the beginning of a state in a format that does not exist yet, as the
// state machine spells it: magic, format, CRC-32C.
func newerState(state []byte) []byte {
	b := binary.LittleEndian.AppendUint32(bytes.Clone(state[:8]), 99)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func TestErrorsOfTheDisk(t *testing.T) {
	broken := errors.New("disk on fire")
	v := testView(t)
	whole, _ := write(t, v)
	for n := range whole {
		_, err := Inspect(io.MultiReader(bytes.NewReader(whole[:n]), iotest.ErrReader(broken)))
		if !errors.Is(err, broken) || errors.Is(err, registry.ErrCorrupt) {
			t.Fatalf("read fails after %d bytes: %v", n, err)
		}
		if _, err := Write(&failingWriter{left: n, err: broken}, v, testInfo); !errors.Is(err, broken) {
			t.Fatalf("write fails after %d bytes: %v", n, err)
		}
	}
}

type failingWriter struct {
	left int
	err  error
}

func (w *failingWriter) Write(b []byte) (int, error) {
	if len(b) > w.left {
		return w.left, w.err
	}
	w.left -= len(b)
	return len(b), nil
}

// FuzzRead has archives whose sums are right, so that what is behind them is reached.
func FuzzRead(f *testing.F) {
	whole, info := write(f, testView(f))
	head, err := json.Marshal(headerOf(&info))
	if err != nil {
		f.Fatal(err)
	}
	var state bytes.Buffer
	if err := testView(f).Encode(&state); err != nil {
		f.Fatal(err)
	}
	f.Add(whole, head, state.Bytes())
	f.Add(sealed(whole), head, state.Bytes())
	f.Add([]byte{}, []byte("{}"), []byte{})
	f.Add(whole[:100], []byte("null"), state.Bytes()[:30])
	f.Fuzz(func(t *testing.T, raw, head, state []byte) {
		for _, b := range [][]byte{raw, archiveOf(begin(Format, head), state)} {
			if _, _, err := ReadAll(bytes.NewReader(b)); err != nil && !errors.Is(err, registry.ErrFormat) && !errors.Is(err, registry.ErrCorrupt) {
				t.Fatalf("neither ErrFormat nor ErrCorrupt: %v", err)
			}
			s, info, err := Read(bytes.NewReader(b))
			if err != nil {
				if !errors.Is(err, registry.ErrFormat) && !errors.Is(err, registry.ErrCorrupt) {
					t.Fatalf("neither ErrFormat nor ErrCorrupt: %v", err)
				}
				continue
			}
			if y := info.Created.Year(); y < 0 || y > 9999 {
				continue // no JSON has it
			}
			var again bytes.Buffer
			wrote, err := Write(&again, s.View(), info)
			if err != nil || !reflect.DeepEqual(wrote, info) {
				t.Fatalf("%+v was written again as %+v (%v)", info, wrote, err)
			}
		}
	})
}

func BenchmarkArchive(b *testing.B) {
	s := mvcc.New()
	for i := range 100_000 {
		c := mvcc.Command{Txn: &registry.Txn{Then: []registry.Op{{Put: &registry.PutRequest{Key: fmt.Sprintf("key/%08d", i), Value: make([]byte, 128)}}}}}
		s.Apply(&c)
	}
	var buf bytes.Buffer
	if _, err := Write(&buf, s.Publish(), testInfo); err != nil {
		b.Fatal(err)
	}
	b.Run("write", func(b *testing.B) {
		b.SetBytes(int64(buf.Len()))
		for b.Loop() {
			if _, err := Write(io.Discard, s.View(), testInfo); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("inspect", func(b *testing.B) {
		b.SetBytes(int64(buf.Len()))
		for b.Loop() {
			if _, err := Inspect(bytes.NewReader(buf.Bytes())); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// An archive of before there was a system space is read as one in which nothing was
// written to it.
func TestArchiveOfThreeSpaces(t *testing.T) {
	text, err := os.ReadFile("testdata/archive-of-three-spaces.golden")
	if err != nil {
		t.Fatal(err)
	}
	_, dump, _ := strings.Cut(string(text), "}\n00000000")
	var b []byte
	for line := range strings.Lines("00000000" + dump) {
		_, line, _ = strings.Cut(line, "  ")
		line, _, _ = strings.Cut(line, "  |")
		part, err := hex.DecodeString(strings.ReplaceAll(line, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		b = append(b, part...)
	}
	s, info, err := Read(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.View().Revisions(), (registry.Revisions{3, 2, 1, 1}); got != want {
		t.Errorf("revisions %v, want %v", got, want)
	}
	if keys, ok := info.Keys["system"]; !ok || keys != 0 || info.Keys["kv"] != 1 {
		t.Errorf("keys %v", info.Keys)
	}
}
