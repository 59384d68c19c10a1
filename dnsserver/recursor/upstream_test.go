package recursor

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync"
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

// TestDeadRecursor: one that does not answer costs its timeout a few times, and then nothing until it is back.
func TestDeadRecursor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a, b patient
		var said bytes.Buffer
		c := config(first, second)
		c.Log = slog.New(slog.NewTextHandler(&said, nil))
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
		if n := strings.Count(said.String(), "\n"); n != 2 || !strings.Contains(said.String(), "does not answer") || !strings.Contains(said.String(), "answers again") {
			t.Errorf("%d lines are logged: %s", n, &said)
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

// TestEveryRecursorIsInTheOrder: whatever came of tries before, each recursor is asked once, those that are not dead first,
// and a probe goes to none that is not.
func TestEveryRecursorIsInTheOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 5).Draw(rt, "recursors")
		c := Config{Order: rapid.SampledFrom([]string{Sequential, Random}).Draw(rt, "order"), Timeout: time.Second, Concurrency: 1, UDPMaxSize: 512}
		for i := range n {
			c.Servers = append(c.Servers, fmt.Sprintf("192.0.2.%d", i+1))
		}
		f, err := New(c)
		if err != nil {
			rt.Fatal(err)
		}
		defer f.Close()
		model := make([]int, n)
		for range rapid.IntRange(0, 40).Draw(rt, "tries") {
			i := rapid.IntRange(0, n-1).Draw(rt, "recursor")
			if rapid.Bool().Draw(rt, "answers") {
				f.report(f.servers[i], nil)
				model[i] = 0
			} else {
				f.report(f.servers[i], timeoutError{time.Second})
				model[i]++
			}
			asked, probed := f.order()
			seen := map[*upstream]bool{}
			dead := false
			for _, u := range asked {
				if seen[u] {
					rt.Fatalf("%v twice", u.address)
				}
				seen[u] = true
				if dead && !u.dead() {
					rt.Fatalf("%v after a dead one", u.address)
				}
				dead = u.dead()
			}
			if len(asked) != n {
				rt.Fatalf("%d of %d are asked", len(asked), n)
			}
			for _, u := range probed {
				if !u.dead() {
					rt.Fatalf("%v is probed", u.address)
				}
			}
			for i, u := range f.servers {
				if u.dead() != (model[i] >= patience) {
					rt.Fatalf("%v is dead: %v, after %d failures", u.address, u.dead(), model[i])
				}
			}
		}
	})
}

// TestRecursorWithoutEDNS: it is asked again without, and for a while so at once.
func TestRecursorWithoutEDNS(t *testing.T) {
	for _, rcode := range []int{dns.RcodeFormatError, dns.RcodeNotImplemented} {
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
						return says(t, rcode)(network, query)
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
