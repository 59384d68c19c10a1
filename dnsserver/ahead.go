package dnsserver

import "herald/registry/catalog"

const (
	// aheadServices is how many services a catalog has at least if it is looked ahead: with fewer,
	// most of what is read is in the processor's caches.
	aheadServices = 4096
	// aheadPackets is how many packets are looked ahead at least.
	aheadPackets = 2
)

// ahead reads, for all the packets that were received together, what will be read to answer them, one step
// of each after the other: so memory is waited for once for each step, and not for each step of each packet. It decides
// nothing; the answers are then made as they would be without.
type ahead struct {
	lookup lookup
	text   [batchSize][maxLabel]byte
	names  [batchSize]string // in text
	kinds  [batchSize]planKind
	kept   [batchSize]*plans
	plans  [batchSize]*plan

	services catalog.Several
	// touched keeps the reads that only bring memory near.
	touched int
}

// lookAhead reads ahead what the answers to the n packets that were received take.
func (u *udpServer) lookAhead(n int) {
	x := u.catalog.Index()
	if n < aheadPackets || x.Size().Services < aheadServices {
		return
	}
	defer u.recovered()
	a, wanted := &u.ahead, 0
	for i := range n {
		if !u.query.readPacket(u.packets.packet(i)) {
			continue
		}
		u.parse(&a.lookup, u.query.name)
		if a.lookup.kind != kindService || len(a.lookup.name) > maxLabel {
			continue
		}
		a.names[wanted] = view(a.text[wanted][:copy(a.text[wanted][:], a.lookup.name)])
		a.kinds[wanted] = kindOfPlan(u.query.qtype)
		wanted++
	}
	a.touch(u.responder, a.services.Find(x, a.names[:wanted]))
}

// touch reads what services' answers are made from: only what is most often asked for.
func (a *ahead) touch(r *responder, found []*catalog.Service) {
	for i, s := range found {
		if a.kept[i] = nil; s != nil {
			a.kept[i], _ = s.Derived(r).(*plans)
		}
	}
	for i := range found {
		if a.plans[i] = nil; a.kept[i] != nil {
			a.plans[i] = a.kept[i].common[a.kinds[i]].Load()
		}
	}
	for i := range found {
		if p := a.plans[i]; p != nil {
			a.touched += len(p.bytes) + p.shares[len(p.shares)-1].size
		}
	}
	for i := range found {
		if p := a.plans[i]; p != nil {
			a.touchRecords(p)
		}
	}
	clear(found) // nothing is kept alive until the next time
	clear(a.kept[:len(found)])
	clear(a.plans[:len(found)])
}

// touchRecords reads the records of a plan, as far as they fit most answers.
func (a *ahead) touchRecords(p *plan) {
	const cacheLine, most = 64, 4096
	for at := 0; at < min(len(p.bytes), most); at += cacheLine {
		a.touched += int(p.bytes[at])
	}
	const units = cacheLine / 24 // a unit's size
	for at := 0; at < min(len(p.units), most/24); at += units {
		a.touched += int(p.units[at].from)
	}
}
