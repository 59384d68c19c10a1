package check

import (
	"slices"

	"herald/internal/systemtest/chaos/history"
)

// maxKeys is how many registers a group may have.
const maxKeys = 4

// registers is the state of a group of registers, as the sequential model has it.
type registers struct {
	cell [maxKeys]cell
	// floor is the highest revision that any step so far has made or seen. Whatever comes
	// later in the order is above it (a write) or not below it (a read).
	floor int64
}

type cell struct {
	there bool
	value string
	rev   int64 // 0 if nobody knows
}

// move is a step in terms of the model.
type move struct {
	op *history.KV
	// rev is the revision that its writes took effect at; 0 if nobody knows.
	rev  int64
	ifs  []indexed[int64]
	set  []indexed[history.Write]
	got  []indexed[history.Cell]
	done bool // the outcome is known
}

type indexed[T any] struct {
	at int // register
	v  T
}

func (e *evidence) newMove(o *history.KV, keys []string) *move {
	m := &move{op: o, rev: e.revOf(o), done: o.Outcome == history.OK}
	for _, c := range o.If {
		m.ifs = append(m.ifs, indexed[int64]{slices.Index(keys, c.Key), c.Rev})
	}
	for _, w := range o.Set {
		m.set = append(m.set, indexed[history.Write]{slices.Index(keys, w.Key), w})
	}
	for _, c := range o.Got {
		m.got = append(m.got, indexed[history.Cell]{slices.Index(keys, c.Key), c})
	}
	return m
}

// step makes a move. ok is false if what its client was told cannot be so in state s.
func (s registers) step(m *move) (ok bool, next registers) {
	holds := s.holds(m)
	if !m.done {
		// It takes effect here, or, where nothing comes after it, nobody can tell.
		if !holds {
			return true, s
		}
		return s.write(m)
	}
	if m.op.Writes() && !m.op.Missed {
		if !holds {
			return false, s
		}
		return s.write(m)
	}
	if m.op.Missed && holds {
		return false, s
	}
	for _, g := range m.got {
		c := s.cell[g.at]
		if c.there != (g.v.Rev > 0) || c.there && (c.value != g.v.Value || c.rev != g.v.Rev) {
			return false, s
		}
	}
	if m.op.Rev > 0 {
		if m.op.Rev < s.floor {
			return false, s
		}
		s.floor = m.op.Rev
	}
	return true, s
}

func (s *registers) holds(m *move) bool {
	for _, c := range m.ifs {
		have := s.cell[c.at]
		if c.v == 0 && have.there || c.v > 0 && (!have.there || have.rev != c.v) {
			return false
		}
	}
	return true
}

func (s registers) write(m *move) (ok bool, next registers) {
	changes := false
	for _, w := range m.set {
		changes = changes || !w.v.Delete || s.cell[w.at].there
	}
	if m.rev > 0 && (m.rev < s.floor || changes && m.rev == s.floor) {
		return false, s
	}
	s.floor = max(s.floor, m.rev)
	for _, w := range m.set {
		s.cell[w.at] = cell{}
		if !w.v.Delete {
			s.cell[w.at] = cell{there: true, value: w.v.Value, rev: m.rev}
		}
	}
	return true, s
}
