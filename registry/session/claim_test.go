package session

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"herald/registry"
)

// held is what a model knows of one key and its lock.
type held struct {
	exists bool
	holder ID // "" for nobody
	mark   ID // of the session whose lock delay may come to hold for the key; "" for none
}

// histories is a model of the locks of one key: what sessions, and programs at other doors, do to it.
type histories struct {
	*bench
	key   string
	now   held
	all   []ID
	alive map[ID]bool
	delay map[ID]time.Duration
	ended map[ID]time.Time
	drops map[ID]bool // it deletes what it holds

	kept   *Claim // of keeper, to be used later; nil if there is none
	keeper ID
}

// free says whether a session that does not hold the key may take it.
func (h *histories) free() bool {
	m := h.now.mark
	return h.now.holder == "" && (m == "" || h.alive[m] || time.Since(h.ended[m]) > h.delay[m])
}

func (h *histories) took(id ID) {
	if h.now.holder != id {
		h.now.mark = id
		if h.delay[id] == 0 {
			h.now.mark = ""
		}
	}
	h.now.exists, h.now.holder = true, id
}

// look is who holds the key, as the one who would use a claim reads it.
func (h *histories) look() registry.LeaseID {
	res, err := h.store.Range(h.t.Context(), registry.RangeRequest{KeyRange: registry.One(h.key)})
	if err != nil {
		h.t.Fatal(err)
	}
	if len(res.KVs) == 0 {
		return 0
	}
	return res.KVs[0].Lock.Holder
}

// use takes the key's lock with a claim, if it can be had by it.
func (h *histories) use(c *Claim) bool {
	if c.Delayed {
		return false
	}
	free := registry.Compare{KeyRange: registry.One(h.key), Target: registry.CompareLockHolder}
	res, err := h.store.Txn(h.t.Context(), registry.Txn{Compare: append([]registry.Compare{free}, c.Compares...), Then: c.Take(put(h.key, "claimed"))})
	if err != nil && !errors.Is(err, registry.ErrLeaseNotFound) {
		h.t.Fatal(err)
	}
	return err == nil && res.Succeeded
}

// step is one thing that is done, by one of the sessions where it takes one.
type step struct {
	what    string
	session int
	seconds int
}

func (h *histories) step(s step) error {
	id := h.all[s.session]
	switch s.what {
	case "acquire":
		want := h.alive[id] && (h.now.holder == id || h.free())
		got, err := h.Acquire(h.t.Context(), id, put(h.key, string(id)))
		if errors.Is(err, ErrNotFound) == h.alive[id] || got != want {
			return fmt.Errorf("acquire by %s: %v, %v; want %v of %+v", id, got, err, want, h.now)
		}
		if want {
			h.took(id)
		}
	case "claim":
		c, err := h.Claim(h.t.Context(), id, h.key)
		if !h.alive[id] {
			if !errors.Is(err, ErrNotFound) {
				return fmt.Errorf("claim by %s, which has ended: %v", id, err)
			}
			return nil
		}
		if err != nil {
			return err
		}
		if h.look() == c.Holder {
			return nil // it has it
		}
		if want, got := h.free(), h.use(c); got != want {
			return fmt.Errorf("claim by %s: %v, want %v of %+v", id, got, want, h.now)
		} else if got {
			h.took(id)
		}
	case "keep a claim":
		if c, err := h.Claim(h.t.Context(), id, h.key); err == nil {
			h.kept, h.keeper = c, id
		}
	case "use the claim":
		if h.kept == nil || !h.use(h.kept) {
			return nil
		}
		if !h.alive[h.keeper] || !h.free() {
			return fmt.Errorf("a claim by %s was used, and does not hold any more: %+v", h.keeper, h.now)
		}
		h.took(h.keeper)
	case "release":
		got, err := h.Release(h.t.Context(), id, put(h.key, "free"))
		if want := h.alive[id] && h.now.holder == id; err != nil || got != want {
			return fmt.Errorf("release by %s: %v, %v; want %v of %+v", id, got, err, want, h.now)
		}
		if got {
			h.now.holder, h.now.mark = "", ""
		}
	case "destroy":
		h.destroy(id)
		if h.alive[id] {
			h.alive[id], h.ended[id] = false, time.Now()
			if h.now.holder == id {
				h.now.exists, h.now.holder = !h.drops[id], ""
			}
		}
	case "delete": // as the etcd door does
		h.do(registry.Op{Delete: &registry.DeleteRequest{KeyRange: registry.One(h.key)}})
		h.now.exists, h.now.holder = false, ""
	case "delete over HTTP":
		h.do(registry.Op{Delete: &registry.DeleteRequest{KeyRange: registry.One(h.key)}},
			registry.Op{Delete: &registry.DeleteRequest{Space: registry.SpaceSession, KeyRange: Delays(registry.One(h.key))}})
		h.now = held{}
	case "put": // as the etcd door does
		h.do(registry.Op{Put: &registry.PutRequest{Key: h.key, Value: []byte("put")}})
		h.now.exists = true
	case "wait":
		time.Sleep(time.Duration(s.seconds) * time.Second)
	}
	if got := h.held(h.key); got != h.want() {
		return fmt.Errorf("after %s by %s the key is held by %q, want %q", s.what, id, got, h.want())
	}
	return nil
}

