package agent

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"herald/registry"
)

func TestTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := newFake()
		a := newAgent(t, config(), up, nil) // ttl needs no kind
		start(t, a)
		d := ttlDef("c", "")
		d.TTL = 10 * time.Second
		register(t, a, offer("web", d))
		report := func(s registry.HealthStatus, output string) {
			t.Helper()
			if err := a.UpdateTTL(t.Context(), "c", s, output); err != nil {
				t.Fatal(err)
			}
		}
		is := func(what string, status registry.HealthStatus, output string) {
			t.Helper()
			local := a.Checks()[0].Check
			there, _ := up.check("c")
			if local.Status != status || there.Status != status || !strings.HasPrefix(local.Output, output) {
				t.Errorf("%s: %s here with %q, %s there; want %s with %q", what, local.Status, local.Output, there.Status, status, output)
			}
		}
		pass(time.Millisecond)
		is("before any report", registry.Critical, "")
		report(registry.Passing, "fine")
		pass(time.Millisecond)
		is("reported", registry.Passing, "fine")
		up.take()
		for range 20 { // every 9 s, the same
			pass(9 * time.Second)
			report(registry.Passing, "fine")
		}
		is("reported in time again and again", registry.Passing, "fine")
		for _, c := range up.take("advertise") {
			if c.wrote > 0 {
				t.Errorf("an unchanged report wrote %d records", c.wrote)
			}
		}
		pass(9999 * time.Millisecond)
		is("just before it expires", registry.Passing, "fine")
		pass(2 * time.Millisecond)
		is("expired", registry.Critical, "TTL expired: no report for 10s; the last one said: fine")
		pass(time.Minute)
		is("long expired", registry.Critical, "TTL expired: no report for 10s; the last one said: fine")
		report(registry.Warning, "slow")
		pass(time.Millisecond)
		is("back", registry.Warning, "slow")
		report(registry.Critical, strings.Repeat("x", 10000))
		pass(time.Millisecond)
		is("critical by report", registry.Critical, "xxx")
		if n := len(a.Checks()[0].Check.Output); n != 4096 {
			t.Errorf("output has %d bytes", n)
		}
	})
}

func TestTTLWithoutAnyReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent(t, config(), newFake(), nil)
		start(t, a)
		register(t, a, offer("web", ttlDef("c", registry.Passing)))
		pass(59 * time.Second)
		if c := a.Checks()[0].Check; c.Status != registry.Passing {
			t.Errorf("within the TTL it is %s", c.Status)
		}
		pass(2 * time.Second)
		if c := a.Checks()[0].Check; c.Status != registry.Critical || c.Output != "TTL expired: no report for 1m0s" {
			t.Errorf("after the TTL it is %s %q", c.Status, c.Output)
		}
	})
}

// TestExpiryAfterAStandstill sets the clock: a process that stood still could not take
// reports, and gives the time back.
func TestExpiryAfterAStandstill(t *testing.T) {
	const ttl = 10 * time.Second
	base := time.Now()
	tests := []struct {
		late    time.Duration // of the timer
		expired bool
		again   time.Duration // the next deadline, from when the timer fired
	}{
		{-time.Second, false, time.Second}, // a report moved it
		{0, true, ttl},
		{stallSlack, true, ttl},
		{2 * time.Second, false, 2 * time.Second},
		{time.Hour, false, ttl},
	}
	for _, tt := range tests {
		a := newAgent(t, config(), newFake(), nil)
		r := &run{status: registry.Passing, deadline: base}
		now := base.Add(tt.late)
		a.expireTTL(&registry.CheckDefinition{ID: "c", TTL: ttl}, r, now)
		if got := r.status == registry.Critical; got != tt.expired {
			t.Errorf("%v late: expired %v, want %v", tt.late, got, tt.expired)
		}
		if got := r.deadline.Sub(now); got != tt.again {
			t.Errorf("%v late: next deadline in %v, want %v", tt.late, got, tt.again)
		}
	}
}

func TestReap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up, script := newFake(), newScripted()
		script.say("x", registry.Critical, "")
		script.say("y", registry.Critical, "")
		script.say("z", registry.Warning, "")
		a := newAgent(t, config(), up, script.kinds())
		start(t, a)
		for _, s := range []string{"x", "y", "z"} {
			d := scriptedDef(s, s)
			d.DeregisterAfter = 2 * time.Minute
			register(t, a, offer(s, d))
		}
		pass(90 * time.Second)
		script.say("y", registry.Passing, "") // its time starts over
		pass(5 * time.Second)
		script.say("y", registry.Critical, "")
		pass(20 * time.Second)
		if got := up.has(); got != "check x critical, check y critical, check z warning, service x, service y, service z" {
			t.Errorf("before its time: %q", got)
		}
		pass(reapEvery + 10*time.Second)
		if got := up.has(); got != "check y critical, check z warning, service y, service z" {
			t.Errorf("after two minutes: %q", got)
		}
		pass(2 * time.Minute)
		if got := up.has(); got != "check z warning, service z" {
			t.Errorf("in the end: %q", got)
		}
	})
}
