package memnet

import "time"

// Cut holds back everything from one host to another, on its way now or sent later. The other
// direction goes on.
func (n *Net) Cut(from, to string) { n.change(func() { n.cut[path{from, to}] = true }) }

// CutBoth cuts both directions between two hosts.
func (n *Net) CutBoth(a, b string) {
	n.change(func() { n.cut[path{a, b}], n.cut[path{b, a}] = true, true })
}

// Isolate cuts a host off from all others, those that are made later too.
func (n *Net) Isolate(host string) { n.change(func() { n.isolated[host] = true }) }

// Heal ends a Cut.
func (n *Net) Heal(from, to string) { n.change(func() { delete(n.cut, path{from, to}) }) }

// HealBoth ends a CutBoth.
func (n *Net) HealBoth(a, b string) {
	n.change(func() {
		delete(n.cut, path{a, b})
		delete(n.cut, path{b, a})
	})
}

// Rejoin ends an Isolate; what was cut otherwise stays so.
func (n *Net) Rejoin(host string) { n.change(func() { delete(n.isolated, host) }) }

// HealAll ends every Cut, CutBoth and Isolate. Delays stay.
func (n *Net) HealAll() {
	n.change(func() {
		clear(n.cut)
		clear(n.isolated)
	})
}

// Delay makes what is sent from one host to another from now on take d to arrive.
func (n *Net) Delay(from, to string, d time.Duration) {
	n.change(func() { n.delay[path{from, to}] = d })
}

// Kill ends the process on a host: its listeners close, its connections break with a reset, and
// what it still does on the network fails. The next Host of that name is its restart.
func (n *Net) Kill(host string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	p := n.hosts[host]
	if p == nil {
		return
	}
	n.hosts[host] = nil
	p.dead = true
	for _, l := range p.listeners {
		l.closeLocked()
	}
	for l := range n.links {
		for _, c := range []*conn{l.dialled, l.accepted} {
			if c.process == p {
				c.abortLocked(errKilled)
			}
		}
	}
	n.changed.Broadcast()
}

// change changes the paths, and lets what can go on now go on.
func (n *Net) change(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
	for l := range n.links {
		for _, p := range []*pipe{l.dialled.out, l.accepted.out} {
			p.arrive()
			p.acknowledge(0)
		}
	}
	n.changed.Broadcast()
}

func (n *Net) isOpen(p path) bool {
	return p.from == p.to || !n.cut[p] && !n.isolated[p.from] && !n.isolated[p.to]
}
