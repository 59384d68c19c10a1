package limit

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const second = int64(time.Second)

func limiter(t testing.TB, c Config) *Limiter {
	t.Helper()
	l, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// ask asks n times and returns what came of it, a letter for each query.
func ask(l *Limiter, addr netip.Addr, now int64, n int) string {
	var out strings.Builder
	for range n {
		out.WriteByte(l.Check(addr, now).String()[0])
	}
	return out.String()
}

func TestVerdicts(t *testing.T) {
	for _, slip := range []struct {
		n    int
		want string // of seven queries over the rate
	}{{0, "ddddddd"}, {1, "sssssss"}, {2, "dsdsdsd"}, {3, "ddsddsd"}} {
		l := limiter(t, Config{Rate: 10, Burst: 3, Slip: slip.n, Clients: 64})
		client := netip.MustParseAddr("192.0.2.1")
		for _, step := range []struct {
			now  int64
			want string
		}{
			{5 * second, "aaa" + slip.want},
			{5*second + second/10 - 1, "d"},
			{5*second + second/10, "a"},
			{5*second + 3*second/10, "aa"},
			{60 * second, "aaa"}, // no more than the burst, after however long a pause
		} {
			got := ask(l, client, step.now, len(step.want))
			if step.want == "d" {
				got = strings.ReplaceAll(got, "s", "d")
			}
			if got != step.want {
				t.Errorf("slip %d, at %v: %s, want %s", slip.n, time.Duration(step.now), got, step.want)
			}
		}
	}
}

func TestWhoIsOneClient(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"2001:db8:0:a00::1", "2001:db8:0:aff:ffff::9", true},
		{"2001:db8:0:a00::1", "2001:db8:0:b00::1", false},
		{"fe80::1%eth0", "fe80::2%eth1", true},
		{"0.0.0.2", "::", false},
		{"::", "0.0.0.0", false},
	} {
		l := limiter(t, Config{Rate: 1, Burst: 1, Clients: 64})
		if got := ask(l, netip.MustParseAddr(c.a), 0, 2); got != "ad" {
			t.Fatalf("%s: %s", c.a, got)
		}
		want := "a"
		if c.same {
			want = "d"
		}
		if got := ask(l, netip.MustParseAddr(c.b), 0, 1); got != want {
			t.Errorf("%s after %s: %s, want %s", c.b, c.a, got, want)
		}
	}
}

func TestWhoIsNotLimited(t *testing.T) {
	l := limiter(t, Config{Rate: 1, Burst: 1, Clients: 64})
	for _, a := range []string{"127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"} {
		if got := ask(l, netip.MustParseAddr(a), 0, 100); got != strings.Repeat("a", 100) {
			t.Errorf("%s: %s", a, got)
		}
	}
	if got := ask(l, netip.Addr{}, 0, 10); got != strings.Repeat("a", 10) {
		t.Errorf("no address: %s", got)
	}
	off := limiter(t, DefaultConfig())
	if got := ask(off, netip.MustParseAddr("192.0.2.1"), 0, 1000); got != strings.Repeat("a", 1000) {
		t.Error("limited without a rate")
	}
}

func TestClockSetBack(t *testing.T) {
	l := limiter(t, Config{Rate: 10, Burst: 5, Clients: 64})
	client := netip.MustParseAddr("192.0.2.1")
	if got := ask(l, client, 3600*second, 6); got != "aaaaad" {
		t.Fatal(got)
	}
	// Threads that have read the clock one after the other give nothing away …
	if got := ask(l, client, 3600*second-second/100, 1); got != "d" {
		t.Errorf("10 ms before: %s", got)
	}
	// … and an hour back nobody waits for an hour.
	if got := ask(l, client, 0, 6); got != "aaaaad" {
		t.Errorf("an hour before: %s", got)
	}
}

// While all clients have a place, each is answered exactly as the token bucket of
// the textbook has it, whatever the others do.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// The rates have whole nanoseconds between queries.
		c := Config{
			Rate:    rapid.SampledFrom([]int{1, 2, 10, 1000, 100_000, 1_000_000}).Draw(t, "rate"),
			Burst:   rapid.IntRange(1, 20).Draw(t, "burst"),
			Clients: 1 << 12,
		}
		l, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		interval := second / int64(c.Rate)
		type bucket struct{ tokens, at int64 } // tokens in ns of intervals
		model := map[byte]bucket{}
		now := rapid.Int64Range(0, 1<<60).Draw(t, "start")
		for range rapid.IntRange(1, 200).Draw(t, "queries") {
			now += rapid.Int64Range(0, 3*interval).Draw(t, "pause")
			who := rapid.ByteRange(1, 6).Draw(t, "client")
			b, known := model[who]
			if !known {
				b = bucket{int64(c.Burst) * interval, now}
			}
			b.tokens = min(int64(c.Burst)*interval, b.tokens+now-b.at)
			b.at = now
			want := Drop
			if b.tokens >= interval {
				b.tokens -= interval
				want = Answer
			}
			model[who] = b
			if got := l.Check(netip.AddrFrom4([4]byte{192, 0, 2, who}), now); got != want {
				t.Fatalf("client %d: %v, want %v", who, got, want)
			}
		}
	})
}

