package raftstore

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A server that is part of no cluster looks around, again and again, and decides
// by what those who answered say of themselves. What follows is that decision, and why no
// two clusters come of overlapping servers, whatever crashes when:
//
//   - A cluster is made by its coordinator alone, who makes up its id, and who is bound to it
//     durably (a promise to itself) before anybody else hears of it.
//   - A server promises itself, durably, to one coordinator and cluster at a time, and becomes
//     part of no other while the promise holds. Only the coordinator's word ends it: that it
//     has no promise for that cluster any more. It says so only after that is durable, and it
//     never takes up that cluster's id again, which was made for the one attempt.
//   - The coordinator decides, durably, that the cluster exists (charter.ClusterID, Founders)
//     when all founders hold a promise for it: their answers came after its own promise, which
//     still holds. From then on it never changes its mind, so no founder is ever
//     released; and it writes to its log the founders that were recorded with the
//     decision, after a crash too.
//   - A server takes up a cluster's id (charter.ClusterID) for good, and only of a cluster
//     that somebody says exists. Raft's streams need it on both ends: so before the
//     decision, no server has a vote, a term or an entry that could matter.
//
// So every founder of a cluster is bound to it when it begins to exist, and
// stays so. What a decision is made by must be asked after the charter was read, and the
// charter must still be the same when it is acted upon (recharter): an answer that was given before a
// promise says nothing about it.
//
// It is a commit in two phases, with its weakness: those who promised wait for a
// coordinator that is down, for as long as it is. None of them has any data then.

// outlook is what a server that is part of no cluster knows.
type outlook struct {
	me     description
	others []description // who answered, each once, me not among them
}

// step is what it should do next.
type step struct {
	// At most one of these. None is to wait.
	adopt    string        // this cluster exists: become part of it
	release  bool          // the promise is void
	begin    bool          // make up a cluster, as its coordinator
	founders []description // ask these, me among them, to promise; if all do, the cluster exists

	why string // for people
}

// next decides what a server that is part of no cluster does.
func (o *outlook) next() step {
	promise := o.me.Promise
	mine := promise != nil && promise.Coordinator == o.me.ID
	if existing := o.existing(); existing != "" {
		switch {
		case promise == nil || promise.ClusterID == existing:
			return step{adopt: existing, why: "found cluster " + existing}
		case mine:
			return step{release: true, why: "found cluster " + existing}
		}
	}
	switch {
	case mine:
		return o.coordinate(promise)
	case promise != nil:
		return o.follow(promise)
	case !o.me.Fresh:
		return step{why: "the data directory has a raft log but no cluster: empty it, or restore herald.json"}
	case o.me.Expect == 0:
		return step{why: "waiting to be let into a cluster: no server of one answers at the addresses to join"}
	}
	// One that is at it already is not competed with.
	for _, p := range o.others {
		if p.coordinates() {
			return step{why: fmt.Sprintf("server %s is making a cluster", p.label())}
		}
	}
	free := o.candidates(func(d *description) bool { return d.Promise == nil })
	if missing := o.me.Expect - len(free); missing > 0 {
		return step{why: fmt.Sprintf("waiting for %d more servers with bootstrap_expect %d; here are %s", missing, o.me.Expect, labels(free))}
	}
	if free[0].ID != o.me.ID {
		return step{why: fmt.Sprintf("server %s is to make the cluster", free[0].label())}
	}
	return step{begin: true}
}

// existing is a cluster that exists, "" for none. If there are several, who promised
// itself to one of them takes that.
func (o *outlook) existing() string {
	found := ""
	for _, p := range o.others {
		switch {
		case p.Cluster == "" || p.Left:
		case o.me.Promise != nil && p.Cluster == o.me.Promise.ClusterID:
			return p.Cluster
		case found == "" || p.Cluster < found:
			found = p.Cluster
		}
	}
	return found
}

// coordinate goes on with the cluster that this server makes.
func (o *outlook) coordinate(mine *promise) step {
	for _, p := range o.others {
		if p.coordinates() && p.ID < o.me.ID {
			return step{release: true, why: fmt.Sprintf("server %s is making a cluster too, and comes first", p.label())}
		}
	}
	if o.me.Expect == 0 {
		return step{release: true, why: "bootstrap_expect is 0 now"}
	}
	able := o.candidates(func(d *description) bool { return d.Promise == nil || d.Promise.ClusterID == mine.ClusterID })
	if missing := o.me.Expect - len(able); missing > 0 {
		return step{why: fmt.Sprintf("waiting for %d more servers with bootstrap_expect %d; here are %s", missing, o.me.Expect, labels(able))}
	}
	// This server is one of them, whatever its place.
	others := slices.DeleteFunc(able, func(d description) bool { return d.ID == o.me.ID })
	founders := append([]description{o.me}, others[:o.me.Expect-1]...)
	for i, a := range founders {
		for _, b := range founders[:i] {
			if a.Name == b.Name && a.Name != "" {
				return step{why: fmt.Sprintf("servers %s and %s are both called %s: give each a name of its own", b.ID, a.ID, a.Name)}
			}
		}
	}
	return step{founders: founders}
}

// follow waits for the coordinator of the cluster that this server promised itself to.
func (o *outlook) follow(p *promise) step {
	i := slices.IndexFunc(o.others, func(d description) bool { return d.ID == p.Coordinator })
	if i < 0 {
		return step{why: fmt.Sprintf("waiting for server %s at %s, which is making a cluster with this one, to answer; if it is gone for good, empty the data directories of those that wait", p.Coordinator, p.Address)}
	}
	if c := o.others[i]; c.Promise == nil || c.Promise.ClusterID != p.ClusterID {
		return step{release: true, why: fmt.Sprintf("server %s gave up its cluster", c.label())}
	}
	return step{why: fmt.Sprintf("waiting for server %s to make the cluster", o.others[i].label())}
}

// candidates are the servers that could found a cluster with this one and are ok, by id.
func (o *outlook) candidates(ok func(*description) bool) []description {
	var found []description
	for _, d := range append([]description{o.me}, o.others...) {
		if d.Cluster == "" && d.Fresh && d.Expect == o.me.Expect && ok(&d) {
			found = append(found, d)
		}
	}
	slices.SortFunc(found, func(a, b description) int { return cmp.Compare(a.ID, b.ID) })
	return found
}

// coordinates reports whether a server is making a cluster.
func (d *description) coordinates() bool {
	return d.Cluster == "" && d.Promise != nil && d.Promise.Coordinator == d.ID
}

// label is what to call a server in a sentence.
func (d *description) label() string {
	if d.Name != "" {
		return d.Name + " (" + d.Address + ")"
	}
	return d.ID + " (" + d.Address + ")"
}

func labels(ds []description) string {
	all := make([]string, len(ds))
	for i := range ds {
		all[i] = ds[i].label()
	}
	return strings.Join(all, ", ")
}

// accept decides about an invitation: what the charter becomes, or why not.
func (c charter) accept(me *description, p promise, expect int) (charter, error) {
	switch {
	case c.ClusterID == p.ClusterID:
		return c, nil
	case c.ClusterID != "":
		return c, fmt.Errorf("this server is part of cluster %s", c.ClusterID)
	case c.Promise != nil && c.Promise.ClusterID != p.ClusterID:
		return c, fmt.Errorf("this server has promised itself to server %s", c.Promise.Coordinator)
	case !me.Fresh:
		return c, fmt.Errorf("this server has a raft log already")
	case me.Expect != expect:
		return c, fmt.Errorf("bootstrap_expect is %d here and %d at the server that makes the cluster", me.Expect, expect)
	}
	c.Promise = &p
	return c, nil
}
