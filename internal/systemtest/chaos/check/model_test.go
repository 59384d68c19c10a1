package check

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"herald/internal/systemtest/chaos/history"
)

// simulated draws what clients would see of a sound store: each step takes effect at one moment
// between its call and its return, or, if its outcome is unknown, at some moment after its
// call, or never.
func simulated(t *rapid.T) []history.KV {
	type pending struct {
		op history.KV
		at int // moment of effect, in thousandths; never is math.MaxInt
	}
	keys := []string{"g/0", "g/1", "g/2"}
	n := rapid.IntRange(1, 25).Draw(t, "steps")
	free := make([]int, rapid.IntRange(1, 4).Draw(t, "clients"))
	var ops []pending
	for i := range n {
		c := rapid.IntRange(0, len(free)-1).Draw(t, "client")
		call := free[c] + rapid.IntRange(1, 10).Draw(t, "pause")
		ret := call + rapid.IntRange(1, 30).Draw(t, "takes")
		free[c] = ret
		p := pending{at: rapid.IntRange(call, ret).Draw(t, "effect")}
		p.op = history.KV{Group: "g/", Span: history.Span{
			Client: c, Node: "n1", Call: time.Duration(call), Return: time.Duration(ret), Outcome: history.OK,
		}}
		switch key := rapid.SampledFrom(keys).Draw(t, "key"); rapid.IntRange(0, 4).Draw(t, "kind") {
		case 0, 1:
			p.op.Got = []history.Cell{{Key: key}}
		case 2:
			p.op.Set = []history.Write{{Key: key, Value: fmt.Sprint(i)}}
		case 3:
			p.op.Set = []history.Write{{Key: key, Delete: true}}
		case 4:
			p.op.If = []history.Cond{{Key: key}}
			p.op.Set = []history.Write{{Key: rapid.SampledFrom(keys).Draw(t, "other"), Value: fmt.Sprint(i)}}
		}
		if p.op.Writes() && rapid.IntRange(0, 3).Draw(t, "unknown") == 0 {
			p.op.Outcome = history.Unknown
			if p.at += rapid.IntRange(0, 100).Draw(t, "later"); rapid.Bool().Draw(t, "never") {
				p.at = math.MaxInt
			}
		}
		ops = append(ops, p)
	}
	slices.SortStableFunc(ops, func(a, b pending) int { return a.at - b.at })
	state := map[string]history.Cell{}
	seen := map[string][]int64{}
	rev := int64(1)
	for i := range ops {
		o := &ops[i].op
		// Clients compare with what somebody has read, or with nothing.
		for j := range o.If {
			o.If[j].Rev = rapid.SampledFrom(append([]int64{0, 999}, seen[o.If[j].Key]...)).Draw(t, "compared with")
		}
		if ops[i].at == math.MaxInt {
			continue
		}
		apply(o, state, &rev, rapid.Bool().Draw(t, "says its revision"))
		for _, g := range o.Got {
			if g.Rev > 0 {
				seen[g.Key] = append(seen[g.Key], g.Rev)
			}
		}
	}
	all := make([]history.KV, len(ops))
	for i := range ops {
		all[i] = ops[i].op
	}
	slices.SortStableFunc(all, func(a, b history.KV) int { return int(a.Return - b.Return) })
	return all
}

// apply makes a step take effect.
func apply(o *history.KV, state map[string]history.Cell, rev *int64, saysRev bool) {
	for i, g := range o.Got {
		o.Got[i] = state[g.Key]
		o.Got[i].Key = g.Key
	}
	holds := !slices.ContainsFunc(o.If, func(c history.Cond) bool { return state[c.Key].Rev != c.Rev })
	changes := slices.ContainsFunc(o.Set, func(w history.Write) bool { return !w.Delete || state[w.Key].Rev > 0 })
	if holds && changes {
		*rev++
		for _, w := range o.Set {
			delete(state, w.Key)
			if !w.Delete {
				state[w.Key] = history.Cell{Key: w.Key, Value: w.Value, Rev: *rev}
			}
		}
	}
	if o.Outcome == history.OK {
		o.Missed = o.Writes() && !holds
		if saysRev {
			o.Rev = *rev
		}
	}
}

func verdictOn(ops []history.KV) Verdict {
	e := newEvidence(&history.History{KV: ops})
	return e.kv()
}

// TestSoundHistoriesPass draws histories of a sound store: none may be called wrong.
func TestSoundHistoriesPass(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ops := simulated(t)
		if v := verdictOn(ops); len(v.Violations)+len(v.Undecided) > 0 {
			t.Fatalf("%s: %+v\n%+v", &v, v.Violations, ops)
		}
		e := newEvidence(&history.History{KV: ops})
		if v := e.order(); len(v.Violations) > 0 {
			t.Fatalf("%+v", v.Violations)
		}
	})
}

// TestAReadFromThePastIsFound adds, to a history of a sound store, a read of what was written
// over before the read began.
func TestAReadFromThePastIsFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ops := simulated(t)
		end := ops[len(ops)-1].Return
		for i, value := range []string{"old", "new"} {
			call := end + time.Duration(1+2*i)
			ops = append(ops, history.KV{Group: "g/", Set: []history.Write{{Key: "g/0", Value: value}}, Span: history.Span{
				Client: 9, Node: "n1", Call: call, Return: call + 1, Outcome: history.OK,
			}, Rev: int64(1000 + i)})
		}
		ops = append(ops, history.KV{Group: "g/", Got: []history.Cell{{Key: "g/0", Value: "old", Rev: 1000}}, Span: history.Span{
			Client: 9, Node: "n2", Call: end + 10, Return: end + 11, Outcome: history.OK,
		}})
		v := verdictOn(ops)
		if len(v.Violations) != 1 {
			t.Fatalf("%s\n%+v", &v, ops)
		}
		if proof := fmt.Sprint(v.Violations[0].Proof); len(v.Violations[0].Proof) > 8 {
			t.Fatalf("the proof is not short: %s", proof)
		}
	})
}
