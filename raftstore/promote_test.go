package raftstore

import (
	"errors"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"pgregory.net/rapid"

	"herald/registry"
)

func TestDecide(t *testing.T) {
	t.Parallel()
	const long, day = time.Minute, 24 * time.Hour
	self := standing{id: "a", name: "a", voter: true, self: true, able: true, answering: long}
	voter := func(id string) standing {
		return standing{id: id, name: id, voter: true, able: true, answering: long}
	}
	learner := func(id string, answering time.Duration, lag uint64) standing {
		return standing{id: id, name: id, able: true, answering: answering, lag: lag}
	}
	dead := func(s standing, silent time.Duration) standing {
		s.answering, s.able, s.silent = 0, false, silent
		return s
	}
	named := func(s standing, name string) standing { s.name = name; return s }
	unable := func(s standing) standing { s.able = false; return s }
	rules := tendingRules{stabilization: 10 * time.Second}
	prune := tendingRules{stabilization: 10 * time.Second, deadServerAfter: day}
	for _, c := range []struct {
		name  string
		rules tendingRules
		all   []standing
		want  action
	}{
		{"nothing", rules, []standing{self, voter("b"), voter("c")}, action{}},
		{"new", rules, []standing{self, voter("b"), voter("c"), learner("d", 9*time.Second, 0)}, action{}},
		{"stable", rules, []standing{self, voter("b"), voter("c"), learner("d", 10*time.Second, 0)}, action{promote, "d", ""}},
		{"stable and far behind", rules, []standing{self, voter("b"), voter("c"), learner("d", long, maxPromoteLag+1)}, action{}},
		{"stable and a little behind", rules, []standing{self, voter("b"), voter("c"), learner("d", long, maxPromoteLag)}, action{promote, "d", ""}},
		{"stable, in another term or with a disk that hangs", rules, []standing{self, voter("b"), voter("c"), unable(learner("d", long, 0))}, action{}},
		{"one after another", rules, []standing{self, voter("b"), voter("c"), learner("d", 5*time.Second, 0), learner("e", long, 0)}, action{promote, "e", ""}},
		{"a small cluster hurries", rules, []standing{self, learner("b", 2*time.Second, 0)}, action{promote, "b", ""}},
		{"and still looks", rules, []standing{self, learner("b", time.Second, 0)}, action{}},
		{"a small cluster of the impatient", tendingRules{}, []standing{self, learner("b", 0, 0)}, action{promote, "b", ""}},
		{"no quorum answers", rules, []standing{self, dead(voter("b"), day), dead(voter("c"), day), learner("d", long, 0)}, action{}},

		{"dead, and never removed by time", rules, []standing{self, voter("b"), voter("c"), dead(voter("d"), 100*day)}, action{}},
		{"dead for long", prune, []standing{self, voter("b"), voter("c"), dead(voter("d"), day)}, action{remove, "d", ""}},
		{"dead for not so long", prune, []standing{self, voter("b"), voter("c"), dead(voter("d"), day-1)}, action{}},
		{"three are left alone", prune, []standing{self, voter("b"), dead(voter("c"), 100*day)}, action{}},
		{"two dead of five, one at a time", prune, []standing{self, voter("b"), dead(voter("c"), day), dead(voter("d"), day), voter("e")}, action{remove, "c", ""}},
		{"dead without a vote", prune, []standing{self, dead(learner("b", 0, 0), day)}, action{remove, "b", ""}},
		{"first a vote for who is there", prune, []standing{self, voter("b"), voter("c"), dead(voter("d"), day), learner("e", long, 0)}, action{promote, "e", ""}},

		{"replaced", rules, []standing{self, voter("b"), dead(named(voter("c"), "x"), long), named(voter("d"), "x")}, action{remove, "c", ""}},
		{"replaced, a moment ago", rules, []standing{self, voter("b"), dead(named(voter("c"), "x"), time.Second), named(voter("d"), "x")}, action{}},
		{"replaced, without a vote yet", rules, []standing{self, voter("b"), dead(named(voter("c"), "x"), long), named(learner("d", 0, 0), "x")}, action{}},
		{"one without a vote, by another", rules, []standing{self, dead(named(learner("b", 0, 0), "x"), long), named(learner("c", 0, 9999), "x")}, action{remove, "b", ""}},
		{"a namesake that was there before", rules, []standing{self, named(voter("b"), "x"), dead(named(voter("c"), "x"), long)}, action{}},
		{"a dead namesake", rules, []standing{self, voter("b"), voter("e"), dead(named(voter("c"), "x"), long), dead(named(voter("d"), "x"), long)}, action{}},
		{"both without a name", rules, []standing{self, voter("b"), dead(named(voter("c"), ""), long), named(voter("d"), "")}, action{}},
	} {
		got := decide(c.all, c.rules)
		if got.kind != c.want.kind || got.id != c.want.id {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

// Whatever the leader decides, the voters that are alive stay a quorum, and a server that
// answers is never removed.
func TestDecideKeepsTheQuorum(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var all []standing
		for i := range rapid.IntRange(1, 7).Draw(t, "servers") {
			s := standing{id: string(rune('a' + i)), self: i == 0, name: rapid.SampledFrom([]string{"", "x", "y", "z"}).Draw(t, "name")}
			s.voter = s.self || rapid.Bool().Draw(t, "voter")
			s.able = s.self || rapid.Bool().Draw(t, "able")
			if s.self || rapid.Bool().Draw(t, "alive") {
				s.answering = time.Hour
			} else {
				s.silent, s.able = time.Duration(rapid.IntRange(1, 100).Draw(t, "silent"))*time.Hour, false
			}
			all = append(all, s)
		}
		quorum := func() (alive, need int) {
			for _, s := range all {
				if s.voter {
					need++
					if s.silent == 0 {
						alive++
					}
				}
			}
			return alive, need/2 + 1
		}
		rules := tendingRules{stabilization: time.Second, deadServerAfter: 24 * time.Hour}
		alive, need := quorum()
		for range 20 {
			a := decide(all, rules)
			if a.kind == "" {
				return
			}
			if alive < need {
				t.Fatalf("%+v without a quorum", a)
			}
			for i := range all {
				if all[i].id != a.id {
					continue
				}
				if a.kind == promote {
					all[i].voter = true
				} else {
					if all[i].silent == 0 {
						t.Fatalf("%+v, which answers", a)
					}
					all = append(all[:i], all[i+1:]...)
				}
				break
			}
			if alive, need = quorum(); alive < need {
				t.Fatalf("after %+v, %d voters are alive and %d are needed", a, alive, need)
			}
		}
		t.Fatal("it never comes to an end")
	})
}

func TestMayRemove(t *testing.T) {
	t.Parallel()
	server := func(id string, s raft.ServerSuffrage, err error) answered {
		return answered{Server: raft.Server{ID: raft.ServerID(id), Suffrage: s}, err: err}
	}
	v := func(id string) answered { return server(id, raft.Voter, nil) }
	d := func(id string) answered { return server(id, raft.Voter, errMuted) }
	n := func(id string) answered { return server(id, raft.Nonvoter, nil) }
	hung := v("h")
	hung.said.Lost = true
	for _, c := range []struct {
		name string
		all  []answered
		id   string
		want error
	}{
		{"a stranger", []answered{v("a"), v("b")}, "z", registry.ErrMemberNotFound},
		{"the last", []answered{v("a")}, "a", registry.ErrMembership},
		{"the last that votes", []answered{v("a"), n("b")}, "a", registry.ErrMembership},
		{"one without a vote", []answered{v("a"), n("b")}, "b", nil},
		{"one of two", []answered{v("a"), v("b")}, "b", nil},
		{"the living of two", []answered{v("a"), d("b")}, "a", registry.ErrQuorum},
		{"the dead of two", []answered{v("a"), d("b")}, "b", nil},
		{"a living of three with a dead", []answered{v("a"), v("b"), d("c")}, "b", registry.ErrQuorum},
		{"a living of three with one whose disk hangs", []answered{v("a"), v("b"), hung}, "b", registry.ErrQuorum},
		{"the dead of three", []answered{v("a"), v("b"), d("c")}, "c", nil},
		{"a living of four with a dead", []answered{v("a"), v("b"), v("c"), d("d")}, "b", nil},
		{"a dead without a quorum", []answered{v("a"), d("b"), d("c")}, "c", registry.ErrQuorum},
	} {
		err := mayRemove(c.all, c.id)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if lost := errors.Is(err, registry.ErrQuorum); lost != (c.want == registry.ErrQuorum) || lost && !errors.Is(err, registry.ErrMembership) {
			t.Errorf("%s: %v is too much or too little", c.name, err)
		}
	}
}
