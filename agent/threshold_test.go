package agent

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"herald/registry"
)

var letters = map[byte]registry.HealthStatus{'p': registry.Passing, 'w': registry.Warning, 'c': registry.Critical}

// TestThresholds replays results, one letter each, and compares the statuses.
func TestThresholds(t *testing.T) {
	tests := []struct {
		pass, warn, crit int
		from             byte
		results, want    string
	}{
		{0, 0, 0, 'c', "pcwpw", "pcwpw"},
		{1, 1, 1, 'c', "pcwpw", "pcwpw"},
		{3, 0, 0, 'c', "ppcppp", "cccccp"},
		{3, 0, 0, 'c', "wwwppp", "ccwwwp"}, // not critical for three results, passing after three
		{0, 0, 3, 'p', "ccpccc", "pppppc"},
		{0, 1, 3, 'p', "cccp", "wwcp"},
		{0, 2, 3, 'p', "cccp", "pwcp"},
		{2, 1, 3, 'p', "cpcpp", "wwwwp"},
		{2, 0, 2, 'p', "wpp", "wwp"},     // a warning is at once
		{2, 1, 2, 'c', "cwwcc", "ccwwc"}, // out of critical takes two, back takes two
	}
	for _, tt := range tests {
		d := &registry.CheckDefinition{SuccessBeforePassing: tt.pass, FailuresBeforeWarning: tt.warn, FailuresBeforeCritical: tt.crit}
		var tl tally
		status := letters[tt.from]
		var got strings.Builder
		for i := range len(tt.results) {
			status = tl.next(d, status, letters[tt.results[i]])
			got.WriteByte(status[0])
		}
		if got.String() != tt.want {
			t.Errorf("pass %d, warn %d, crit %d, from %c: %s gives %s, want %s", tt.pass, tt.warn, tt.crit, tt.from, tt.results, got.String(), tt.want)
		}
	}
}

// TestThresholdsProperty says what the thresholds mean by looking at the whole
// history of results, where the code counts as it goes.
func TestThresholdsProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := &registry.CheckDefinition{
			SuccessBeforePassing:   rapid.IntRange(0, 4).Draw(t, "pass"),
			FailuresBeforeCritical: rapid.IntRange(0, 4).Draw(t, "crit"),
		}
		d.FailuresBeforeWarning = rapid.IntRange(0, max(d.FailuresBeforeCritical, 1)).Draw(t, "warn")
		status := letters[rapid.SampledFrom([]byte("pwc")).Draw(t, "from")]
		results := rapid.SliceOfN(rapid.SampledFrom([]byte("pwc")), 1, 40).Draw(t, "results")

		// last reports whether the last n results are all among those.
		last := func(upTo, n int, among string) bool {
			if upTo < n {
				return false
			}
			return strings.Trim(string(results[upTo-n:upTo]), among) == ""
		}
		successes, failures := max(d.SuccessBeforePassing, 1), max(d.FailuresBeforeCritical, 1)
		var tl tally
		for i := range results {
			before := status
			status = tl.next(d, status, letters[results[i]])
			n := i + 1
			if !status.Valid() {
				t.Fatalf("status %q", status)
			}
			// What must be.
			if last(n, successes, "p") && status != registry.Passing {
				t.Fatalf("after %s: %s, though the last %d passed", results[:n], status, successes)
			}
			if last(n, failures, "c") && status != registry.Critical {
				t.Fatalf("after %s: %s, though the last %d failed", results[:n], status, failures)
			}
			// What a change must be for.
			var reason bool
			switch {
			case status == before:
				reason = true
			case status == registry.Passing:
				reason = last(n, successes, "p")
			case status == registry.Critical:
				reason = last(n, failures, "c")
			case before == registry.Passing: // to warning
				reason = results[i] == 'w' || d.FailuresBeforeWarning > 0 && last(n, d.FailuresBeforeWarning, "c")
			default: // critical to warning
				reason = last(n, successes, "pw")
			}
			if !reason {
				t.Fatalf("after %s, with %+v: %s became %s for no reason", results[:n], *d, before, status)
			}
			// A single result with no thresholds is the status.
			if successes == 1 && failures == 1 && status != letters[results[i]] {
				t.Fatal(fmt.Sprintf("without thresholds %c gives %s", results[i], status))
			}
		}
	})
}
