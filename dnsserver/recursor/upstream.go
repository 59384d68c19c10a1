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
	// A dead recursor is asked beside another whether it is back after firstRest, and each time that it is not after
	// twice as long, longestRest at most.
	firstRest   = time.Second
	longestRest = 30 * time.Second
	// plainFor is how long a recursor is asked without EDNS that answers only so.
	plainFor = 10 * time.Minute
)

// upstream is a recursor, and how it has been doing. All but address is guarded by Forwarder.mu.
type upstream struct {
	address netip.AddrPort
	// failures is how many tries nothing came of since something did.
	failures int
	// rest is when it may be asked whether it is back.
	rest time.Time
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
		if u.dead() && !now.Before(u.rest) {
			u.sleep(now)
			probed = append(probed, u)
		}
	}
	return asked, probed
}

// sleep keeps a dead recursor from being asked whether it is back.
func (u *upstream) sleep(now time.Time) {
	u.rest = now.Add(min(longestRest, firstRest<<min(u.failures-patience, 10)))
}

// report says what came of a try.
func (f *Forwarder) report(u *upstream, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	was := u.dead()
	if !nothingCame(err) {
		if u.failures = 0; was {
			f.log.Info("dns: a recursor answers again", "recursor", u.address)
		}
		return
	}
	if u.failures++; u.dead() {
		u.sleep(time.Now())
		if !was {
			f.log.Warn("dns: a recursor does not answer; it is asked after the others until it does", "recursor", u.address, "err", err)
		}
	}
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
