package cookie

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func secret(t *testing.T, s string) Secret {
	t.Helper()
	k, err := ParseSecret(s)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// The test vectors of RFC 9018, appendix A.
func TestVectors(t *testing.T) {
	const first, rolled, next = "e5e973e5a6b2a43f48e7dc849e37bfcf", "dd3bdf9344b678b185a6f5cb60fca715", "445536bcd2513298075a5d379663c962"
	for _, c := range []struct {
		name    string
		secrets []string
		addr    string
		query   string // option data
		now     int64
		want    Verdict
		reply   string
	}{
		{"A.1 a new server cookie", []string{first}, "198.51.100.100",
			"2464c4abcf10c957", 1559731985, Missing, "2464c4abcf10c957010000005cf79f111f8130c3eee29480"},
		{"A.2 the same client 40 minutes later", []string{first}, "198.51.100.100",
			"2464c4abcf10c957010000005cf79f111f8130c3eee29480", 1559734385, Renew, "2464c4abcf10c957010000005cf7a871d4a564a1442aca77"},
		// The cookie is nearly two hours old when the appendix accepts it, against section
		// 4.3; its hash, with the reserved bytes in it, is tried while it is fresh.
		{"A.3 reserved bytes, fresh", []string{first}, "203.0.113.203",
			"fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5", 1559727985, Good, ""},
		{"A.3 reserved bytes, as late as there", []string{first}, "203.0.113.203",
			"fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5", 1559734700, Bad, "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e"},
		{"A.4 IPv6 and a secret rolled over", []string{next, rolled}, "2001:db8:220:1:59de:d0f4:8769:82b8",
			"22681ab97d52c298010000005cf7c57926556bd0934c72f8", 1559741961, Renew, "22681ab97d52c298010000005cf7c609a6bb79d16625507a"},
		{"A.4 without the old secret", []string{next}, "2001:db8:220:1:59de:d0f4:8769:82b8",
			"22681ab97d52c298010000005cf7c57926556bd0934c72f8", 1559741961, Bad, "22681ab97d52c298010000005cf7c609a6bb79d16625507a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var secrets []Secret
			for _, s := range c.secrets {
				secrets = append(secrets, secret(t, s))
			}
			k := New(secrets[0], secrets[1:]...)
			client, server, ok := Split(unhex(t, c.query))
			if !ok {
				t.Fatal("malformed")
			}
			addr := netip.MustParseAddr(c.addr)
			if got := k.Check(client, server, addr, c.now); got != c.want {
				t.Errorf("verdict %v, want %v", got, c.want)
			}
			if c.reply == "" {
				return
			}
			if got := hex.EncodeToString(k.Append(nil, client, addr, c.now)); got != c.reply {
				t.Errorf("reply %s\nwant  %s", got, c.reply)
			}
		})
	}
}

// The values that the authors of SipHash give for SipHash-2-4 with the key 00 01 … 0f
// over 00 01 … of 20 and 32 bytes, which are the two sizes there are here.
func TestSipHash(t *testing.T) {
	var s Secret
	var in [32]byte
	for i := range in {
		in[i] = byte(i)
	}
	copy(s[:], in[:])
	v4 := netip.AddrFrom4([4]byte(in[16:20]))
	v6 := netip.AddrFrom16([16]byte(in[16:32]))
	for addr, want := range map[netip.Addr]uint64{v4: 0xbed65cf21aa2ee98, v6: 0x7127512f72f27cce} {
		if got := s.hash(in[:8], in[8:16], addr); got != want {
			t.Errorf("over %v: %016x, want %016x", addr, got, want)
		}
	}
}

func TestWindow(t *testing.T) {
	k, addr := New(NewSecret()), netip.MustParseAddr("192.0.2.1")
	for _, made := range []int64{1800000000, 1<<32 - 10, 1 << 32, 1<<31 - 1} {
		client, server, _ := Split(k.Append(nil, []byte("12345678"), addr, made))
		for _, c := range []struct {
			age  int64
			want Verdict
		}{
			{0, Good}, {1799, Good}, {1800, Renew}, {3600, Renew}, {3601, Bad},
			{-1, Good}, {-300, Good}, {-301, Bad},
			{1 << 31, Bad}, {1<<31 - 1, Bad}, {-1 << 31, Bad},
		} {
			if got := k.Check(client, server, addr, made+c.age); got != c.want {
				t.Errorf("made at %d, %d seconds ago: %v, want %v", made, c.age, got, c.want)
			}
		}
	}
}

