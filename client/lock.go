package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"herald/httpserver/api"
	"herald/registry"
)

var (
	// ErrLockHeld is returned when others had the lock for as long as it was waited for.
	ErrLockHeld = errors.New("others hold the lock")
	// ErrLockLost is the cause of the end of what holds a lock no longer.
	ErrLockLost = errors.New("the lock is lost")
)

// lockFlag marks a key that is a lock, for whoever else keeps to Consul's convention, and
// semaphoreFlag the keys of a semaphore.
const (
	lockFlag      = 3304740253564472344
	semaphoreFlag = 0xe0f69a2baa414de0
)

// DefaultLockTTL is how long a lock outlives a holder that died, unless LockOptions say.
const DefaultLockTTL = 15 * time.Second

// LockOptions are how a lock is taken. The zero value waits for as long as it takes, and
// shares with nobody.
type LockOptions struct {
	// Name is for people who look at who holds what.
	Name string
	// Holders is how many may hold it at once; 0 and 1 are a lock. With more the key
	// is a prefix, of a semaphore in the form that Consul's clients know, and all who
	// use it must agree on their number.
	Holders int
	// Wait bounds how long it is waited for; 0 does not, below 0 tries once.
	Wait time.Duration
	// TTL and LockDelay are the session's (SessionOptions): without a sign of life from the
	// holder the lock is free after at most twice the TTL and the delay. A TTL of 0 takes DefaultLockTTL.
	TTL, LockDelay time.Duration
}

// claim is what a session can take: a lock, or a place in a semaphore.
type claim interface {
	// try takes it for a session, if it is to be had. If not, wait is how to read so that
	// the read ends when it may be.
	try(ctx context.Context, session string, o ReadOptions) (taken bool, wait ReadOptions, err error)
	// holds reports whether the session has it, in a read that may block.
	holds(ctx context.Context, session string, o ReadOptions) (bool, Meta, error)
	// release gives it up, and leaves nothing behind that nobody needs.
	release(ctx context.Context, session string) error
}

// WithLock waits for a key's lock and calls do while it has it, once, in the caller's goroutine. The
// context that do is given ends when the lock is lost, with the cause ErrLockLost: do
// should return as soon as it can. Then, or when do returns, the lock is given up.
//
// The lock is taken for lost when it has not been renewed for its TTL, which is before the servers
// give it to anyone else. What do has started by then must be over within the lock delay.
//
// It returns what do did, joined with the ErrLockLost that ended it; ErrLockHeld after LockOptions.Wait;
// registry.ErrInvalid for a key that holds something else than a lock.
// Failures that pass are waited out, and Config.OnRetry is told of them. The goroutines that it
// starts are over when it returns.
func (c *Client) WithLock(ctx context.Context, key string, o LockOptions, do func(context.Context) error) error {
	if key == "" {
		return registry.ErrEmptyKey
	}
	if o.TTL == 0 {
		o.TTL = DefaultLockTTL
	}
	if o.TTL < 0 || o.LockDelay < 0 || o.Holders < 0 {
		return fmt.Errorf("%w: the TTL, the lock delay and the number of holders of a lock are not below 0", registry.ErrInvalid)
	}
	waiting := ctx
	if o.Wait > 0 {
		var cancel context.CancelFunc
		waiting, cancel = context.WithTimeoutCause(ctx, o.Wait, fmt.Errorf("%w: %q, for %v", ErrLockHeld, key, o.Wait))
		defer cancel()
	}
	for {
		l := &locking{c: c, o: &o, key: key}
		if o.Holders > 1 {
			l.claim = &semaphoreClaim{kv: c.KV(), prefix: key, o: &o}
		} else {
			l.claim = &lockClaim{kv: c.KV(), key: key, name: o.Name}
		}
		err := l.run(ctx, waiting, do)
		// A session that ends while it waits has lost nothing.
		if l.held || !errors.Is(err, ErrSessionEnded) {
			return err
		}
		sleep(ctx, minPause)
	}
}

