package check

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"sort"
	"time"

	"github.com/anishathalye/porcupine"

	"herald/internal/systemtest/chaos/history"
)

// decideWithin bounds the search for a linearization of one group of registers. Nearly all
// take milliseconds; one that does not is reported as undecided.
const decideWithin = 20 * time.Second

// maxUndecided is after how many groups that could not be decided the others are not tried:
// something makes all of them hard.
const maxUndecided = 3

// kv checks that the steps on each group of registers can be put in one order that every
// answer agrees with, and in which a step that was over before another began comes first.
func (e *evidence) kv() Verdict {
	v := Verdict{Of: "steps on registers"}
	for _, c := range e.clash {
		v.add(c)
	}
	groups := map[string][]*history.KV{}
	for i := range e.History.KV {
		o := &e.History.KV[i]
		if o.Mode != history.Stale && (o.Outcome == history.OK || o.Outcome == history.Unknown && o.Writes()) {
			groups[o.Group] = append(groups[o.Group], o)
			v.Checked++
		}
		for _, c := range o.Got {
			if w := e.values[c.Value].write; c.Rev > 0 && w == nil {
				v.add(violation(fmt.Sprintf("%s was read, and nobody wrote that", cellText(c)), *o))
			} else if c.Rev > 0 && w.Outcome == history.Failed {
				v.add(violation(fmt.Sprintf("%s was read, and its write was refused: a refusal means that it has no effect", cellText(c)), *w, *o))
			}
		}
	}
	for i, name := range slices.Sorted(maps.Keys(groups)) {
		if len(v.Undecided) >= maxUndecided {
			v.Undecided = append(v.Undecided, fmt.Sprintf("%d more groups were not tried", len(groups)-i))
			break
		}
		e.group(&v, name, groups[name])
	}
	return v
}

// group judges the steps on one group.
func (e *evidence) group(v *Verdict, name string, ops []*history.KV) {
	keys := keysOf(ops)
	if len(keys) > maxKeys {
		v.Undecided = append(v.Undecided, fmt.Sprintf("group %s has %d keys, and the model takes %d", name, len(keys), maxKeys))
		return
	}
	switch e.linearizable(ops, keys, math.MaxInt64) {
	case porcupine.Unknown:
		v.Undecided = append(v.Undecided, fmt.Sprintf("group %s: %d steps were not put in order within %v", name, len(ops), decideWithin))
	case porcupine.Illegal:
		v.add(e.explain(name, ops, keys))
	}
}

// linearizable judges the history as it was at a time: what returned later is as if its
// outcome were not known.
func (e *evidence) linearizable(ops []*history.KV, keys []string, at time.Duration) porcupine.CheckResult {
	var h []porcupine.Operation
	for _, o := range ops {
		over := o.Outcome == history.OK && o.Return <= at
		if o.Call > at || !over && (!o.Writes() || e.unseen(o, ops)) {
			continue
		}
		m := e.newMove(o, keys)
		m.done = over
		h = append(h, porcupine.Operation{ClientId: o.Client, Input: m, Call: int64(o.Call), Return: e.latest(o, over)})
	}
	return porcupine.CheckOperationsTimeout(porcupine.Model{
		Init: func() any { return registers{} },
		Step: func(state, input, _ any) (bool, any) {
			return state.(registers).step(input.(*move))
		},
		Equal: func(a, b any) bool { return a.(registers) == b.(registers) },
	}, h, decideWithin)
}

// latest is the latest time at which a step may have taken effect.
func (e *evidence) latest(o *history.KV, over bool) int64 {
	if over {
		return int64(o.Return)
	}
	// One whose value was read had taken effect by then.
	latest := int64(math.MaxInt64)
	for _, w := range o.Set {
		if v := e.values[w.Value]; !w.Delete && v.seen > 0 {
			latest = min(latest, int64(max(v.seen, o.Call)))
		}
	}
	return latest
}

// unseen reports whether a step of unknown outcome can be left out, which makes the search
// much shorter. It can if nobody ever read what it wrote, and nobody was told that a
// condition did not hold, which it might explain, without being told why.
func (e *evidence) unseen(o *history.KV, ops []*history.KV) bool {
	for _, w := range o.Set {
		if w.Delete || e.values[w.Value].seen > 0 {
			return false
		}
	}
	return !slices.ContainsFunc(ops, func(x *history.KV) bool {
		return x.Missed && len(x.Got) == 0 && x.Return > o.Call && slices.ContainsFunc(x.If, func(c history.Cond) bool {
			return slices.ContainsFunc(o.Set, func(w history.Write) bool { return w.Key == c.Key })
		})
	})
}

// explain finds the first step, by its return, that cannot be put in order any more, and what
// it contradicts.
func (e *evidence) explain(name string, ops []*history.KV, keys []string) Violation {
	slices.SortFunc(ops, func(a, b *history.KV) int { return cmp.Compare(a.Return, b.Return) })
	i := sort.Search(len(ops)-1, func(i int) bool { return e.linearizable(ops, keys, ops[i].Return) == porcupine.Illegal })
	odd := ops[i]
	what := fmt.Sprintf("the steps on group %s cannot be put in one order: this is the first that does not fit", name)
	withoutDefault := slices.DeleteFunc(slices.Clone(ops), func(o *history.KV) bool { return o.Mode == history.Default })
	if e.linearizable(withoutDefault, keys, math.MaxInt64) == porcupine.Ok {
		what += " (without the HTTP door's default reads they can)"
	}
	x := violation(what, *odd)
	// Where what it read comes from, and what else was written to those keys before.
	var shown []*history.KV
	show := func(o *history.KV) {
		if o != nil && o != odd && !slices.Contains(shown, o) {
			shown = append(shown, o)
		}
	}
	for _, c := range odd.Got {
		show(e.values[c.Value].write)
	}
	recent := 0
	for j := i - 1; j >= 0 && recent < 5; j-- {
		o := ops[j]
		if o.Writes() && !o.Missed && touches(o, odd) {
			show(o)
			recent++
		}
	}
	slices.SortFunc(shown, func(a, b *history.KV) int { return cmp.Compare(a.Call, b.Call) })
	for _, o := range shown {
		x.Proof = append(x.Proof, history.Cite(*o))
	}
	return x
}

// touches reports whether a writes what b reads, compares or writes.
func touches(a, b *history.KV) bool {
	return slices.ContainsFunc(a.Set, func(w history.Write) bool {
		return slices.Contains(keysOf([]*history.KV{b}), w.Key)
	})
}

// keysOf are the registers that steps concern, sorted.
func keysOf(ops []*history.KV) []string {
	seen := map[string]bool{}
	for _, o := range ops {
		for _, c := range o.If {
			seen[c.Key] = true
		}
		for _, w := range o.Set {
			seen[w.Key] = true
		}
		for _, c := range o.Got {
			seen[c.Key] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}
