package workload

import (
	"fmt"
	"math/rand/v2"
	"sync"
)

// How registers are grouped. A group is given up after a while, since the effort of judging
// the steps on it grows with their number, faster than in proportion.
const (
	activeGroups  = 3
	groupSize     = 3
	stepsPerGroup = 120
)

// registerPrefix is where registers are kept.
const registerPrefix = "reg/"

// registers are the groups of keys that the clients work on at present.
type registers struct {
	mu    sync.Mutex
	made  int
	group [activeGroups]struct {
		name string
		left int // steps
	}
}

func newRegisters() *registers {
	r := &registers{}
	for i := range r.group {
		r.renewLocked(i)
	}
	return r
}

func (r *registers) renewLocked(i int) {
	r.made++
	r.group[i].name = fmt.Sprintf("%s%d/", registerPrefix, r.made)
	r.group[i].left = stepsPerGroup
}

// next is a group for one more step.
func (r *registers) next(rng *rand.Rand) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := rng.IntN(activeGroups)
	if r.group[i].left == 0 {
		r.renewLocked(i)
	}
	r.group[i].left--
	return r.group[i].name
}

// keysOf are the keys of a group.
func keysOf(group string) [groupSize]string {
	var keys [groupSize]string
	for i := range keys {
		keys[i] = fmt.Sprintf("%s%d", group, i)
	}
	return keys
}

// look is a group that is worked on.
func (r *registers) look(rng *rand.Rand) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.group[rng.IntN(activeGroups)].name
}
