package recursor

import (
	"errors"
	"net/netip"
	"slices"
	"time"
)

const (
	// patience is how many tries in a row nothing may come of before a recursor is
	// taken for dead, and asked after the others.
	patience = 3
	// A dead recursor is asked beside another whether it is back after firstRest, and each time that it was not after
	// twice as long, longestRest at most.
	firstRest   = time.Second
	longestRest = 30 * time.Second
	// plainFor is how long a recursor is asked without EDNS that answers only so.
	plainFor = 10 * time.Minute
)

// upstream is a recursor, and how it has been doing. All but address and counter is guarded by Forwarder.mu.
type upstream struct {
	address netip.AddrPort
	counter interface{ Inc() } // of failures; nil if nobody counts
	// answered is when something last came of a try, and failures of how many begun since nothing did.
	answered time.Time
	failures int
	// rest is how long a dead one is left alone, and rested until when. While probing it is being asked
	// whether it is back.
	rest    time.Duration
	rested  time.Time
	probing bool
	// plain is until when it is asked without EDNS.
	plain time.Time
}

func (u *upstream) dead() bool { return u.failures >= patience }

// nothingCame reports whether a try ended without as much as a packet.
func nothingCame(err error) bool {
	var network networkError
	var late timeoutError
	return errors.As(err, &network) || errors.As(err, &late)
}

// order is the order that recursors are asked in, the dead last, and which of those
// are to be asked meanwhile whether they are back.
func (f *Forwarder) order() (asked, probed []*upstream) {
	asked = slices.Clone(f.servers)
	if f.random {
		f.shuffle(asked)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	slices.SortStableFunc(asked, func(a, b *upstream) int {
		switch {
		case a.dead() == b.dead():
			return 0
		case b.dead():
			return -1
		}
		return 1
	})
	if asked[0].dead() {
		return asked, nil // they are all asked
	}
	now := time.Now()
	for _, u := range asked {
		if u.dead() && !u.probing && !now.Before(u.rested) {
			u.probing = true
			probed = append(probed, u)
		}
	}
	return asked, probed
}

// probe asks a dead recursor a question that another answers. What comes of it is noted, and that is all.
func (f *Forwarder) probe(u *upstream, q *question) {
	_, _ = f.try(u, q)
	f.mu.Lock()
	defer f.mu.Unlock()
	if u.probing = false; u.dead() {
		u.sleep(min(2*u.rest, longestRest))
	}
}

// sleep keeps a dead recursor from being asked for so long whether it is back.
func (u *upstream) sleep(rest time.Duration) {
	u.rest, u.rested = rest, time.Now().Add(rest)
}

// report says what came of a try that began then.
func (f *Forwarder) report(u *upstream, began time.Time, err error) {
	came := !nothingCame(err)
	if !came && u.counter != nil {
		u.counter.Inc()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	was := u.dead()
	switch {
	case came:
		u.answered, u.failures = time.Now(), 0
		if was {
			f.log.Info("dns: a recursor answers again", "recursor", u.address)
		}
	case began.Before(u.answered):
		// It has answered another since: that packet was lost, or that question is a hard one.
	default:
		if u.failures++; u.dead() && !was {
			u.sleep(firstRest)
			f.log.Warn("dns: a recursor does not answer; it is asked after the others until it does", "recursor", u.address, "err", err)
		}
	}
}

// Dead is how many recursors are taken for dead.
func (f *Forwarder) Dead() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, u := range f.servers {
		if u.dead() {
			n++
		}
	}
	return n
}

// plainly reports whether a recursor is to be asked without EDNS.
func (f *Forwarder) plainly(u *upstream) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Now().Before(u.plain)
}

// onlyPlainly notes that a recursor answers only without EDNS.
func (f *Forwarder) onlyPlainly(u *upstream) {
	f.mu.Lock()
	defer f.mu.Unlock()
	u.plain = time.Now().Add(plainFor)
}