func TestRolling(t *testing.T) {
	a, b, c := NewSecret(), NewSecret(), NewSecret()
	addr, client := netip.MustParseAddr("192.0.2.1"), []byte("12345678")
	of := func(s Secret) []byte { return New(s).Append(nil, client, addr, 1000)[clientSize:] }
	k := New(a)
	verdicts := func() string {
		var out []string
		for _, s := range []Secret{a, b, c} {
			out = append(out, k.Check(client, of(s), addr, 1000).String())
		}
		return strings.Join(out, " ")
	}
	for _, step := range []struct {
		name string
		do   func()
		want string
	}{
		{"first", func() {}, "good bad bad"},
		{"use the old, accept the new", func() { k.Use(a, b) }, "good renew bad"},
		{"use the new, accept the old", func() { k.Use(b, a) }, "renew good bad"},
		{"roll", func() { k.Roll(c) }, "bad renew good"},
		{"the new alone", func() { k.Use(c) }, "bad bad good"},
	} {
		step.do()
		if got := verdicts(); got != step.want {
			t.Errorf("%s: %s, want %s", step.name, got, step.want)
		}
	}
}

// A cookie is good for the client that it was made for, in every byte and for its
// address alone.
func TestForgery(t *testing.T) {
	k := New(NewSecret())
	rapid.Check(t, func(t *rapid.T) {
		addr := netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "address")))
		if rapid.Bool().Draw(t, "IPv4") {
			addr = netip.AddrFrom4([4]byte(addr.AsSlice()))
		}
		client := rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "client")
		now := rapid.Int64().Draw(t, "now")
		option := k.Append([]byte("before"), client, addr, now)[len("before"):]
		check := func(option []byte, addr netip.Addr) Verdict {
			c, s, ok := Split(option)
			if !ok {
				t.Fatalf("%x is malformed", option)
			}
			return k.Check(c, s, addr, now)
		}
		if len(option) != Size || !bytes.Equal(option[:8], client) || check(option, addr) != Good {
			t.Fatalf("own cookie %x: %v", option, check(option, addr))
		}
		if addr.Is4() && check(option, netip.AddrFrom16(addr.As16())) != Good {
			t.Fatal("an IPv4 client is another one on a socket for both families")
		}
		for _, other := range []netip.Addr{addr.Next(), addr.Prev()} {
			if check(option, other).Valid() {
				t.Fatalf("good from %v", other)
			}
		}
		bit := rapid.IntRange(0, 8*Size-1).Draw(t, "bit")
		forged := bytes.Clone(option)
		forged[bit/8] ^= 1 << (bit % 8)
		if v := check(forged, addr); v.Valid() {
			t.Fatalf("with bit %d changed: %v", bit, v)
		}
	})
}

func TestSplit(t *testing.T) {
	for n := range 64 {
		client, server, ok := Split(make([]byte, n))
		if want := n == 8 || n >= 16 && n <= 40; ok != want {
			t.Errorf("%d bytes: %v, want %v", n, ok, want)
		} else if ok && (len(client) != 8 || len(server) != n-8) {
			t.Errorf("%d bytes: %d and %d", n, len(client), len(server))
		}
	}
}

func TestSecretText(t *testing.T) {
	const text = "E5e973e5a6b2a43f48e7dc849e37bfcf"
	s := secret(t, text)
	if shown := fmt.Sprintf("%v %s %+v %#v", s, s, s, struct{ S Secret }{s}); strings.Contains(strings.ToLower(shown), "e5") {
		t.Errorf("a secret is shown: %s", shown)
	}
	for _, bad := range []string{"", text[1:], text + "00", "x" + text[1:]} {
		if _, err := ParseSecret(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		} else if bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("an error repeats a secret: %v", err)
		}
	}
	if a, b := NewSecret(), NewSecret(); a == b {
		t.Error("two random secrets are the same")
	}
}

func FuzzCheck(f *testing.F) {
	k := New(NewSecret(), NewSecret())
	addr := netip.MustParseAddr("192.0.2.1")
	f.Add(k.Append(nil, []byte("12345678"), addr, 0), int64(0))
	f.Fuzz(func(t *testing.T, option []byte, now int64) {
		client, server, ok := Split(option)
		if !ok {
			return
		}
		v := k.Check(client, server, addr, now)
		if !v.Valid() {
			return
		}
		// It can only be the one that was made here for that client and time.
		made := int64(binary.BigEndian.Uint32(server[4:]))
		if own := k.Append(nil, client, addr, made); !bytes.Equal(own, option) {
			t.Fatalf("%x is %v", option, v)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	k, addr := New(NewSecret()), netip.MustParseAddr("2001:db8::1")
	client, server, _ := Split(k.Append(nil, []byte("12345678"), addr, 1000))
	b.ReportAllocs()
	for b.Loop() {
		if k.Check(client, server, addr, 1000) != Good {
			b.Fatal("not good")
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	k, addr := New(NewSecret()), netip.MustParseAddr("192.0.2.1")
	client, buf := []byte("12345678"), make([]byte, 0, Size)
	b.ReportAllocs()
	for b.Loop() {
		buf = k.Append(buf[:0], client, addr, 1000)
	}
}
