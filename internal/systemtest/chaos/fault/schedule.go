//go:build linux

package fault

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"herald/internal/systemtest/chaos/lab"
)

// Schedule says which faults come, and how densely.
type Schedule struct {
	Seed  uint64
	Kinds []Kind
	// Rest is the longest time between the end of one fault and the next.
	Rest time.Duration
}

// Run injects faults until ctx ends, undoes the last ones, and returns. An error says
// that something went wrong that no fault excuses: a violation, or a lab that fails.
func (s Schedule) Run(ctx context.Context, c *Cluster) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var big, small []Kind
	for _, k := range s.Kinds {
		if k.Small {
			small = append(small, k)
		} else {
			big = append(big, k)
		}
	}
	var wg sync.WaitGroup
	errs := make([]error, 2)
	for i, kinds := range [][]Kind{big, small} {
		wg.Go(func() {
			r := &runner{Cluster: c, rand: rand.New(rand.NewPCG(s.Seed, uint64(i))), kinds: kinds, rest: s.Rest, revives: i == 0}
			if errs[i] = r.run(ctx); errs[i] != nil {
				cancel()
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// runner does one kind of thing after the other.
type runner struct {
	*Cluster
	rand  *rand.Rand
	kinds []Kind
	deck  []Kind
	rest  time.Duration
	// revives is set in the one of them that looks after the processes.
	revives bool
}

func (r *runner) run(ctx context.Context) error {
	for {
		r.hold(ctx, between(r.rand, 0, r.rest))
		if ctx.Err() != nil {
			return nil
		}
		if len(r.kinds) == 0 {
			continue
		}
		if err := r.do(ctx, r.draw()); err != nil {
			return err
		}
	}
}

// draw takes kinds as from a deck of cards, so that each comes before any comes again.
func (r *runner) draw() Kind {
	if len(r.deck) == 0 {
		r.deck = append(r.deck, r.kinds...)
		r.rand.Shuffle(len(r.deck), func(i, j int) { r.deck[i], r.deck[j] = r.deck[j], r.deck[i] })
	}
	k := r.deck[0]
	r.deck = r.deck[1:]
	return k
}

// do makes one thing happen and ends it.
func (r *runner) do(ctx context.Context, k Kind) error {
	// All that is drawn is drawn whatever the cluster does, so that a seed gives the same
	// faults again as far as that can be.
	a := &act{
		Cluster: r.Cluster,
		rand:    rand.New(rand.NewPCG(r.rand.Uint64(), r.rand.Uint64())),
		lasts:   between(r.rand, k.shortest, k.longest),
	}
	nodes := r.Lab.Nodes()
	a.target = nodes[r.rand.IntN(len(nodes))]
	if onLeader := r.rand.IntN(5) < 3; onLeader {
		if n := r.Leader(ctx); n != nil {
			a.target = n
		}
	}
	from := r.Record.Now()
	end, err := k.begin(ctx, a)
	r.Log.Info("fault", "kind", k.Name, "node", a.target.Name, "lasts", a.lasts, "note", a.note)
	if err == nil && end != nil {
		r.hold(ctx, a.lasts)
	}
	if end != nil {
		err = errors.Join(err, end())
	}
	r.note(k.Name, targetOf(k, a.target), from, a.note)
	if err != nil {
		return fmt.Errorf("%s on %s: %w", k.Name, a.target.Name, err)
	}
	return nil
}

func targetOf(k Kind, n *lab.Node) string {
	if k.Majority {
		return ""
	}
	return n.Name
}

// hold waits, reviving processes meanwhile.
func (r *runner) hold(ctx context.Context, d time.Duration) {
	for begin := time.Now(); ctx.Err() == nil; {
		if r.revives {
			r.revive()
		}
		left := d - time.Since(begin)
		if left <= 0 {
			return
		}
		pause(ctx, min(left, 4*poll))
	}
}
