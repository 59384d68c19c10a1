package check

import (
	"fmt"

	"herald/internal/systemtest/chaos/history"
	"herald/registry"
)

// watches checks that each watcher delivered what happened in its range, all of it, in order
// and once; that what happened makes sense as the history of each key; that every
// acknowledged write is part of it, and no refused one; and that in the end every client had
// seen everything.
func (e *evidence) watches() Verdict {
	v := Verdict{Of: "commits delivered"}
	streams := e.streams()
	truths := newTruths(&v, streams)
	for _, s := range streams {
		v.Checked += len(s.delivered)
		s.judge(&v, truths[s.begun.Space])
	}
	for _, t := range truths {
		t.evolves(&v)
	}
	e.listingsOnTheWay(&v, truths)
	e.finishes(&v)
	if t := truths[registry.SpaceKV]; t != nil {
		e.acknowledgedIn(&v, t)
		e.refusedIn(&v, t)
		e.leasesEndAtOnce(&v, t)
	}
	return v
}

// judge compares one watcher's deliveries with what happened.
func (s *stream) judge(v *Verdict, t *truth) {
	keys := s.begun.Range()
	last := s.begun.From - 1
	got := make(map[int64]*history.Streamed, len(s.delivered))
	for _, d := range s.delivered {
		switch {
		case got[d.Rev] != nil:
			v.add(violation(fmt.Sprintf("a watcher delivered revision %d twice", d.Rev), *s.begun, *got[d.Rev], *d))
		case d.Rev <= last:
			v.add(violation(fmt.Sprintf("a watcher delivered revision %d when it was at %d already", d.Rev, last), *s.begun, *d))
		}
		last = max(last, d.Rev)
		got[d.Rev] = d
		for _, c := range d.Changes {
			if !keys.Contains(c.Key) {
				v.add(violation(fmt.Sprintf("a watcher delivered key %s, which is not in its range", c.Key), *s.begun, *d))
			}
		}
	}
	if keys == registry.All() {
		s.gapless(v, got)
	}
	for _, rev := range t.between(s.begun.From, s.upTo) {
		want := within(t.commits[rev], keys)
		d := got[rev]
		switch {
		case want == 0:
		case d == nil:
			v.add(s.missing(t, rev))
		case len(d.Changes) < want:
			v.add(violation(fmt.Sprintf("a watcher left out changes of revision %d: it delivered %d of %d", rev, len(d.Changes), want), *s.begun, *d, *other(t, rev, d)))
		}
	}
}

// gapless checks the revisions that a watcher of everything delivered: they have no gaps,
// since each is a transaction that wrote something.
func (s *stream) gapless(v *Verdict, got map[int64]*history.Streamed) {
	for rev := max(s.begun.From, firstRevision); rev <= s.upTo; rev++ {
		if got[rev] != nil {
			continue
		}
		x := violation(fmt.Sprintf("a watcher of everything went on to revision %d and delivered nothing at revision %d", s.upTo, rev), *s.begun)
		for next := rev + 1; next <= s.upTo; next++ {
			if got[next] != nil {
				x.Proof = append(x.Proof, history.Cite(*got[next]))
				break
			}
		}
		v.add(x)
		return // one gap is enough of one watcher
	}
}

// missing says that a commit was left out.
func (s *stream) missing(t *truth, rev int64) Violation {
	x := violation(fmt.Sprintf("a watcher left out revision %d, which others delivered, and went on to %d", rev, s.upTo), *s.begun, *other(t, rev, nil))
	for _, d := range s.delivered {
		if d.Rev > rev {
			x.Proof = append(x.Proof, history.Cite(*d))
			break
		}
	}
	return x
}

// other is a record that tells of a revision, if possible not the given one.
func other(t *truth, rev int64, not *history.Streamed) *history.Streamed {
	by := not
	for _, c := range t.commits[rev] {
		if c.by != not {
			return c.by
		}
	}
	return by
}

// evolves checks that each change follows from the one before it.
func (t *truth) evolves(v *Verdict) {
	state := map[string]reported{}
	for _, rev := range t.between(firstRevision, t.dense) {
		for key, c := range t.commits[rev] {
			was, there := state[key]
			want := history.Change{Key: key, Mod: rev, Delete: c.Delete}
			if there {
				want.Prev = was.Mod
			}
			if !c.Delete {
				want.Create, want.Version, want.Value = rev, 1, c.Value
				if there {
					want.Create, want.Version = was.Create, was.Version+1
				}
			}
			if c.Change != want || c.Delete && !there {
				x := violation(fmt.Sprintf("key %s at revision %d does not follow from what it was before: want %+v", key, rev, want), *c.by)
				if there {
					x.Proof = append([]string{history.Cite(*was.by)}, x.Proof...)
				}
				v.add(x)
			}
			if c.Delete {
				delete(state, key)
			} else {
				state[key] = c
			}
		}
	}
}

