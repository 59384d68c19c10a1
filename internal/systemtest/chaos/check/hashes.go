package check

import (
	"fmt"

	"herald/internal/systemtest/chaos/history"
)

// hashes checks that servers which have applied the same entries are in the same state, and
// that all were compared once writing had ended.
func (e *evidence) hashes() Verdict {
	v := Verdict{Of: "comparisons of states"}
	first := map[uint64]*history.Hashed{}
	together := map[uint64]map[string]bool{} // closing ones
	for i := range e.Hashed {
		h := &e.Hashed[i]
		if h.Err != "" || h.Applied == 0 {
			continue
		}
		if was := first[h.Applied]; was == nil {
			first[h.Applied] = h
		} else if was.Hash != h.Hash {
			v.add(violation(fmt.Sprintf("servers %s and %s applied the same up to index %d and are in different states", was.Node, h.Node, h.Applied), *was, *h))
		} else if was.Node != h.Node {
			v.Checked++
		}
		if h.Closing {
			if together[h.Applied] == nil {
				together[h.Applied] = map[string]bool{}
			}
			together[h.Applied][h.Node] = true
		}
	}
	for _, nodes := range together {
		if len(nodes) == len(e.Plan.Nodes) {
			return v
		}
	}
	v.Undecided = append(v.Undecided, "after writing had ended not all servers were found at one index")
	return v
}
