package recursor

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/miekg/dns"
)

// Whatever a recursor sends, the client gets its question back, within what it
// takes, in a message whose records are all there.
func FuzzAnswer(f *testing.F) {
	query := queryFor("a.example.", dns.TypeA)
	query.SetEdns0(1232, true)
	query.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0011223344556677"}}
	plain := queryFor("a.example.", dns.TypeA)
	for _, q := range []*dns.Msg{query, plain} {
		m := reply(f, q, "a.example. 60 IN CNAME b.example.", "b.example. 60 IN A 192.0.2.1")
		f.Add(pack(f, m), q == query, false)
		m.SetEdns0(4096, true)
		m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: 3}, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0011223344556677"}}
		m.Extra = append(m.Extra, m.Answer[1])
		f.Add(pack(f, m), q == query, true)
	}
	queries := map[bool][]byte{true: pack(f, query), false: pack(f, plain)}
	cookie := append([]byte{0, optionCookie, 0, 24}, make([]byte, 24)...)
	f.Fuzz(func(t *testing.T, raw []byte, edns, stream bool) {
		q, err := readQuestion(queries[edns], stream, 4096)
		if err != nil {
			t.Fatal(err)
		}
		if len(raw) > headerSize+len(q.asked) { // most of what is made up would be a stray
			raw = bytes.Clone(raw)
			raw[2] = raw[2]&^0x78 | 0x80
			binary.BigEndian.PutUint16(raw, 7)
			binary.BigEndian.PutUint16(raw[4:], 1)
			copy(raw[headerSize:], q.asked)
		}
		m, ok, err := q.match(raw[:min(len(raw), q.size)], 7, len(raw) > q.size)
		if !ok || err != nil || len(m.question) == 0 {
			return
		}
		b := q.answer(m)
		if edns {
			b = AddOptions(b, cookie)
		}
		limit := q.limit
		if edns {
			limit += cookieRoom
		}
		got, err := readMessage(b)
		switch {
		case err != nil:
			t.Fatalf("%x becomes %x: %v", raw, b, err)
		case len(b) > limit:
			t.Fatalf("%d bytes of %d", len(b), limit)
		case !bytes.Equal(got.question, q.asked) || got.id() != q.id || got.flags()&(flagQR|flagRA|flagAA) != flagQR|flagRA:
			t.Fatalf("%x becomes %x", raw, b)
		case (got.edns != nil) != edns:
			t.Fatalf("OPT %+v", got.edns)
		case edns && !bytes.HasSuffix(b, cookie):
			t.Fatalf("the cookie is not in %x", b)
		}
	})
}

// Whatever a client sends, what goes on is one question.
func FuzzQuestion(f *testing.F) {
	query := queryFor("a.example.", dns.TypeA)
	f.Add(pack(f, query), false)
	query.SetEdns0(1232, true)
	query.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0011223344556677"}, &dns.EDNS0_EDE{InfoCode: 3}}
	f.Add(pack(f, query), true)
	f.Fuzz(func(t *testing.T, raw []byte, stream bool) {
		q, err := readQuestion(raw, stream, 4096)
		if err != nil {
			return
		}
		m, err := readMessage(q.packet)
		if err != nil || m.count(0) != 1 || m.count(1)+m.count(2) != 0 || m.count(3) > 1 || !bytes.Equal(m.question, q.asked) {
			t.Fatalf("%x becomes %x: %v", raw, q.packet, err)
		}
		if q.size < plainSize || q.size > 4096 || q.limit > maxMessage || q.limit < plainSize-cookieRoom {
			t.Fatalf("size %d, limit %d", q.size, q.limit)
		}
		// What goes on and comes back is the same question, or a server that asked
		// itself would never notice.
		again, err := readQuestion(q.packet, false, 4096)
		if err != nil {
			t.Fatalf("%x becomes %x: %v", raw, q.packet, err)
		}
		third, err := readQuestion(again.packet, false, 4096)
		if err != nil || third.key() != again.key() {
			t.Fatalf("%x becomes %x: %v", again.packet, third.packet, err)
		}
	})
}

// Whatever a recursor sends, what is made of it are records in wire form: their names, and those that aliases lead to, are
// spelled out, and each belongs to the name that is asked for or the last alias leads to.
func FuzzResolved(f *testing.F) {
	q, err := newQuestion([]byte("\x01a\x07example\x00"), dns.TypeA)
	if err != nil {
		f.Fatal(err)
	}
	query := queryFor("a.example.", dns.TypeA)
	for _, records := range [][]string{
		{"a.example. 60 IN A 192.0.2.1"},
		{"a.example. 60 IN CNAME b.example.", "b.example. 60 IN A 192.0.2.1", "b.example. 60 IN A 192.0.2.2"},
		{"a.example. 60 IN CNAME b.example.", "b.example. 60 IN CNAME A.example.", "c.example. 60 IN TXT x"},
	} {
		f.Add(pack(f, reply(f, query, records...)))
	}
	for _, rtype := range []uint16{dns.TypeA, dns.TypeCNAME} { // without data
		b := pack(f, reply(f, query))
		b[7] = 1
		f.Add(append(b, 0xc0, headerSize, 0, byte(rtype), 0, classIN, 0, 0, 0, 60, 0, 0))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) > headerSize+len(q.asked) { // most of what is made up would be a stray
			raw = bytes.Clone(raw)
			raw[2], raw[3] = raw[2]&^0x78|0x80, raw[3]&0xf0
			binary.BigEndian.PutUint16(raw, 7)
			binary.BigEndian.PutUint16(raw[4:], 1)
			copy(raw[headerSize:], q.asked)
		}
		m, ok, err := q.match(raw, 7, false)
		if !ok || err != nil {
			return
		}
		records, _, err := m.resolved(dns.TypeA)
		if err != nil {
			return
		}
		name := q.asked[:len(q.asked)-4]
		for _, r := range records {
			if skipLabels(r.Name, 0) != len(r.Name) || !bytes.EqualFold(r.Name, name) {
				t.Fatalf("%x: a record of %x, where %x is asked for", raw, r.Name, name)
			}
			switch {
			case r.Type == dns.TypeCNAME && skipLabels(r.Data, 0) == len(r.Data):
				name = r.Data
			case r.Type == dns.TypeA && len(r.Data) == 4:
			default:
				t.Fatalf("%x: %+v", raw, r)
			}
		}
	})
}
