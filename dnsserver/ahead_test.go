package dnsserver

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

// received are packets that have been received.
type received struct {
	packets        // of which nothing else is asked
	wires, answers [][]byte
}

func (r *received) packet(i int) []byte          { return r.wires[i] }
func (r *received) client(int) netip.AddrPort    { return netip.AddrPort{} }
func (r *received) answer(i int) []byte          { return r.answers[i][:0] }
func (r *received) setAnswer(i int, wire []byte) { r.answers[i] = wire }
func (r *received) flush(int)                    {}

// TestLookingAheadChangesNothing: packets of all sorts that come together are answered as each is by itself, where
// the catalog is large enough to be looked ahead.
func TestLookingAheadChangesNothing(t *testing.T) {
	recs := variety()
	recs.node("host", "10.0.0.1")
	for s := range aheadServices {
		recs.instance("host", fmt.Sprintf("service-%d", s), fmt.Sprintf("service-%d", s), 80)
	}
	h := testHandler(t, recs)
	if n := h.catalog.Index().Size().Services; n < aheadServices {
		t.Fatalf("the catalog has %d services", n)
	}
	ahead := 0
	rapid.Check(t, func(t *rapid.T) {
		var r received
		for i := range rapid.IntRange(1, batchSize).Draw(t, "packets") {
			packet := anyPacket(t)
			if i%4 == 3 {
				packet = damaged(t, packet)
			}
			r.wires = append(r.wires, packet)
		}
		r.answers = make([][]byte, len(r.wires))
		u := &udpServer{handler: h, packets: &r}
		h.random = seeded(1)
		u.round(len(r.wires))
		h.random = seeded(1)
		alone := &udpServer{handler: h}
		for i, packet := range r.wires {
			if _, a := alone.reply(nil, packet, r.client(i).Addr()); !bytes.Equal(a.wire, r.answers[i]) {
				t.Fatalf("%x is answered\n%x\nand by itself\n%x", packet, r.answers[i], a.wire)
			}
		}
		if u.ahead.touched != 0 {
			ahead++
		}
	})
	if ahead == 0 {
		t.Error("nothing was read ahead")
	}
}
