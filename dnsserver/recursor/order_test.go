package recursor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

const (
	first, second, third = "192.0.2.1:53", "192.0.2.2:53", "192.0.2.3:53"
	// maxTimeout is longer than anything in a test takes.
	maxTimeout = time.Minute
)

// Recursors are asked one after the other until one has an answer.
func TestFailover(t *testing.T) {
	good := func(t testing.TB) func(string, []byte) []byte {
		return says(t, dns.RcodeSuccess, "a.example. 60 IN A 192.0.2.7")
	}
	malformed := func(_ string, query []byte) []byte {
		query[2] |= 0x80 // an answer …
		query[7]++       // … of a record that is not there
		return query
	}
	noQuestion := func(t testing.TB) func(string, []byte) []byte {
		return func(_ string, query []byte) []byte {
			m := reply(t, unpack(t, query))
			m.Question, m.Rcode = nil, dns.RcodeServerFailure
			return pack(t, m)
		}
	}
	extended := func(t testing.TB) func(string, []byte) []byte {
		return func(_ string, query []byte) []byte {
			m := reply(t, unpack(t, query))
			m.SetEdns0(1232, false)
			m.Rcode = dns.RcodeBadVers
			return pack(t, m)
		}
	}
	type servers map[string]func(string, []byte) []byte
	for _, c := range []struct {
		name    string
		servers func(t testing.TB) servers
		took    time.Duration
		rcode   int
		code    uint16 // of the extended error, if there is no answer
		err     string
	}{
		{"the first", func(t testing.TB) servers { return servers{first: good(t)} }, 0, dns.RcodeSuccess, 0, ""},
		{"no such name", func(t testing.TB) servers { return servers{first: says(t, dns.RcodeNameError), second: good(t)} }, 0, dns.RcodeNameError, 0, ""},
		{"unreachable", func(t testing.TB) servers { return servers{second: good(t)} }, 0, dns.RcodeSuccess, 0, ""},
		{"silent", func(t testing.TB) servers { return servers{first: silent, second: good(t)} }, 2 * time.Second, dns.RcodeSuccess, 0, ""},
		{"two silent", func(t testing.TB) servers { return servers{first: silent, second: silent, third: good(t)} }, 4 * time.Second, dns.RcodeSuccess, 0, ""},
		{"server failure", func(t testing.TB) servers {
			return servers{first: says(t, dns.RcodeServerFailure), second: good(t)}
		}, 0, dns.RcodeSuccess, 0, ""},
		{"refused", func(t testing.TB) servers { return servers{first: says(t, dns.RcodeRefused), second: good(t)} }, 0, dns.RcodeSuccess, 0, ""},
		{"malformed", func(t testing.TB) servers { return servers{first: malformed, second: good(t)} }, 0, dns.RcodeSuccess, 0, ""},
		{"failure without a question", func(t testing.TB) servers { return servers{first: noQuestion(t), second: good(t)} }, 0, dns.RcodeSuccess, 0, ""},
		{"extended code", func(t testing.TB) servers { return servers{first: extended(t), second: good(t)} }, 0, dns.RcodeSuccess, 0, ""},
		{"a failure is passed on", func(t testing.TB) servers {
			return servers{first: silent, second: says(t, dns.RcodeServerFailure)}
		}, 2 * time.Second, dns.RcodeServerFailure, 0, ""},
		{"all silent", func(t testing.TB) servers { return servers{first: silent, second: silent, third: silent} }, 6 * time.Second, 0, codeNoReachable,
			"no recursor answered: 192.0.2.1:53: no answer within 2s; 192.0.2.2:53: no answer within 2s; 192.0.2.3:53: no answer within 2s"},
		{"all refuse", func(t testing.TB) servers {
			return servers{first: says(t, dns.RcodeRefused), second: says(t, dns.RcodeRefused), third: says(t, dns.RcodeRefused)}
		}, 0, 0, codeNoReachable, "192.0.2.1:53: rcode 5;"},
		{"all unreachable", func(t testing.TB) servers { return nil }, 0, 0, codeNetworkError, "192.0.2.1:53: dial udp: "},
		{"failure without a question is not passed on", func(t testing.TB) servers { return servers{first: noQuestion(t)} }, 0, 0, codeNoReachable, "192.0.2.1:53: rcode 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := bubble(t, config(first, second, third), c.servers(t))
				start := time.Now()
				b, err := f.Forward(t.Context(), pack(t, queryFor("a.example.", dns.TypeA)), false)
				if took := time.Since(start); took != c.took {
					t.Errorf("took %v, want %v", took, c.took)
				}
				if c.err != "" {
					if code, _ := ExtendedError(err); err == nil || !strings.Contains(err.Error(), c.err) || code != c.code {
						t.Errorf("%v, code %d; want %q, %d", err, code, c.err, c.code)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if a := unpack(t, b); a.Rcode != c.rcode || !a.RecursionAvailable || len(a.Question) != 1 {
					t.Errorf("%v", a)
				}
			})
		})
	}
}

// The time of a try is for both networks together.
func TestTimeoutOverTCP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := bubble(t, config(first), map[string]func(string, []byte) []byte{first: func(network string, query []byte) []byte {
			if network == "tcp" {
				return nil
			}
			time.Sleep(1500 * time.Millisecond)
			m := reply(t, unpack(t, query))
			m.Truncated = true
			return pack(t, m)
		}})
		start := time.Now()
		_, err := f.Forward(t.Context(), pack(t, queryFor("a.example.", dns.TypeA)), true)
		if took := time.Since(start); err == nil || took != 2*time.Second {
			t.Errorf("%v after %v", err, took)
		}
	})
}

func TestRandomOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := config(first, second, third)
		c.Order = Random
		f := bubble(t, c, nil)
		orders := map[string]int{}
		for i := range 600 {
			var unanswered *Unanswered
			_, err := f.Forward(t.Context(), pack(t, queryFor(fmt.Sprintf("n%d.example.", i), dns.TypeA)), false)
			if !errors.As(err, &unanswered) || len(unanswered.Tries) != 3 {
				t.Fatal(err)
			}
			var order strings.Builder
			for _, try := range unanswered.Tries {
				server, _, _ := strings.Cut(try.Error(), ": ")
				order.WriteString(server + " ")
			}
			orders[order.String()]++
		}
		// Of 100 expected, fewer than 40 come once in 10^10 runs.
		for order, n := range orders {
			if n < 40 {
				t.Errorf("%s %d times", order, n)
			}
		}
		if len(orders) != 6 {
			t.Errorf("%d orders: %v", len(orders), orders)
		}
	})
}

// Who asks what is being asked already waits for the same answer, under the id of their own.
func TestSameQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var packets atomic.Int32
		f := bubble(t, config(first), map[string]func(string, []byte) []byte{first: func(network string, query []byte) []byte {
			packets.Add(1)
			time.Sleep(time.Second)
			return says(t, dns.RcodeSuccess, "a.example. 60 IN A 192.0.2.7")(network, query)
		}})
		for range 10 {
			go func() {
				q := queryFor("a.example.", dns.TypeA)
				b, err := f.Forward(t.Context(), pack(t, q), false)
				if err != nil {
					t.Error(err)
				} else if a := unpack(t, b); a.Id != q.Id || len(a.Answer) != 1 {
					t.Errorf("%v", a)
				}
			}()
		}
		go f.Forward(t.Context(), pack(t, queryFor("A.example.", dns.TypeA)), false)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := packets.Load(); got != 2 {
			t.Errorf("%d packets, want one for each spelling", got)
		}
	})
}

// A recursor that is this server itself is sent one packet, and the question is
// given up when its time is over.
func TestLoop(t *testing.T) {
	for _, servers := range []int{1, 2} {
		for _, stream := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d servers, stream %v", servers, stream), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var packets atomic.Int32
					var all [2]*Forwarder
					for i := range servers {
						all[i] = bubble(t, config(first), map[string]func(string, []byte) []byte{first: func(_ string, query []byte) []byte {
							packets.Add(1)
							b, _ := all[(i+1)%servers].Forward(t.Context(), query, false)
							return b
						}})
					}
					q := queryFor("a.example.", dns.TypeA)
					q.SetEdns0(4096, false)
					q.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0011223344556677"}}
					start := time.Now()
					_, err := all[0].Forward(t.Context(), pack(t, q), stream)
					if took := time.Since(start); err == nil || took != 2*time.Second {
						t.Errorf("%v after %v", err, took)
					}
					time.Sleep(time.Minute)
					synctest.Wait()
					// What comes over TCP is another question than the same over UDP.
					if most := int32(servers + 1); packets.Load() > most {
						t.Errorf("%d packets, want %d at most", packets.Load(), most)
					}
				})
			})
		}
	}
}

func TestConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := config(first)
		c.Concurrency = 2
		f := bubble(t, c, map[string]func(string, []byte) []byte{first: silent})
		forward := func(ctx context.Context, name string) error {
			_, err := f.Forward(ctx, pack(t, queryFor(name, dns.TypeA)), false)
			return err
		}
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error)
		go func() { left <- forward(ctx, "a.example.") }()
		go forward(t.Context(), "b.example.")
		synctest.Wait()
		start := time.Now()
		for _, name := range []string{"a.example.", "c.example."} {
			err := forward(t.Context(), name)
			if code, text := ExtendedError(err); !errors.Is(err, ErrBusy) || code != codeOther || text == "" || time.Since(start) != 0 {
				t.Errorf("%s: %v after %v", name, err, time.Since(start))
			}
		}
		// Who gives up makes room for who asks, but not for another question until
		// the time of the first is over.
		cancel()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if err := forward(t.Context(), "c.example."); !errors.Is(err, ErrBusy) {
			t.Errorf("a third question: %v", err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if err := forward(t.Context(), "c.example."); errors.Is(err, ErrBusy) {
			t.Errorf("afterwards: %v", err)
		}
	})
}

func TestClose(t *testing.T) {
	address := server(t, func(string, *dns.Msg, net.Addr, func([]byte)) {})
	c := config(address)
	c.Timeout = maxTimeout
	f := forwarder(t, c)
	errs := make(chan error)
	for i := range 10 {
		go func() {
			_, err := f.Forward(context.Background(), pack(t, queryFor(fmt.Sprintf("n%d.example.", i), dns.TypeA)), i%2 == 0)
			errs <- err
		}()
	}
	f.Close()
	for range 10 {
		if err := <-errs; !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	}
	_, err := f.Forward(context.Background(), pack(t, queryFor("a.example.", dns.TypeA)), false)
	if code, _ := ExtendedError(err); !errors.Is(err, ErrClosed) || code != codeNotReady {
		t.Errorf("afterwards: %v, %d", err, code)
	}
	f.Close()
}

// A recursor's address where nobody listens is known at once.
func TestNobodyListens(t *testing.T) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := conn.LocalAddr().String()
	conn.Close()
	c := config(address)
	c.Timeout = maxTimeout
	_, err = forwarder(t, c).Forward(t.Context(), pack(t, queryFor("a.example.", dns.TypeA)), false)
	if code, text := ExtendedError(err); err == nil || code != codeNetworkError || text != "no recursor reachable" {
		t.Errorf("%v: %d %q", err, code, text)
	}
}
