package main

import (
	"testing"
	"time"
)

// A thousand changes took 0.5 s alone. Two thousand are made beside 100,000 queries, and all of that takes 3 s.
func TestDNSResult(t *testing.T) {
	at := time.Unix(1, 0)
	after := func(seconds int, servers time.Duration) sample {
		return sample{at: at.Add(time.Duration(seconds) * time.Second), servers: servers}
	}
	alone := dnsUse{before: after(0, time.Second), after: after(1, 1500*time.Millisecond), changes: 1000}
	asked := dnsUse{before: after(2, 2*time.Second), after: after(4, 5*time.Second), changes: 2000, said: dnsperfSaid{
		completed: 100000, lost: 3, wrong: 4, took: 2 * time.Second, mean: time.Millisecond, longest: 9 * time.Millisecond,
		answerBytes: 429, cpu: time.Second,
	}}
	want := map[string]float64{
		"throughput": 50000, "latency mean": 1, "latency max": 9, "answer": 429,
		"server CPU a query": 20, "server CPU a change, without queries": 500, "server CPU a query and its share of changes": 30,
		"changes": 1000, "changes without queries": 1000, "server CPU": 1.5, "generator CPU": 0.5, "failed": 4, "lost": 3,
	}
	expect := func(r result) {
		t.Helper()
		got := map[string]float64{}
		for _, f := range r.figures {
			got[f.Name] = f.Value
		}
		for name, v := range want {
			if have, there := got[name]; !there || have != v {
				t.Errorf("%s is %v, want %v", name, have, v)
			}
		}
		if len(r.notes) != 1 {
			t.Errorf("notes %q", r.notes)
		}
	}
	churn := dnsWork{churns: true}.result(alone, asked)
	expect(churn)

	// A peer whose catalog does not change has the same figures.
	asked.changes = 0
	still := dnsWork{churns: true}.result(dnsUse{}, asked)
	if len(still.figures) != len(churn.figures) {
		t.Errorf("%d figures and %d", len(still.figures), len(churn.figures))
	}
	want["changes"], want["changes without queries"], want["server CPU a change, without queries"], want["server CPU a query"] = 0, 0, 0, 30
	expect(still)

	want = map[string]float64{"server CPU a query": 30, "throughput": 50000, "lost": 3}
	expect(dnsWork{}.result(dnsUse{}, asked))
}
