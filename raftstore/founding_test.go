package raftstore

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// foundry is servers that look for a cluster, each over its durable charter, on a network that
// delays and repeats invitations as it likes. Everything a server does between two durable
// writes is an action of its own, and a crash may come before each.
type foundry struct {
	servers []*seeker
	sent    []invitationTo
	formed  map[string][]founder // by cluster: what went to the coordinator's log
	cluster int                  // the last id made up
	side    map[int]int          // of a partition
	before  []charter            // at the last check
}

type seeker struct {
	n       int
	expect  int
	charter charter // durable
	round   *round  // lost in a crash
	down    bool
}

// round is one look around, as membership.seek does it.
type round struct {
	from     charter
	heard    map[string]description
	founders []description   // being invited
	accepted map[string]bool // of those
}

type invitationTo struct {
	invitation
	to    int
	round *round // whose answer it is
}

func (s *seeker) id() string { return fmt.Sprintf("id-%d", s.n) }

func (s *seeker) describe() description {
	return description{
		ID: s.id(), Name: s.id(), Address: s.id() + ":7400", Fresh: true, Expect: s.expect,
		Cluster: s.charter.ClusterID, Promise: s.charter.Promise,
	}
}

func newFoundry(servers, expect int) *foundry {
	f := &foundry{formed: map[string][]founder{}, side: map[int]int{}}
	for n := range servers {
		f.servers = append(f.servers, &seeker{n: n, expect: expect})
	}
	f.before = f.charters()
	return f
}

func (f *foundry) reach(a, b int) bool {
	return !f.servers[a].down && !f.servers[b].down && f.side[a] == f.side[b]
}

// begin begins a look around.
func (f *foundry) begin(s *seeker) {
	if s.charter.ClusterID == "" {
		s.round = &round{from: s.charter, heard: map[string]description{}}
	}
}

// look is a whole look around, as it mostly is.
func (f *foundry) look(s *seeker) {
	f.begin(s)
	for _, p := range f.servers {
		f.ask(s, p)
	}
}

// ask hears one other server.
func (f *foundry) ask(s, p *seeker) {
	if s.round != nil && s != p && f.reach(s.n, p.n) {
		s.round.heard[p.id()] = p.describe()
	}
}

// act does what the round comes to.
func (f *foundry) act(s *seeker) {
	r := s.round
	if r == nil || r.founders != nil {
		return
	}
	o := outlook{me: s.describe()}
	o.me.Promise = r.from.Promise
	for _, id := range slices.Sorted(maps.Keys(r.heard)) {
		o.others = append(o.others, r.heard[id])
	}
	next := o.next()
	to := r.from
	switch {
	case next.adopt != "":
		to = charter{ClusterID: next.adopt}
	case next.release:
		to.Promise = nil
	case next.begin:
		f.cluster++
		to.Promise = &promise{ClusterID: fmt.Sprintf("cluster-%d", f.cluster), Coordinator: s.id()}
	case len(next.founders) > 0:
		r.founders, r.accepted = next.founders, map[string]bool{s.id(): true}
		for _, d := range next.founders {
			if d.ID != s.id() {
				f.sent = append(f.sent, invitationTo{invitation{*r.from.Promise, s.expect, false}, f.number(d.ID), r})
			}
		}
		return
	}
	f.recharter(s, r.from, to)
	s.round = nil
}

func (f *foundry) number(id string) int {
	return slices.IndexFunc(f.servers, func(s *seeker) bool { return s.id() == id })
}

func (f *foundry) recharter(s *seeker, from, to charter) bool {
	if !s.charter.equal(&from) {
		return false
	}
	s.charter = to
	return true
}

// deliver brings an invitation to its server, as handleInvite takes it, now or again.
func (f *foundry) deliver(i invitationTo) {
	s := f.servers[i.to]
	if !f.reach(i.to, f.number(i.Coordinator)) {
		return
	}
	me := s.describe()
	to, err := s.charter.accept(&me, i.promise, i.Expect)
	if err != nil {
		return
	}
	if i.Exists && to.ClusterID == "" {
		to = charter{ClusterID: i.ClusterID}
	}
	s.charter = to
	if i.round != nil {
		i.round.accepted[s.id()] = true
	}
}

