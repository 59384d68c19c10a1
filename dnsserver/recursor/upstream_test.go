package recursor

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
	"pgregory.net/rapid"
)

// patient is a recursor that can be told to be silent, and counts what it is asked.
type patient struct {
	mu     sync.Mutex
	silent bool
	asked  int
}

func (p *patient) set(silent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = silent
}

func (p *patient) took() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.asked
	p.asked = 0
	return n
}

func (p *patient) answer(t testing.TB) func(string, []byte) []byte {
	return func(network string, query []byte) []byte {
		p.mu.Lock()
		p.asked++
		silent := p.silent
		p.mu.Unlock()
		if silent {
			return nil
		}
		return says(t, dns.RcodeSuccess, "a.example. 60 IN A 192.0.2.7")(network, query)
	}
}

// count is a counter.
type count struct{ atomic.Int64 }

func (c *count) Inc() { c.Add(1) }

// TestDeadRecursor: one that does not answer costs its timeout a few times, and then nothing until it is back.
func TestDeadRecursor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a, b patient
		var said bytes.Buffer
		c := config(first, second)
		c.Log = slog.New(slog.NewTextHandler(&said, nil))
		var counts [2]count
		c.Failures = func(server netip.AddrPort) interface{ Inc() } {
			return &counts[slices.Index(c.Servers, server.String())]
		}
		f := bubble(t, c, map[string]func(string, []byte) []byte{first: a.answer(t), second: b.answer(t)})
		questions := 0
		ask := func() time.Duration {
			t.Helper()
			questions++
			start := time.Now()
			if _, err := f.Forward(t.Context(), pack(t, queryFor(fmt.Sprintf("n%d.example.", questions), dns.TypeA)), false); err != nil {
				t.Error(err)
			}
			return time.Since(start)
		}
		if took := ask(); took != 0 || a.took() != 1 || b.took() != 0 {
			t.Errorf("the first recursor answers: took %v", took)
		}
		a.set(true)
		for range patience {
			if took := ask(); took != f.timeout {
				t.Errorf("a try that nothing comes of took %v", took)
			}
		}
		if n := counts[0].Load(); n != patience || counts[1].Load() != 0 || f.Dead() != 1 {
			t.Errorf("%d failures are counted, and %d of the other; %d dead", n, counts[1].Load(), f.Dead())
		}
		a.took()
		b.took()
		for range 100 {
			if took := ask(); took != 0 {
				t.Fatalf("a dead recursor costs %v", took)
			}
		}
		if a.took() != 0 || b.took() != 100 {
			t.Error("a dead recursor is asked before its rest is over")
		}
		// For ten minutes it is asked now and then, and nobody waits for it.
		for range 600 {
			if took := ask(); took != 0 {
				t.Fatalf("a dead recursor costs %v", took)
			}
			time.Sleep(time.Second)
		}
		if n := a.took(); n < 600/30 || n > 600/30+10 {
			t.Errorf("a dead recursor was asked %d times in ten minutes", n)
		}
		a.set(false)
		time.Sleep(longestRest)
		ask()
		synctest.Wait()
		b.took()
		if took := ask(); took != 0 || b.took() != 0 {
			t.Error("one that is back is not asked first")
		}
		if f.Dead() != 0 {
			t.Errorf("%d dead", f.Dead())
		}
		if n := strings.Count(said.String(), "\n"); n != 2 || !strings.Contains(said.String(), "does not answer") || !strings.Contains(said.String(), "answers again") {
			t.Errorf("%d lines are logged: %s", n, &said)
		}
	})
}

// TestManyFailuresAtOnce: how many questions were waiting when a recursor fell silent says nothing of how long it will be.
func TestManyFailuresAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a, b patient
		f := bubble(t, config(first, second), map[string]func(string, []byte) []byte{first: a.answer(t), second: b.answer(t)})
		questions := 0
		ask := func() {
			questions++
			query := pack(t, queryFor(fmt.Sprintf("n%d.example.", questions), dns.TypeA))
			go func() {
				if _, err := f.Forward(t.Context(), query, false); err != nil {
					t.Error(err)
				}
			}()
			synctest.Wait()
		}
		isFirst := func() bool {
			a.took()
			b.took()
			ask()
			return a.took() == 1 && b.took() == 0
		}

		// It answers another question while these wait: what was lost was lost before.
		a.set(true)
		for range 100 {
			ask()
		}
		time.Sleep(f.timeout / 2)
		a.set(false)
		ask()
		time.Sleep(f.timeout)
		synctest.Wait()
		if !isFirst() {
			t.Error("a recursor is taken for dead because of what was asked before it last answered")
		}

		a.set(true)
		time.Sleep(time.Second)
		for range 100 {
			ask()
		}
		time.Sleep(f.timeout)
		synctest.Wait()
		if isFirst() {
			t.Error("a recursor is asked first that left a hundred questions unanswered")
		}
		a.set(false)
		time.Sleep(firstRest)
		ask() // and with it, whether the first is back
		if !isFirst() {
			t.Error("a recursor that is back is not asked first")
		}
	})
}

