//go:build linux

package fault

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"herald/internal/systemtest/chaos/lab"
)

// Kind is one kind of fault, or of small thing that happens beside them.
type Kind struct {
	Name string
	// Small says that it hits no server so that it could not answer.
	Small bool
	// Majority says that it takes more servers than the cluster can lose.
	Majority bool
	// shortest and longest bound how long it lasts.
	shortest, longest time.Duration
	// begin makes it happen to the target, and returns what ends it, with what is worth
	// noting. It may return a nil end.
	begin func(ctx context.Context, f *act) (end func() error, err error)
}

// act is one fault that is being done.
type act struct {
	*Cluster
	rand *rand.Rand
	// target is whom it hits: the leader, if there is one, more often than not.
	target *lab.Node
	// lasts is how long it will.
	lasts time.Duration
	note  string
}

// others are all nodes but the target.
func (a *act) others() []*lab.Node {
	return slices.DeleteFunc(slices.Clone(a.Lab.Nodes()), func(n *lab.Node) bool { return n == a.target })
}

// Kinds are all kinds.
var Kinds = []Kind{
	{Name: "kill", shortest: 0, longest: 4 * time.Second, begin: kill},
	{Name: "restart", shortest: 0, longest: time.Second, begin: restart},
	{Name: "pause", shortest: 300 * time.Millisecond, longest: 6 * time.Second, begin: pauseProcess},
	{Name: "isolate", shortest: time.Second, longest: 6 * time.Second, begin: isolate},
	{Name: "deaf", shortest: time.Second, longest: 6 * time.Second, begin: deaf},
	{Name: "mute", shortest: time.Second, longest: 6 * time.Second, begin: mute},
	{Name: "broken-wire", shortest: time.Second, longest: 6 * time.Second, begin: brokenWire},
	{Name: "flap", shortest: 2 * time.Second, longest: 6 * time.Second, begin: flap},
	{Name: "log-stall", shortest: time.Second, longest: 6 * time.Second, begin: stallLog},
	{Name: "disk-freeze", shortest: time.Second, longest: 5 * time.Second, begin: freezeDisk},
	{Name: "disk-full", shortest: 2 * time.Second, longest: 6 * time.Second, begin: fillDisk},
	{Name: "member", shortest: 0, longest: 2 * time.Second, begin: replaceMember},
	{Name: "majority-lost", Majority: true, shortest: time.Second, longest: 5 * time.Second, begin: loseMajority},
	{Name: "all-killed", Majority: true, shortest: 0, longest: time.Second, begin: killAll},

	{Name: "clock-jump", Small: true, shortest: time.Second, longest: 5 * time.Second, begin: jumpClock},
	{Name: "clock-drift", Small: true, shortest: 2 * time.Second, longest: 8 * time.Second, begin: driftClock},
	{Name: "transfer", Small: true, begin: transfer},
	{Name: "compact", Small: true, begin: compact},
	{Name: "snapshot", Small: true, begin: saveSnapshot},
}

// Named returns the kinds of these names.
func Named(names ...string) ([]Kind, error) {
	var kinds []Kind
	for _, name := range names {
		i := slices.IndexFunc(Kinds, func(k Kind) bool { return k.Name == name })
		if i < 0 {
			var known []string
			for _, k := range Kinds {
				known = append(known, k.Name)
			}
			return nil, fmt.Errorf("no fault is called %q; there are %s", name, strings.Join(known, ", "))
		}
		kinds = append(kinds, Kinds[i])
	}
	return kinds, nil
}