// locking is one session's way to a lock and back.
type locking struct {
	c       *Client
	o       *LockOptions
	key     string
	claim   claim
	session string
	held    bool
	// refused says that what was heard last is that others hold the lock, failure what failed since.
	refused bool
	failure error
}

// attempt bounds one attempt of a renewal, so that there is time for one at each of several
// servers before the session ends, but for the shortest sessions.
func (l *locking) attempt() time.Duration { return max(l.o.TTL/6, 500*time.Millisecond) }

func (l *locking) run(ctx, waiting context.Context, do func(context.Context) error) (err error) {
	began, err := l.create(waiting)
	if err != nil {
		return err
	}
	holding, lose := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { lose(l.renew(holding, began)) })
	defer func() {
		lose(nil)
		wg.Wait()
		err = errors.Join(err, l.end(ctx))
	}()

	waiting, stop := context.WithCancelCause(waiting)
	defer stop(nil)
	defer context.AfterFunc(holding, func() { stop(context.Cause(holding)) })()
	if err := l.acquire(waiting); err != nil {
		return err
	}
	if holding.Err() != nil { // meanwhile
		return context.Cause(holding)
	}
	l.held = true
	wg.Go(func() { lose(l.watch(holding)) })
	err = do(holding)
	if cause := context.Cause(holding); errors.Is(cause, ErrLockLost) && !errors.Is(err, ErrLockLost) {
		err = errors.Join(cause, err)
	}
	return err
}

// create makes the session, and returns a time before which it did not begin.
func (l *locking) create(ctx context.Context) (began time.Time, err error) {
	so := SessionOptions{Name: l.o.Name, TTL: l.o.TTL, LockDelay: l.o.LockDelay, DeleteKeys: l.o.Holders > 1}
	pause := pauses{c: l.c}
	for {
		began = time.Now()
		l.session, err = l.c.createSession(ctx, so, l.attempt())
		switch {
		case err == nil:
			return began, nil
		case l.again(ctx, &pause, err):
		case ctx.Err() != nil:
			return began, l.gaveUp(ctx)
		default:
			return began, err
		}
	}
}

// again notes what became of a call, and reports whether it is to be made again.
func (l *locking) again(ctx context.Context, pause *pauses, err error) bool {
	if err != nil && ctx.Err() == nil {
		l.refused, l.failure = false, err
	}
	return l.o.Wait >= 0 && pause.after(ctx, err)
}

// gaveUp is why a wait that is over was in vain.
func (l *locking) gaveUp(waiting context.Context) error {
	cause := context.Cause(waiting)
	if errors.Is(cause, ErrLockHeld) && !l.refused {
		return fmt.Errorf("%w: whether lock %q is free was not to be learned in %v: %w", registry.ErrTimeout, l.key, l.o.Wait, cmp.Or(l.failure, context.DeadlineExceeded))
	}
	return cause
}

// renew keeps the session alive until ctx ends, and returns why it cannot.
func (l *locking) renew(ctx context.Context, good time.Time) error {
	ttl := l.o.TTL
	pause := ttl / 3
	for {
		sleepFor(ctx, pause)
		begin := time.Now()
		attempts, cancel := context.WithDeadline(ctx, good.Add(ttl))
		err := l.c.renewSession(attempts, l.session, l.attempt())
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			good, pause = begin, ttl/3
		case errors.Is(err, ErrSessionEnded):
			return fmt.Errorf("%w: %w", ErrLockLost, err)
		case time.Since(good) >= ttl:
			// Also if it may be had back later: the servers may have given it to another.
			return fmt.Errorf("%w: %w: no renewal in %v: %w", ErrLockLost, ErrSessionEnded, ttl, err)
		default:
			pause = ttl / 20
		}
	}
}

// lockWait bounds each read that waits, so that a server which has frozen is given up.
const lockWait = 30 * time.Second

