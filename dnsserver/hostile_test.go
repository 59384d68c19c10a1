package dnsserver

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"

	"github.com/miekg/dns"
)

// amplification is what the README says of it: no answer over UDP is more than so many times as long as its query.
const amplification = 92

// TestMillionHostilePackets answers packets that are damaged, cut, lengthened, full of pointers, or lie about what
// they hold: it does not crash, keeps nothing of them, and sends nobody more than it says.
func TestMillionHostilePackets(t *testing.T) {
	packets := 1_000_000
	if testing.Short() || raceDetector {
		packets = 50_000
	}
	u := &udpServer{handler: keyedHandler(t, variety(), varietyOfKeys())}
	client := netip.MustParseAddr("192.0.2.1")
	random := rand.New(rand.NewPCG(2026, 11))
	var seeds [][]byte
	for _, name := range []string{"web.service.consul", "v1.web.service.dc1.consul", "six.node.consul", "consul", "1.0.0.10.in-addr.arpa", "ext.service.consul", "many.skydns.local", "*.db.skydns.local"} {
		for _, qtype := range []uint16{dns.TypeA, dns.TypeSRV, dns.TypeANY, dns.TypeTXT} {
			m := question(name, qtype)
			m.SetEdns0(4096, true)
			m.IsEdns0().Option = []dns.EDNS0{
				&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: []byte{192, 0, 2, 0}},
				&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0102030405060708"},
			}
			packet, err := m.Pack()
			if err != nil {
				t.Fatal(err)
			}
			m.Extra = nil
			plain, err := m.Pack()
			if err != nil {
				t.Fatal(err)
			}
			seeds = append(seeds, packet, plain)
		}
	}
	dst := make([]byte, 0, 4096)
	packet := make([]byte, 0, 2*receiveSize)
	answer := func() {
		packet = hostile(packet[:0], seeds, random)
		_, a := u.reply(dst, packet, client)
		wire := a.wire
		if len(wire) > amplification*len(packet) {
			t.Errorf("%x, %d bytes, is answered with %d", packet, len(packet), len(wire))
		}
		if len(wire) > 0 && (len(packet) < headerSize || packet[2]&0x80 != 0) {
			t.Errorf("%x is no query, and answered", packet)
		}
		if len(wire) > 4096 {
			t.Errorf("%x is answered with %d bytes", packet, len(wire))
		}
	}
	for range packets / 10 {
		answer()
	}
	before := heap()
	for range packets - packets/10 {
		answer()
	}
	// What is made once for a tag or a type may come later; what came for each packet would be a hundred times that.
	if grown := heap() - before; grown > 1<<20 {
		t.Errorf("%d bytes more are kept after %d packets", grown, packets)
	}
}

func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// hostile appends a packet that no client should send.
func hostile(b []byte, seeds [][]byte, random *rand.Rand) []byte {
	b = append(b, seeds[random.IntN(len(seeds))]...)
	for range random.IntN(6) {
		b[random.IntN(len(b))] = byte(random.Uint32())
	}
	switch random.IntN(8) {
	case 0: // cut
		b = b[:random.IntN(len(b)+1)]
	case 1: // lengthened
		for range random.IntN(receiveSize - len(b)) {
			b = append(b, byte(random.Uint32()))
		}
	case 2: // counts that lie
		binary.BigEndian.PutUint16(b[4+2*random.IntN(4):], uint16(random.Uint32()))
	case 3: // a name that points at itself, forwards, or at another pointer
		at := headerSize + random.IntN(8)
		binary.BigEndian.PutUint16(b[at:], 0xc000|uint16(random.IntN(len(b))))
	case 4: // labels to the end
		for i := headerSize; i < len(b); i += 2 {
			b[i] = 1
		}
	case 5: // any opcode and flags
		binary.BigEndian.PutUint16(b[2:], uint16(random.Uint32()))
	}
	return b
}