// want is the model's answer to bench.held.
func (h *histories) want() string {
	if !h.now.exists {
		return "absent"
	}
	return string(h.now.holder)
}

// A lock is had by Acquire, and by a claim, exactly if nobody holds it and no lock delay runs,
// whatever programs at other doors do to its key; and a claim that does not hold any more takes nothing.
func TestLocksFollowTheModel(t *testing.T) {
	done := []string{"acquire", "claim", "keep a claim", "use the claim", "release", "destroy", "delete", "delete over HTTP", "put", "wait"}
	one := rapid.Custom(func(t *rapid.T) step {
		return step{
			what:    rapid.SampledFrom(done).Draw(t, "what"),
			session: rapid.IntRange(0, 2).Draw(t, "session"),
			seconds: rapid.IntRange(1, 10).Draw(t, "seconds"),
		}
	})
	for range 10 { // the histories that are short of a step find little
		rapid.Check(t, func(r *rapid.T) {
			behaviors := rapid.SliceOfN(rapid.SampledFrom([]Behavior{Release, Delete}), 3, 3).Draw(r, "behaviors")
			// Half a second beside what is waited: nothing happens in the moment in which a delay ends.
			delays := rapid.SliceOfN(rapid.SampledFrom([]time.Duration{0, 2500 * time.Millisecond, 15500 * time.Millisecond}), 3, 3).Draw(r, "lock delays")
			steps := rapid.SliceOfN(one, 1, 30).Draw(r, "steps")
			var err error
			inBubble(t, func(_ *testing.T, b *bench) { err = follow(b, behaviors, delays, steps) })
			if err != nil {
				r.Fatal(err)
			}
		})
	}
}

func follow(b *bench, behaviors []Behavior, delays []time.Duration, steps []step) error {
	h := &histories{bench: b, key: "k", alive: map[ID]bool{}, delay: map[ID]time.Duration{}, ended: map[ID]time.Time{}, drops: map[ID]bool{}}
	for i := range behaviors {
		id := b.make(func(s *Session) { s.LockDelay, s.Behavior, s.NodeChecks = delays[i], behaviors[i], []string{} })
		h.all = append(h.all, id)
		h.alive[id], h.delay[id], h.drops[id] = true, delays[i], behaviors[i] == Delete
	}
	for _, s := range steps {
		if err := h.step(s); err != nil {
			return err
		}
	}
	return nil
}

// A key that goes by another door while a session holds it is to be had at once, for the session has not ended; when that
// ends before anyone has taken the key, the key rests for the lock delay, since the one that held it may not know yet.
func TestHeldKeyThatIsDeleted(t *testing.T) {
	gone := registry.Op{Delete: &registry.DeleteRequest{KeyRange: registry.One("k")}}
	inBubble(t, func(t *testing.T, b *bench) {
		one, two := b.make(nil), b.make(nil)
		b.acquire(one, "k", true)
		b.do(gone)
		b.wantHeld("k", "absent")
		b.release(one, "k", false)
		b.acquire(two, "k", true)
		b.acquire(one, "k", false)
	})
	inBubble(t, func(t *testing.T, b *bench) {
		one, two := b.make(nil), b.make(nil)
		b.acquire(one, "k", true)
		b.do(gone)
		b.destroy(one)
		b.acquire(two, "k", false)
		time.Sleep(15*time.Second - time.Millisecond)
		b.acquire(two, "k", false)
		time.Sleep(2 * time.Millisecond)
		b.acquire(two, "k", true)
	})
}
