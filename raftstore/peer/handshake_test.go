package peer

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestHelloAndAnswerRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringN(0, 100, 300)
		id := Identity{Cluster: text.Draw(t, "cluster"), Node: text.Draw(t, "node")}
		h := hello{handshakeVersion, id, text.Draw(t, "address"), text.Draw(t, "want"), Method(rapid.Byte().Draw(t, "method"))}
		b := h.append(nil)
		if got, err := parseHello(b); err != nil || got != h {
			t.Fatalf("%+v became %+v, %v", h, got, err)
		}
		if got, err := parseHello(append(b, "from the future"...)); err != nil || got != h {
			t.Fatalf("with fields appended, %+v became %+v, %v", h, got, err)
		}
		if _, err := parseHello(b[:rapid.IntRange(0, len(b)-1).Draw(t, "cut")]); !errors.Is(err, errMalformed) {
			t.Fatalf("cut short: %v", err)
		}
		a := answer{handshakeVersion, verdict(rapid.Byte().Draw(t, "verdict")), text.Draw(t, "reason"), id}
		if got, err := parseAnswer(a.append(nil)); err != nil || got != a {
			t.Fatalf("%+v became %+v, %v", a, got, err)
		}
	})
}

// TestHandshakeBytes pins the format of version 2: the next version has to read it.
func TestHandshakeBytes(t *testing.T) {
	var b bytes.Buffer
	h := hello{handshakeVersion, Identity{"c1", "n1"}, "n1:7400", "n2", 9}
	if err := writeHandshake(&b, []byte{byte(protoStream)}, h.append(nil)); err != nil {
		t.Fatal(err)
	}
	if want := "\x03\x00\x13\x02\x02c1\x02n1\x07n1:7400\x02n2\x09"; b.String() != want {
		t.Errorf("hello is %q, want %q", b.String(), want)
	}
	b.Reset()
	a := answer{handshakeVersion, foreign, "no", Identity{"c1", "n2"}}
	if err := writeHandshake(&b, nil, a.append(nil)); err != nil {
		t.Fatal(err)
	}
	if want := "\x00\x0b\x02\x01\x02no\x02c1\x02n2"; b.String() != want {
		t.Errorf("answer is %q, want %q", b.String(), want)
	}
}

// TestNewerAnswerCanBeRead checks that a server of this version understands why one of a
// later version refused it.
func TestNewerAnswerCanBeRead(t *testing.T) {
	b := append([]byte{handshakeVersion + 1, byte(incompatible)}, "\x07upgrade and more to come"...)
	a, err := parseAnswer(b)
	if err != nil || a.verdict != incompatible || a.reason != "upgrade" {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestHandshakeSizeIsBounded(t *testing.T) {
	if err := writeHandshake(io.Discard, nil, make([]byte, maxHandshake+1)); err == nil {
		t.Error("a handshake over the limit is written")
	}
	if _, err := readHandshake(strings.NewReader("\xff\xff")); !errors.Is(err, errMalformed) {
		t.Errorf("a handshake over the limit: %v", err)
	}
}

func TestDisagree(t *testing.T) {
	none, one, other := Identity{"", "a"}, Identity{"1", "b"}, Identity{"2", "c"}
	cases := []struct {
		self, peer  Identity
		calls, raft bool // may speak
	}{
		{none, none, true, false},
		{none, one, true, false},
		{one, none, true, false},
		{one, one, true, true},
		{one, other, false, false},
	}
	for _, c := range cases {
		for proto, want := range map[protocol]bool{protoCalls: c.calls, protoStream: c.calls, protoRaft: c.raft} {
			if why := disagree(proto, c.self, c.peer); (why == "") != want {
				t.Errorf("protocol %d, clusters %q and %q: %q", proto, c.self.Cluster, c.peer.Cluster, why)
			}
		}
	}
}

func FuzzParseHello(f *testing.F) {
	h := hello{handshakeVersion, Identity{"cluster", "node"}, "node:7400", "other", 3}
	f.Add(h.append(nil))
	f.Add([]byte("\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHello(b)
		if err != nil || h.version > handshakeVersion {
			return
		}
		if again, err := parseHello(h.append(nil)); err != nil || again != h {
			t.Errorf("%+v became %+v, %v", h, again, err)
		}
	})
}

func FuzzParseAnswer(f *testing.F) {
	a := answer{handshakeVersion, foreign, "not here", Identity{"cluster", "node"}}
	f.Add(a.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := parseAnswer(b)
		if err != nil || a.version > handshakeVersion {
			return
		}
		if again, err := parseAnswer(a.append(nil)); err != nil || again != a {
			t.Errorf("%+v became %+v, %v", a, again, err)
		}
	})
}