// listingsOnTheWay checks the reads by which clients began anew: at their revision there were
// as many keys as they found.
func (e *evidence) listingsOnTheWay(v *Verdict, truths map[registry.Space]*truth) {
	for i := range e.Streamed {
		l := &e.Streamed[i]
		t := truths[l.Space]
		if l.Step != history.ListedAt || t == nil || t.dense < l.From-1 {
			continue
		}
		v.Checked++
		if n := t.count(l.Range(), l.From-1); n != l.Count {
			v.add(violation(fmt.Sprintf("a read found %d keys at revision %d, where there were %d", l.Count, l.From-1, n), *l))
		}
	}
}

// count is how many keys of a range there were at a revision.
func (t *truth) count(keys registry.KeyRange, at int64) int64 {
	there := map[string]bool{}
	for _, rev := range t.between(firstRevision, at) {
		for k, c := range t.commits[rev] {
			if keys.Contains(k) {
				there[k] = !c.Delete
			}
		}
	}
	var n int64
	for _, t := range there {
		if t {
			n++
		}
	}
	return n
}

// finishes checks that no client was left behind.
func (e *evidence) finishes(v *Verdict) {
	for i := range e.Streamed {
		if s := &e.Streamed[i]; s.Step == history.Finished && s.Synced < s.From {
			v.add(violation(fmt.Sprintf("writing ended at revision %d, and client %d was never told of anything beyond %d", s.From, s.Client, s.Synced), *s))
		}
	}
}

// acknowledgedIn checks that what was acknowledged happened.
func (e *evidence) acknowledgedIn(v *Verdict, t *truth) {
	missing := func(key string, rev int64, rec history.Record) {
		if rev == 0 || rev > t.dense {
			return
		}
		if c, ok := t.commits[rev][key]; !ok || c.Delete {
			v.add(violation(fmt.Sprintf("the write of %s was acknowledged at revision %d, and no watcher was told of it", key, rev), rec))
		}
	}
	for i := range e.Added {
		if o := &e.Added[i]; o.Outcome == history.OK {
			missing(o.Key, o.Rev, *o)
		}
	}
	for i := range e.Pulsed {
		if o := &e.Pulsed[i]; o.Outcome == history.OK {
			missing("pulse/"+o.Node, o.Rev, *o)
		}
	}
	for i := range e.History.KV {
		o := &e.History.KV[i]
		if o.Outcome != history.OK || o.Missed {
			continue
		}
		for _, w := range o.Set {
			if !w.Delete {
				missing(w.Key, o.Rev, *o)
			}
		}
	}
}

// refusedIn checks that what was refused did not happen.
func (e *evidence) refusedIn(v *Verdict, t *truth) {
	refused := map[string]history.Record{} // by value
	for i := range e.Added {
		if o := &e.Added[i]; o.Outcome == history.Failed {
			refused[o.Key] = *o
		}
	}
	for i := range e.History.KV {
		o := &e.History.KV[i]
		if o.Outcome != history.Failed && !(o.Outcome == history.OK && o.Missed) {
			continue
		}
		for _, w := range o.Set {
			if !w.Delete {
				refused[w.Value] = *o
			}
		}
	}
	for _, rev := range t.revs {
		for key, c := range t.commits[rev] {
			if rec := refused[c.Value]; rec != nil && !c.Delete {
				v.add(violation(fmt.Sprintf("the write of %s was refused, which means that it has no effect, and it happened at revision %d", key, rev), rec, *c.by))
			}
		}
	}
}

// leasesEndAtOnce checks that the keys of a lease go together.
func (e *evidence) leasesEndAtOnce(v *Verdict, t *truth) {
	together := map[string]*history.Leased{}
	for i := range e.Leased {
		if o := &e.Leased[i]; o.Step == history.Grant && o.Outcome == history.OK {
			for _, k := range o.Keys {
				together[k] = o
			}
		}
	}
	for _, rev := range t.revs {
		for key, c := range t.commits[rev] {
			o := together[key]
			if o == nil || !c.Delete {
				continue
			}
			for _, k := range o.Keys {
				if d, ok := t.commits[rev][k]; !ok || !d.Delete {
					v.add(violation(fmt.Sprintf("lease %d ended at revision %d with key %s, but not with its key %s", o.Lease, rev, key, k), *o, *c.by))
				}
			}
		}
	}
}