// decide makes the cluster, if all have accepted in this round.
func (f *foundry) decide(s *seeker) {
	r := s.round
	if r == nil || r.founders == nil || len(r.accepted) < len(r.founders) {
		return
	}
	to := charter{ClusterID: r.from.Promise.ClusterID}
	for _, d := range r.founders {
		to.Founders = append(to.Founders, founder{d.ID, d.Address})
	}
	f.recharter(s, r.from, to)
	s.round = nil
}

// bootstrap writes the founders to the log, and tells them.
func (f *foundry) bootstrap(s *seeker) {
	if len(s.charter.Founders) == 0 {
		return
	}
	c := s.charter
	for _, o := range c.Founders {
		if o.ID != s.id() {
			i := invitation{promise{ClusterID: c.ClusterID, Coordinator: s.id()}, len(c.Founders), true}
			f.sent = append(f.sent, invitationTo{i, f.number(o.ID), nil})
		}
	}
	f.formed[c.ClusterID] = c.Founders
	s.charter = charter{ClusterID: c.ClusterID}
}

// check says what must hold at any time.
func (f *foundry) check(t *rapid.T) {
	decided := maps.Clone(f.formed)
	for _, s := range f.servers {
		if len(s.charter.Founders) > 0 {
			decided[s.charter.ClusterID] = s.charter.Founders
		}
	}
	in := map[string]string{}
	for cluster, founders := range decided {
		for _, o := range founders {
			if other, ok := in[o.ID]; ok {
				t.Fatalf("server %s founds %s and %s", o.ID, cluster, other)
			}
			in[o.ID] = cluster
			c := f.servers[f.number(o.ID)].charter
			if c.ClusterID != cluster && (c.Promise == nil || c.Promise.ClusterID != cluster) {
				t.Fatalf("server %s founds %s, and is not bound to it: %+v", o.ID, cluster, c)
			}
		}
	}
	before := f.before
	f.before = f.charters()
	for n, s := range f.servers {
		if was := before[n].ClusterID; was != "" && s.charter.ClusterID != was {
			t.Fatalf("server %s was part of %s and is of %q", s.id(), was, s.charter.ClusterID)
		}
		if c := s.charter.ClusterID; c != "" && decided[c] == nil {
			t.Fatalf("server %s is part of %s, which does not exist", s.id(), c)
		}
	}
}

// finish has everything work from now on, long enough.
func (f *foundry) finish() {
	clear(f.side)
	for _, s := range f.servers {
		s.down = false
	}
	for range 20 {
		for _, s := range f.servers {
			f.sent = nil
			f.bootstrap(s)
			f.look(s)
			f.act(s)
			for _, i := range f.sent {
				f.deliver(i)
			}
			f.decide(s)
		}
	}
}

func (f *foundry) charters() []charter {
	all := make([]charter, len(f.servers))
	for n, s := range f.servers {
		all[n] = s.charter
	}
	return all
}

