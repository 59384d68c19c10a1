package main

import "slices"

// figure is a number that a round gave.
type figure struct {
	Name  string
	Unit  string
	Value float64
}

// result is what one round gave.
type result struct {
	figures []figure
	missing int      // deliveries that never came
	notes   []string // what went wrong without ending the round
}

// comparison is one load as all peers bore it, round by round.
type comparison struct {
	Nodes   int      `json:"nodes"`
	Work    string   `json:"work"`
	Clients int      `json:"clients"` // or watchers
	Rows    []row    `json:"figures"`
	Notes   []string `json:"notes,omitempty"` // what went wrong in single rounds

	missing int // deliveries that never came, of all peers
}

// row is one figure of all peers.
type row struct {
	Name string `json:"name"`
	Unit string `json:"unit"`
	// Rounds has a list for each peer, a number for each round.
	Rounds [][]float64 `json:"rounds"`
	// Medians has one for each peer.
	Medians []float64 `json:"medians"`
	// Ratio is the first peer's median divided by the second's; 0 where there is none.
	Ratio float64 `json:"ratio"`
	// Ratios has those of single rounds, of which each pair had the same of what else the machine did.
	Ratios []float64 `json:"ratios"`
}

// compare lines up the rounds of all peers: rounds[p][r] is what peer p gave in round r. Every round of one load has the
// same figures in the same order.
func compare(rounds [][][]figure) []row {
	var rows []row
	for i, f := range rounds[0][0] {
		r := row{Name: f.Name, Unit: f.Unit}
		for _, peer := range rounds {
			var values []float64
			for _, round := range peer {
				values = append(values, round[i].Value)
			}
			r.Rounds = append(r.Rounds, values)
			r.Medians = append(r.Medians, median(values))
		}
		if len(rounds) > 1 {
			r.Ratio = quotient(r.Medians[0], r.Medians[1])
			for n, v := range r.Rounds[0] {
				r.Ratios = append(r.Ratios, quotient(v, r.Rounds[1][n]))
			}
		}
		rows = append(rows, r)
	}
	return rows
}

// quotient is 0 where there is none.
func quotient(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// median is the middle one, or the mean of the two in the middle; 0 of none.
func median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
