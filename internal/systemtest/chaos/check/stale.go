package check

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"herald/internal/systemtest/chaos/history"
)

// ageSlack is what an answer's age may be short by, besides what a wrong clock makes of it:
// the HTTP door states milliseconds.
const ageSlack = 20 * time.Millisecond

// stale checks stale reads: what they return was written, a server does not go back while it
// runs, and an answer is not older than it says.
func (e *evidence) stale() Verdict {
	v := Verdict{Of: "stale reads"}
	var reads []*history.KV
	for i := range e.History.KV {
		if o := &e.History.KV[i]; o.Mode == history.Stale && o.Outcome == history.OK {
			reads = append(reads, o)
		}
	}
	v.Checked = len(reads)
	past := newWatermark(e.points)
	writes := e.lastWrites(func(string, int64) bool { return true })
	for _, o := range reads {
		// That somebody wrote what was read is for the check of the registers.
		if o.Age < 0 {
			continue
		}
		at := o.Call - time.Duration(float64(o.Age)*e.slack()) - ageSlack
		if p := past.before(at); p != nil && o.Rev > 0 && o.Rev < p.rev {
			v.add(violation(fmt.Sprintf("a stale read claims to be at most %v old and is of revision %d, but revision %d was acknowledged earlier than that", o.Age, o.Rev, p.rev), p.rec, *o))
		}
		for _, c := range o.Got {
			if p := writes[c.Key].before(at); p != nil && c.Rev > 0 && c.Rev < p.rev {
				v.add(violation(fmt.Sprintf("a stale read claims to be at most %v old and has %s, but the key's revision %d was acknowledged earlier than that", o.Age, cellText(c), p.rev), p.rec, *o))
			}
		}
	}
	backwards(&v, reads)
	return v
}

// lastWrites is the watermark of each register. Of deletions it has those of which changed says that they
// changed something: the deletion of a key that is not there, in a transaction with others, leaves its index alone.
func (e *evidence) lastWrites(changed func(key string, rev int64) bool) map[string]watermark {
	byKey := map[string][]point{}
	for _, p := range e.points {
		if o, ok := p.rec.(history.KV); ok && p.write {
			for _, w := range o.Set {
				if w.Delete && !changed(w.Key, p.rev) {
					continue
				}
				byKey[w.Key] = append(byKey[w.Key], p)
			}
		}
	}
	marks := make(map[string]watermark, len(byKey))
	for k, points := range byKey {
		marks[k] = newWatermark(points)
	}
	return marks
}

// backwards finds servers that answered with an older state than before.
func backwards(v *Verdict, reads []*history.KV) {
	type life struct {
		node string
		life int64
	}
	lives := map[life][]point{}
	for _, o := range reads {
		if o.Life > 0 && o.Rev > 0 {
			l := life{o.Node, o.Life}
			lives[l] = append(lives[l], point{o.Call, o.Return, o.Rev, false, *o})
		}
	}
	for l, points := range lives {
		past := newWatermark(points)
		slices.SortFunc(points, func(a, b point) int { return cmp.Compare(a.call, b.call) })
		for i := range points {
			if p := past.before(points[i].call); p != nil && points[i].rev < p.rev {
				v.add(violation(fmt.Sprintf("server %s went back from revision %d to %d without being restarted", l.node, p.rev, points[i].rev), p.rec, points[i].rec))
			}
		}
	}
}