// Whatever happens when, no two clusters come of overlapping servers; and once nothing fails any
// more, all are part of one.
func TestFoundingIsSafeAndEnds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		expect := rapid.SampledFrom([]int{2, 3, 1}).Draw(t, "expect")
		servers := rapid.IntRange(expect, 2*expect).Draw(t, "servers")
		f := newFoundry(servers, expect)
		pick := func(label string) *seeker {
			return f.servers[rapid.IntRange(0, servers-1).Draw(t, label)]
		}
		t.Repeat(map[string]func(*rapid.T){
			"begin": func(*rapid.T) { f.begin(pick("server")) },
			"ask":   func(*rapid.T) { f.ask(pick("server"), pick("other")) },
			"look":  func(*rapid.T) { f.look(pick("server")) },
			"act":   func(*rapid.T) { f.act(pick("server")) },
			"attempt": func(*rapid.T) { // to found a cluster, all but the decision
				s := pick("server")
				sent := len(f.sent)
				for range 2 { // to begin, and to invite
					f.look(s)
					f.act(s)
				}
				for _, i := range f.sent[sent:] {
					f.deliver(i)
				}
			},
			"look and act": func(*rapid.T) {
				s := pick("server")
				f.look(s)
				f.act(s)
			},
			"deliver": func(rt *rapid.T) {
				if len(f.sent) > 0 {
					f.deliver(f.sent[rapid.IntRange(0, len(f.sent)-1).Draw(rt, "invitation")])
				}
			},
			"decide":    func(*rapid.T) { f.decide(pick("server")) },
			"bootstrap": func(*rapid.T) { f.bootstrap(pick("server")) },
			"crash":     func(*rapid.T) { s := pick("server"); s.round, s.down = nil, true },
			"start":     func(*rapid.T) { pick("server").down = false },
			"part": func(rt *rapid.T) {
				for n := range f.servers {
					f.side[n] = rapid.IntRange(0, 1).Draw(rt, "side")
				}
			},
			"heal": func(*rapid.T) { clear(f.side) },
			"": func(rt *rapid.T) {
				f.check(rt)
			},
		})

		f.finish()
		f.check(t)
		if servers >= 2*expect {
			return // enough for two clusters
		}
		one := f.servers[0].charter.ClusterID
		for _, s := range f.servers {
			if s.charter.ClusterID != one || one == "" {
				t.Fatalf("in the end server %s is part of %q, the first of %q: %+v", s.id(), s.charter.ClusterID, one, s.charter)
			}
		}
	})
}

// Two that each have the promises that the other lacks: the one with the lower id goes on.
func TestTwoCoordinators(t *testing.T) {
	t.Parallel()
	f := newFoundry(4, 3)
	s := f.servers
	f.look(s[1]) // all are free, but the first is not heard
	delete(s[1].round.heard, s[0].id())
	f.act(s[1])
	f.begin(s[0])
	f.ask(s[0], s[2])
	f.ask(s[0], s[3])
	f.act(s[0])
	for n, invited := range map[int]int{1: 2, 0: 3} {
		s[n].round = &round{from: s[n].charter, founders: []description{s[n].describe()}, accepted: map[string]bool{}}
		f.deliver(invitationTo{invitation{*s[n].charter.Promise, 3, false}, invited, s[n].round})
	}
	if a, b := s[3].charter.Promise, s[2].charter.Promise; a == nil || b == nil || a.Coordinator != "id-0" || b.Coordinator != "id-1" {
		t.Fatalf("the stage is not set: %+v, %+v", a, b)
	}
	f.finish()
	for _, s := range f.servers {
		if s.charter.ClusterID == "" || s.charter.ClusterID != f.servers[0].charter.ClusterID {
			t.Errorf("server %s: %+v", s.id(), s.charter)
		}
	}
	if len(f.formed) != 1 {
		t.Errorf("%d clusters were made", len(f.formed))
	}
}

