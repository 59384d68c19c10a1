package check

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"herald/internal/systemtest/chaos/history"
)

// Violation is a promise that was not kept.
type Violation struct {
	// What happened, in words.
	What string `json:"what"`
	// Proof is the records that show it, as history.Cite has them.
	Proof []string `json:"proof,omitempty"`
}

func violation(what string, proof ...history.Record) Violation {
	v := Violation{What: what}
	for _, r := range proof {
		v.Proof = append(v.Proof, history.Cite(r))
	}
	return v
}

// Verdict is what one check found.
type Verdict struct {
	// Check is its name.
	Check string `json:"check"`
	// Checked is how many things of the kind that Of names were judged.
	Checked int    `json:"checked"`
	Of      string `json:"of"`
	// Notes are what a reader should know besides, such as what could not be held against
	// anybody.
	Notes      []string    `json:"notes,omitempty"`
	Violations []Violation `json:"violations,omitempty"`
	// More counts violations beyond those that are listed.
	More int `json:"more,omitempty"`
	// Undecided says what could not be judged in the time there was. It is not a pass.
	Undecided []string `json:"undecided,omitempty"`
}

// maxViolations is how many violations a verdict spells out: a broken promise is often
// broken very often.
const maxViolations = 20

func (v *Verdict) add(x Violation) {
	if len(v.Violations) >= maxViolations {
		v.More++
		return
	}
	v.Violations = append(v.Violations, x)
}

func (v *Verdict) note(format string, args ...any) {
	v.Notes = append(v.Notes, fmt.Sprintf(format, args...))
}

// OK reports whether there was something to check and all of it was right.
func (v *Verdict) OK() bool {
	return v.Checked > 0 && len(v.Violations) == 0 && len(v.Undecided) == 0
}

// String is the verdict in a word or two.
func (v *Verdict) String() string {
	switch {
	case len(v.Violations) > 0:
		return fmt.Sprintf("VIOLATED (%d)", len(v.Violations)+v.More)
	case len(v.Undecided) > 0:
		return "could not decide"
	case v.Checked == 0:
		return "checked nothing"
	}
	return "ok"
}

// Count is how the operations of one kind went.
type Count struct {
	Kind    string `json:"kind"`
	OK      int    `json:"ok"`
	Failed  int    `json:"failed"`
	Unknown int    `json:"unknown"`
}

// Report is all that is to be said of a history.
type Report struct {
	Verdicts []Verdict `json:"verdicts"`
	Counts   []Count   `json:"counts"`
	Faults   []Count   `json:"faults"` // OK counts how often each kind happened
	// LongestOutage is the longest time without a successful write, and LongestAt when it
	// began.
	LongestOutage time.Duration `json:"longest_outage"`
	LongestAt     time.Duration `json:"longest_at"`
	// Length is the time from the first operation to the end of the last.
	Length time.Duration `json:"length"`
}

// OK reports whether every check passed, and there was one.
func (r *Report) OK() bool {
	for i := range r.Verdicts {
		if !r.Verdicts[i].OK() {
			return false
		}
	}
	return len(r.Verdicts) > 0
}

// Caught reports whether a check found a violation.
func (r *Report) Caught(check string) bool {
	for i := range r.Verdicts {
		if r.Verdicts[i].Check == check && len(r.Verdicts[i].Violations) > 0 {
			return true
		}
	}
	return false
}

// Print writes the report for people.
func (r *Report) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "FAULT\tTIMES\n")
	for _, c := range r.Faults {
		fmt.Fprintf(t, "%s\t%d\n", c.Kind, c.OK)
	}
	fmt.Fprintf(t, "\nOPERATION\tOK\tFAILED\tUNKNOWN\n")
	for _, c := range r.Counts {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\n", c.Kind, c.OK, c.Failed, c.Unknown)
	}
	fmt.Fprintf(t, "\nCHECK\tVERDICT\tCHECKED\n")
	for i := range r.Verdicts {
		v := &r.Verdicts[i]
		fmt.Fprintf(t, "%s\t%s\t%d %s\n", v.Check, v, v.Checked, v.Of)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n%v of operations; longest time without a successful write %v, from %v on\n",
		r.Length.Round(time.Second), r.LongestOutage.Round(time.Millisecond), r.LongestAt.Round(time.Millisecond))
	for i := range r.Verdicts {
		r.Verdicts[i].explain(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// explain writes what the one word of a verdict leaves out.
func (v *Verdict) explain(b *strings.Builder) {
	for _, n := range v.Notes {
		fmt.Fprintf(b, "%s: %s\n", v.Check, n)
	}
	for _, u := range v.Undecided {
		fmt.Fprintf(b, "%s: could not decide: %s\n", v.Check, u)
	}
	for _, x := range v.Violations {
		fmt.Fprintf(b, "\n%s: VIOLATION: %s\n", v.Check, x.What)
		for _, p := range x.Proof {
			fmt.Fprintf(b, "    %s\n", p)
		}
	}
	if v.More > 0 {
		fmt.Fprintf(b, "%s: and %d more violations\n", v.Check, v.More)
	}
}