// TestOneProbe: while it is asked whether it is back it is not asked that again, however long that takes.
func TestOneProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a, b patient
		a.set(true)
		c := config(first, second)
		c.Timeout = maxTimeout
		f := bubble(t, c, map[string]func(string, []byte) []byte{first: a.answer(t), second: b.answer(t)})
		for i := range patience {
			go f.Forward(t.Context(), pack(t, queryFor(fmt.Sprintf("n%d.example.", i), dns.TypeA)), false)
		}
		time.Sleep(maxTimeout + firstRest)
		a.took()
		for i := range 50 {
			if _, err := f.Forward(t.Context(), pack(t, queryFor(fmt.Sprintf("m%d.example.", i), dns.TypeA)), false); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Second)
		}
		if n := a.took(); n != 1 {
			t.Errorf("a dead recursor was asked %d times within one timeout", n)
		}
	})
}

// TestAllDead: then each is asked, in the order that is set.
func TestAllDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a, b patient
		a.set(true)
		b.set(true)
		f := bubble(t, config(first, second), map[string]func(string, []byte) []byte{first: a.answer(t), second: b.answer(t)})
		for i := range 10 {
			if _, err := f.Forward(t.Context(), pack(t, queryFor(fmt.Sprintf("n%d.example.", i), dns.TypeA)), false); err == nil {
				t.Error("answered")
			}
		}
		if a.took() != 10 || b.took() != 10 {
			t.Error("not all were asked")
		}
		b.set(false)
		if _, err := f.Forward(t.Context(), pack(t, queryFor("a.example.", dns.TypeA)), false); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		a.took()
		b.took()
		start := time.Now()
		if _, err := f.Forward(t.Context(), pack(t, queryFor("b.example.", dns.TypeA)), false); err != nil || time.Since(start) != 0 || b.took() != 1 {
			t.Errorf("the one that is back: %v after %v", err, time.Since(start))
		}
	})
}

// happening is what happens to one of the recursors, after a while.
type happening struct {
	after    time.Duration
	recursor int
	what     string
	began    time.Duration // how long before the end of a try it began
}

func anyHappening(rt *rapid.T) happening {
	const half = time.Second / 2
	return happening{
		after:    half * time.Duration(rapid.SampledFrom([]int{0, 1, 2, 4, 8, 20, 60}).Draw(rt, "after")),
		recursor: rapid.IntRange(0, 4).Draw(rt, "recursor"),
		what:     rapid.SampledFrom([]string{"answer", "failure", "failure", "failure", "probe fails"}).Draw(rt, "what"),
		began:    half * time.Duration(rapid.IntRange(0, 4).Draw(rt, "began")),
	}
}

// TestEveryRecursorIsInTheOrder: whatever came of tries before, each recursor is asked once, those that are not dead first;
// a probe goes to none that is not, to one only once at a time, and not before its rest is over.
func TestEveryRecursorIsInTheOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 5).Draw(rt, "recursors")
		order := rapid.SampledFrom([]string{Sequential, Random}).Draw(rt, "order")
		happenings := rapid.SliceOfN(rapid.Custom(anyHappening), 0, 80).Draw(rt, "happenings")
		var err error
		synctest.Test(t, func(t *testing.T) { err = ordered(t, n, order, happenings) })
		if err != nil {
			rt.Fatal(err)
		}
	})
}

// modelled is what there must be of a recursor.
type modelled struct {
	failures int
	answered time.Time
	probing  bool
	rest     time.Duration
	rested   time.Time
}

func (m *modelled) dead() bool { return m.failures >= 3 }

func (m *modelled) fails(began, now time.Time) {
	if began.Before(m.answered) {
		return
	}
	if m.failures++; m.failures == 3 {
		m.rest, m.rested = time.Second, now.Add(time.Second)
	}
}