func TestNextStep(t *testing.T) {
	t.Parallel()
	fresh := func(id string) description {
		return description{ID: id, Name: "n-" + id, Address: id + ":7400", Fresh: true, Expect: 3}
	}
	with := func(d description, change func(*description)) description { change(&d); return d }
	in := func(id, cluster string) description {
		return with(fresh(id), func(d *description) { d.Cluster, d.Fresh = cluster, false })
	}
	to := func(coordinator string) *promise {
		return &promise{ClusterID: "of-" + coordinator, Coordinator: coordinator}
	}
	bound := func(id, coordinator string) description {
		return with(fresh(id), func(d *description) { d.Promise = to(coordinator) })
	}
	for _, c := range []struct {
		name string
		o    outlook
		want string
	}{
		{"alone", outlook{me: fresh("a")}, "wait: waiting for 2 more"},
		{"one is missing", outlook{fresh("a"), []description{fresh("b")}}, "wait: waiting for 1 more"},
		{"all there, the lowest", outlook{fresh("a"), []description{fresh("c"), fresh("b")}}, "begin"},
		{"all there, not the lowest", outlook{fresh("b"), []description{fresh("c"), fresh("a")}}, "wait: server n-a"},
		{"another expectation does not count", outlook{fresh("a"), []description{fresh("b"),
			with(fresh("c"), func(d *description) { d.Expect = 5 })}}, "wait: waiting for 1 more"},
		{"nor one with data", outlook{fresh("a"), []description{fresh("b"),
			with(fresh("c"), func(d *description) { d.Fresh = false })}}, "wait: waiting for 1 more"},
		{"nor one that is bound, whose coordinator is not there", outlook{fresh("a"), []description{fresh("b"), bound("c", "z")}}, "wait: waiting for 1 more"},
		{"another is at it", outlook{fresh("a"), []description{fresh("b"), fresh("c"), bound("d", "d")}}, "wait: server n-d"},
		{"a cluster exists", outlook{fresh("a"), []description{fresh("b"), fresh("c"), in("d", "x")}}, "adopt x"},
		{"but who says so has left it", outlook{fresh("a"), []description{
			with(in("d", "x"), func(d *description) { d.Left = true })}}, "wait: waiting for 2 more"},
		{"two clusters exist", outlook{fresh("a"), []description{in("c", "y"), in("d", "x")}}, "adopt x"},
		{"not to make one", outlook{me: with(fresh("a"), func(d *description) { d.Expect = 0 })}, "wait: waiting to be let"},
		{"a log without a cluster", outlook{me: with(fresh("a"), func(d *description) { d.Fresh = false })}, "wait: the data directory"},

		{"coordinating", outlook{bound("b", "b"), []description{fresh("a"), bound("c", "b"), fresh("d")}}, "invite b a c"},
		{"coordinating, and one has gone", outlook{bound("b", "b"), []description{fresh("a")}}, "wait: waiting for 1 more"},
		{"coordinating, others are bound elsewhere", outlook{bound("b", "b"), []description{fresh("a"), bound("c", "z")}}, "wait: waiting for 1 more"},
		{"coordinating beside a lower one", outlook{bound("b", "b"), []description{bound("a", "a"), fresh("c")}}, "release"},
		{"coordinating beside a higher one", outlook{bound("b", "b"), []description{bound("c", "c"), fresh("a"), fresh("d")}}, "invite b a d"},
		{"coordinating, and a cluster exists", outlook{bound("b", "b"), []description{in("a", "x")}}, "release"},
		{"coordinating two of one name", outlook{bound("b", "b"), []description{fresh("a"),
			with(fresh("c"), func(d *description) { d.Name = "n-a" })}}, "wait: servers a and c"},

		{"bound", outlook{bound("b", "a"), []description{bound("a", "a")}}, "wait: waiting for server n-a"},
		{"bound, the coordinator is not there", outlook{bound("b", "a"), []description{fresh("c"), fresh("d")}}, "wait: waiting for server a"},
		{"bound, the coordinator made it", outlook{bound("b", "a"), []description{in("a", "of-a")}}, "adopt of-a"},
		{"bound, another says it exists", outlook{bound("b", "a"), []description{in("d", "of-a"), in("c", "another")}}, "adopt of-a"},
		{"bound, the coordinator gave up", outlook{bound("b", "a"), []description{fresh("a")}}, "release"},
		{"bound, the coordinator began anew", outlook{bound("b", "a"), []description{
			with(fresh("a"), func(d *description) { d.Promise = &promise{ClusterID: "later", Coordinator: "a"} })}}, "release"},
		{"bound, the coordinator joined another", outlook{bound("b", "a"), []description{in("a", "x")}}, "release"},
		// The cluster that it is bound to may exist by now.
		{"bound, and another cluster exists", outlook{bound("b", "a"), []description{in("c", "x"), in("d", "x")}}, "wait: waiting for server a"},
	} {
		next := c.o.next()
		got := "wait: " + next.why
		switch {
		case next.adopt != "":
			got = "adopt " + next.adopt
		case next.release:
			got = "release"
		case next.begin:
			got = "begin"
		case next.founders != nil:
			got = "invite"
			for _, f := range next.founders {
				got += " " + f.ID
			}
		}
		if len(got) < len(c.want) || got[:len(c.want)] != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