// A flood from a hundred thousand made-up addresses neither frees a client that is over its
// rate nor keeps a new one out, nor takes memory.
func TestFlood(t *testing.T) {
	l := limiter(t, Config{Rate: 10, Burst: 10, Clients: 1024})
	loud := netip.MustParseAddr("192.0.2.1")
	ask(l, loud, 0, 10)
	var made [16]byte
	made[0] = 0x20
	n := uint32(0)
	allocs := testing.AllocsPerRun(10, func() { // so that one of somebody else's is none on average
		for range 10_000 {
			n++
			binary.BigEndian.PutUint32(made[1:], n*2654435761)
			if l.Check(netip.AddrFrom16(made), 0) != Answer {
				t.Fatal("a client is not answered the first time")
			}
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
	if got := ask(l, loud, 0, 4); got != "dddd" {
		t.Errorf("the client over its rate: %s", got)
	}
}

// With room for as many, nearly all clients of a busy network have their places.
func TestRoom(t *testing.T) {
	const clients = 1 << 14
	l := limiter(t, Config{Rate: 1, Burst: 1, Clients: 2 * clients})
	of := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}) }
	for i := range clients {
		l.Check(of(i), 0)
	}
	forgotten := 0
	for i := range clients {
		if l.Check(of(i), 1) == Answer {
			forgotten++
		}
	}
	// Of sets of 8 with 4 clients each on average, those with more than 8 are 2 %.
	if forgotten > clients/50 {
		t.Errorf("%d of %d clients are forgotten", forgotten, clients)
	}
}

// Any number of threads together are answered what one would be.
func TestThreads(t *testing.T) {
	const threads, burst = 8, 1000
	l := limiter(t, Config{Rate: 1, Burst: burst, Slip: 2, Clients: 64})
	client := netip.MustParseAddr("192.0.2.1")
	l.Check(client, 0) // now it has a place
	var verdicts [Drop + 1]atomic.Int64
	var wg sync.WaitGroup
	for range threads {
		wg.Go(func() {
			for range burst {
				verdicts[l.Check(client, 0)].Add(1)
			}
		})
	}
	wg.Wait()
	const over = threads*burst - (burst - 1)
	answered, slipped, dropped := verdicts[Answer].Load(), verdicts[Slip].Load(), verdicts[Drop].Load()
	if answered != burst-1 || slipped != over/2 || dropped != over-over/2 {
		t.Errorf("%d answered, %d slipped, %d dropped", answered, slipped, dropped)
	}
}

// Threads that take each other's places lose count, and nothing else.
func TestThreadsReplacing(t *testing.T) {
	const threads = 4
	l := limiter(t, Config{Rate: 1000, Burst: 1, Clients: ways})
	var wg sync.WaitGroup
	var answered atomic.Int64
	for n := range threads {
		wg.Go(func() {
			for i := range 20_000 {
				if l.Check(netip.AddrFrom4([4]byte{10, 0, 0, byte(n*31 + i)}), int64(i)) == Answer {
					answered.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if answered.Load() == 0 {
		t.Error("nobody was answered")
	}
	if got := ask(l, netip.MustParseAddr("10.1.0.0"), second, 2); got != "ad" {
		t.Errorf("afterwards: %s", got)
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		change func(*Config)
		want   string
	}{
		{func(c *Config) { c.Rate = -1 }, "rate is from 0 to 1000000, not -1"},
		{func(c *Config) { c.Rate = mostRate + 1 }, "rate is from"},
		{func(c *Config) { c.Burst = 0 }, "burst is from 1"},
		{func(c *Config) { c.Slip = -1 }, "slip is from 0"},
		{func(c *Config) { c.Clients = 7 }, "clients is from 8"},
		{func(c *Config) { c.Clients = mostClients + 1 }, "clients is from"},
	} {
		config := DefaultConfig()
		c.change(&config)
		if _, err := New(config); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

func TestSize(t *testing.T) {
	for clients, want := range map[int]int{8: 1, 9: 2, 16: 2, 17: 4, 1 << 16: 1 << 13} {
		if l := limiter(t, Config{Rate: 1, Burst: 1, Clients: clients}); len(l.sets) != want {
			t.Errorf("%d clients: %d sets, want %d", clients, len(l.sets), want)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	var clients [1 << 14]netip.Addr
	for i := range clients {
		clients[i] = netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
	}
	for _, c := range []struct {
		name    string
		rate    int
		clients int
	}{
		{"off", 0, 1}, {"answer", mostRate, 1}, {"drop", 1, 1}, {"answer-clients", mostRate, len(clients)},
	} {
		config := DefaultConfig()
		config.Rate = c.rate
		b.Run(c.name, func(b *testing.B) {
			l := limiter(b, config)
			b.ReportAllocs()
			var now int64
			for b.Loop() {
				now += 1000
				l.Check(clients[int(now/1000)%c.clients], now)
			}
		})
		b.Run(c.name+"-parallel", func(b *testing.B) {
			l := limiter(b, config)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				var now int64
				for pb.Next() {
					now += 1000
					l.Check(clients[int(now/1000)%c.clients], now)
				}
			})
		})
	}
	b.Run("new-clients", func(b *testing.B) {
		config := DefaultConfig()
		config.Rate = 100
		l := limiter(b, config)
		b.ReportAllocs()
		var ip [4]byte
		for i := uint32(0); b.Loop(); i++ {
			binary.BigEndian.PutUint32(ip[:], 0x0a000000|i&0xffffff)
			l.Check(netip.AddrFrom4(ip), int64(i))
		}
	})
}
