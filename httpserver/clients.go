package httpserver

import (
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxClients bounds how many clients are told apart; the rest count as one. Beyond
// sweepFrom, those that have been idle are forgotten now and then.
const (
	maxClients = 1 << 16
	sweepFrom  = 1 << 10
)

// clients bounds what one client can make the process do, so that a loop that has
// gone wrong in one does not take the time of all. A client is an address, or a
// network of 64 bits of IPv6. It is safe for concurrent use.
type clients struct {
	mu     sync.Mutex
	limits clientLimits
	known  map[netip.Addr]*client
	others *client // all that there is no room for
	// Idle ones are looked for when so many are known, and not before that time:
	// many who come at once must not make each of them look.
	sweepAt    int
	sweepAfter time.Time
}

// clientLimits are the settings that bound a client.
type clientLimits struct {
	perSecond, burst, blocked int // 0 bounds nothing
	loopback                  bool
}

func (c *Config) clientLimits() clientLimits {
	return clientLimits{c.MaxRequestsPerClient, c.MaxRequestsBurst, c.MaxBlockedPerClient, c.LimitLoopback}
}

// client is one client. blocked is under clients.mu.
type client struct {
	requests *rate.Limiter
	blocked  int
}

func (l clientLimits) rate() rate.Limit {
	if l.perSecond == 0 {
		return rate.Inf
	}
	return rate.Limit(l.perSecond)
}

// set changes the limits, for those who are here as well.
func (c *clients) set(l clientLimits) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limits = l
	if c.known == nil {
		c.known, c.others, c.sweepAt = map[netip.Addr]*client{}, c.newLocked(), sweepFrom
	}
	for _, who := range c.known {
		who.requests.SetLimit(l.rate())
		who.requests.SetBurst(l.burst)
	}
	c.others.requests.SetLimit(l.rate())
	c.others.requests.SetBurst(l.burst)
}

func (c *clients) newLocked() *client {
	return &client{requests: rate.NewLimiter(c.limits.rate(), c.limits.burst)}
}

// admit reports whether a client may ask something now, and otherwise when it may.
func (c *clients) admit(addr netip.Addr, now time.Time) (wait time.Duration) {
	c.mu.Lock()
	if c.limits.perSecond == 0 {
		c.mu.Unlock()
		return 0
	}
	requests := c.ofLocked(addr, now).requests
	c.mu.Unlock()
	r := requests.ReserveN(now, 1)
	if wait = r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

// block counts a query of a client's that may wait until leave is called, or reports
// that too many of its queries do already.
func (c *clients) block(addr netip.Addr, now time.Time) (leave func(), ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.limits.blocked == 0 {
		return func() {}, true
	}
	who := c.ofLocked(addr, now)
	if who.blocked >= c.limits.blocked {
		return nil, false
	}
	who.blocked++
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		who.blocked--
	}, true
}

func (c *clients) ofLocked(addr netip.Addr, now time.Time) *client {
	who := c.known[addr]
	if who != nil {
		return who
	}
	if len(c.known) >= c.sweepAt && now.After(c.sweepAfter) {
		c.sweepLocked(now)
	}
	if len(c.known) >= maxClients {
		return c.others
	}
	who = c.newLocked()
	c.known[addr] = who
	return who
}

// sweepLocked forgets the clients that would be treated no differently if they came
// for the first time.
func (c *clients) sweepLocked(now time.Time) {
	for addr, who := range c.known {
		if who.blocked == 0 && who.requests.TokensAt(now) >= float64(who.requests.Burst()) {
			delete(c.known, addr)
		}
	}
	c.sweepAfter = now.Add(time.Second)
	c.sweepAt = min(max(sweepFrom, 2*len(c.known)), maxClients)
}

// clientOf is whom a request counts for. limited is false for those who are not
// bounded: unless the settings say otherwise the machine's own processes, and what is
// no network.
func (s *surface) clientOf(q *request) (addr netip.Addr, limited bool) {
	from, err := netip.ParseAddrPort(q.r.RemoteAddr)
	if err != nil {
		return addr, false
	}
	addr = from.Addr().Unmap().WithZone("")
	if addr.IsLoopback() && !s.live().LimitLoopback {
		return addr, false
	}
	if addr.Is6() {
		if network, err := addr.Prefix(64); err == nil {
			addr = network.Addr()
		}
	}
	return addr, true
}

// throttle refuses a request of a client that asks too much. Probes are not counted:
// what they find out is whether the process works.
func (s *surface) throttle(q *request, r *route, now time.Time) error {
	if r.probe {
		return nil
	}
	addr, limited := s.clientOf(q)
	if !limited {
		return nil
	}
	wait := s.clients.admit(addr, now)
	if wait <= 0 {
		return nil
	}
	seconds := strconv.Itoa(int(math.Ceil(wait.Seconds())))
	q.header()["Retry-After"] = []string{seconds}
	s.metrics.refuse("max_requests_per_client")
	return refusef(http.StatusTooManyRequests, "%v asks more than %d requests a second, which is what the HTTP door's setting max_requests_per_client allows a client; ask again in %s s, and wait for changes with ?index= rather than asking all the time.",
		addr, s.live().MaxRequestsPerClient, seconds)
}