// acquire returns once the claim is taken.
func (l *locking) acquire(ctx context.Context) error {
	pause := pauses{c: l.c}
	read := ReadOptions{Consistency: Consistent}
	for {
		taken, wait, err := l.claim.try(ctx, l.session, read)
		switch {
		case err == nil && taken:
			return nil
		case l.again(ctx, &pause, err):
			read = ReadOptions{Consistency: Consistent}
			continue
		case ctx.Err() != nil:
			return l.gaveUp(ctx)
		case err != nil:
			return err
		case l.o.Wait < 0:
			return fmt.Errorf("%w: %q", ErrLockHeld, l.key)
		}
		read, l.refused = wait, true
	}
}

// watch returns why the claim is no longer the session's, or nil when ctx ends.
func (l *locking) watch(ctx context.Context) error {
	pause := pauses{c: l.c}
	read := ReadOptions{Consistency: Consistent}
	for {
		holds, meta, err := l.claim.holds(ctx, l.session, read)
		switch {
		case ctx.Err() != nil:
			return nil
		case pause.after(ctx, err):
			continue
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("%w: whether it is still held cannot be seen: %w", ErrLockLost, err)
		case !holds:
			return fmt.Errorf("%w: it was taken away from session %s", ErrLockLost, l.session)
		}
		read.Index, read.Wait = meta.Index, lockWait
	}
}

// endTimeout bounds the giving up of a lock: the servers end it later by themselves.
const endTimeout = 5 * time.Second

// end gives up what the session has, and ends it.
func (l *locking) end(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	// It may have been taken even if nobody knows: an answer can be lost.
	err := l.claim.release(ctx, l.session)
	if errors.Is(err, ErrSessionEnded) {
		return nil
	}
	if err = errors.Join(err, l.c.DestroySession(ctx, l.session)); err != nil {
		return fmt.Errorf("session %s could not be ended, and will within %v by itself: %w", l.session, 2*l.o.TTL, err)
	}
	return nil
}

// lockClaim is the lock of a key.
type lockClaim struct {
	kv        KV
	key, name string
	asked     bool // whether it was ever asked for
}

// lockRetry is how soon a key is tried again that is free and yet refused, for its lock
// delay. Nothing tells of its end.
const lockRetry = time.Second

// try implements claim.
func (l *lockClaim) try(ctx context.Context, session string, o ReadOptions) (bool, ReadOptions, error) {
	p, meta, err := l.read(ctx, o)
	if err != nil {
		return false, o, err
	}
	if p != nil && p.Session == session {
		return true, o, nil
	}
	o.Index, o.Wait = meta.Index, lockWait
	if p != nil && p.Session != "" {
		return false, o, nil
	}
	if p != nil && p.Flags != lockFlag {
		return false, o, fmt.Errorf("%w: key %q is no lock but holds something (its flags are %d); lock another", registry.ErrInvalid, l.key, p.Flags)
	}
	l.asked = true
	taken, err := l.kv.Acquire(ctx, l.key, session, []byte(l.name), PutOptions{Flags: lockFlag})
	o.Wait = lockRetry
	return taken, o, err
}

// holds implements claim.
func (l *lockClaim) holds(ctx context.Context, session string, o ReadOptions) (bool, Meta, error) {
	p, meta, err := l.read(ctx, o)
	return p != nil && p.Session == session, meta, err
}

func (l *lockClaim) read(ctx context.Context, o ReadOptions) (*api.KVPair, Meta, error) {
	pairs, meta, err := l.kv.held(ctx, l.key, false, o)
	if err != nil || len(pairs) == 0 {
		return nil, meta, err
	}
	return &pairs[0], meta, nil
}

// release implements claim.
func (l *lockClaim) release(ctx context.Context, session string) error {
	if !l.asked {
		return nil
	}
	if _, err := l.kv.Release(ctx, l.key, session, nil, PutOptions{Flags: lockFlag}); err != nil {
		return err
	}
	// The key goes unless the next one has it by now.
	p, _, err := l.read(ctx, ReadOptions{})
	if err == nil && p != nil && p.Session == "" && p.Flags == lockFlag && p.ModifyIndex <= math.MaxInt64 {
		_, err = l.kv.CompareAndDelete(ctx, l.key, p.ModifyIndex)
	}
	return err
}