func ordered(t *testing.T, n int, order string, happenings []happening) error {
	var servers []string
	for i := range n {
		servers = append(servers, fmt.Sprintf("192.0.2.%d", i+1))
	}
	c := config(servers...)
	c.Order = order
	f := bubble(t, c, nil)
	model := make([]modelled, n)
	for _, h := range happenings {
		time.Sleep(h.after)
		now := time.Now()
		u, is := f.servers[h.recursor%n], &model[h.recursor%n]
		switch {
		case h.what == "answer":
			f.report(u, now, nil)
			is.failures, is.answered = 0, now
		case h.what == "failure":
			f.report(u, now.Add(-h.began), timeoutError{h.began})
			is.fails(now.Add(-h.began), now)
		case is.probing:
			f.probe(u, &question{}) // which cannot be sent
			is.fails(now, now)
			if is.probing = false; is.dead() {
				is.rest = min(2*is.rest, 30*time.Second)
				is.rested = now.Add(is.rest)
			}
		}
		asked, probed := f.order()
		if err := sound(asked, f.servers); err != nil {
			return err
		}
		for i, u := range f.servers {
			is := &model[i]
			if u.dead() != is.dead() {
				return fmt.Errorf("%v is dead: %v, after %d failures", u.address, u.dead(), is.failures)
			}
			probe := !asked[0].dead() && is.dead() && !is.probing && !now.Before(is.rested)
			if slices.Contains(probed, u) != probe {
				return fmt.Errorf("%v is probed: %v, want %v", u.address, !probe, probe)
			}
			is.probing = is.probing || probe
		}
	}
	return nil
}

// sound says what is wrong with an order of recursors.
func sound(asked, all []*upstream) error {
	seen := map[*upstream]bool{}
	for i, u := range asked {
		if seen[u] {
			return fmt.Errorf("%v twice", u.address)
		}
		seen[u] = true
		if i > 0 && asked[i-1].dead() && !u.dead() {
			return fmt.Errorf("%v after a dead one", u.address)
		}
	}
	if len(asked) != len(all) {
		return fmt.Errorf("%d of %d are asked", len(asked), len(all))
	}
	return nil
}

// TestRecursorWithoutEDNS: it is asked again without, and for a while so at once.
func TestRecursorWithoutEDNS(t *testing.T) {
	headerOnly := func(rcode int) func(string, []byte) []byte {
		return func(_ string, query []byte) []byte {
			return pack(t, &dns.Msg{MsgHdr: dns.MsgHdr{Id: unpack(t, query).Id, Response: true, Rcode: rcode}})
		}
	}
	for _, refuses := range []func(string, []byte) []byte{
		says(t, dns.RcodeFormatError), says(t, dns.RcodeNotImplemented), headerOnly(dns.RcodeFormatError), headerOnly(dns.RcodeNotImplemented),
	} {
		for _, stream := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				var extended, plain int
				var mu sync.Mutex
				f := bubble(t, config(first), map[string]func(string, []byte) []byte{first: func(network string, query []byte) []byte {
					mu.Lock()
					defer mu.Unlock()
					m := unpack(t, query)
					if m.IsEdns0() != nil {
						extended++
						return refuses(network, query)
					}
					if plain++; query[10]|query[11] != 0 {
						t.Errorf("%x says that it has additional records", query)
					}
					return says(t, dns.RcodeSuccess, "a.example. 60 IN A 192.0.2.7")(network, query)
				}})
				ask := func(name string) {
					t.Helper()
					m := queryFor(name, dns.TypeA)
					m.SetEdns0(1232, true)
					b, err := f.Forward(t.Context(), pack(t, m), stream)
					if err != nil {
						t.Fatal(err)
					}
					if a := unpack(t, b); a.Rcode != dns.RcodeSuccess || len(a.Answer) != 1 || a.IsEdns0() == nil || a.Id != m.Id {
						t.Errorf("%v", a)
					}
				}
				ask("a.example.")
				ask("b.example.")
				if extended != 1 || plain != 2 {
					t.Errorf("asked %d times with EDNS and %d without", extended, plain)
				}
				time.Sleep(plainFor)
				ask("c.example.")
				if extended != 2 || plain != 3 {
					t.Errorf("later: asked %d times with EDNS and %d without", extended, plain)
				}
			})
		}
	}
	// One to whom the question itself is malformed says so both times, and is believed.
	synctest.Test(t, func(t *testing.T) {
		f := bubble(t, config(first), map[string]func(string, []byte) []byte{first: says(t, dns.RcodeFormatError)})
		m := queryFor("a.example.", dns.TypeA)
		m.SetEdns0(1232, true)
		if _, err := f.Forward(t.Context(), pack(t, m), false); err == nil || f.plainly(f.servers[0]) {
			t.Errorf("%v", err)
		}
	})
}
