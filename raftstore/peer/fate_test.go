package peer_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"herald/raftstore/peer"
	"herald/raftstore/peer/memnet"
)

// TestFatesAreTrue is the promise that forwarding writes rests on. Many callers call over a
// network that breaks in every way, and every request is counted where it is handled: one that
// was answered was handled once, one that was not sent never, and one that was lost at most once.
func TestFatesAreTrue(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testFates(t, rand.New(rand.NewPCG(seed, 1))) })
		})
	}
}

type fates struct {
	mu      sync.Mutex
	handled map[uint64]int
	// How calls ended, by their request's number.
	ended map[uint64]error
}

func (f *fates) handle(_ context.Context, _ peer.Identity, req []byte) ([]byte, error) {
	id := binary.BigEndian.Uint64(req)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.handled[id]++
	return req[:8], nil
}

func testFates(t *testing.T, random *rand.Rand) {
	n := memnet.New()
	f := &fates{handled: map[uint64]int{}, ended: map[uint64]error{}}
	serve := func() *peer.Port {
		return listen(t, memConfig(t, n, "b"), func(p *peer.Port) {
			p.HandleInline(100, f.handle)
			p.Handle(101, f.handle)
		})
	}
	b := serve()
	a := listen(t, memConfig(t, n, "a"))

	over := make(chan struct{})
	var all sync.WaitGroup
	for caller := range uint64(20) {
		r := rand.New(rand.NewPCG(random.Uint64(), caller))
		all.Go(func() {
			for id := caller << 32; ; id++ {
				select {
				case <-over:
					return
				default:
				}
				// Now and then large, so that connections fill up.
				req := make([]byte, 8+r.IntN(100)*r.IntN(100)*r.IntN(30))
				binary.BigEndian.PutUint64(req, id)
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(r.IntN(3000))*time.Millisecond)
				resp, err := a.Call(ctx, targetB, 100+peer.Method(r.IntN(2)), req)
				cancel()
				if err == nil && binary.BigEndian.Uint64(resp) != id {
					t.Errorf("request %d has the answer of %d", id, binary.BigEndian.Uint64(resp))
				}
				f.mu.Lock()
				f.ended[id] = err
				f.mu.Unlock()
				time.Sleep(time.Duration(r.IntN(20)) * time.Millisecond)
			}
		})
	}
	for range 60 {
		time.Sleep(time.Duration(random.IntN(1000)) * time.Millisecond)
		switch random.IntN(8) {
		case 0:
			n.Cut("a", "b")
		case 1:
			n.Cut("b", "a")
		case 2:
			n.Isolate("b")
		case 3:
			n.Delay("a", "b", time.Duration(random.IntN(200))*time.Millisecond)
		case 4:
			n.Kill("b")
			b.Close()
			b = serve()
		case 5:
			b.Close()
			b = serve()
		default:
			n.HealAll()
		}
	}
	n.HealAll()
	close(over)
	all.Wait()
	a.Close()
	b.Close()

	count := map[string]int{}
	for id, err := range f.ended {
		handled := f.handled[id]
		fate, ok := "answered", handled == 1
		switch {
		case errors.Is(err, peer.ErrNotSent):
			fate, ok = "not sent", handled == 0
		case errors.Is(err, peer.ErrLost):
			fate, ok = "lost", handled <= 1
		case err != nil:
			fate, ok = err.Error(), false
		}
		if !ok {
			t.Errorf("request %d: handled %d times, and the caller was told %v", id, handled, err)
		}
		count[fate]++
	}
	t.Log(count)
	for _, fate := range []string{"answered", "not sent", "lost"} {
		if count[fate] == 0 {
			t.Errorf("no request was %s: the test tests little", fate)
		}
	}
}
