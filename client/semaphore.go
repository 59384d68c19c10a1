package client

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	"herald/httpserver/api"
	"herald/registry"
)

// semaphoreClaim is a place among several holders, in the form that Consul's clients
// know: who wants one holds a key of its own below the prefix, <prefix>/<session>; those that have
// one are in the document <prefix>/.lock, which is changed by compare-and-swap. A holder whose key
// is gone has died, and whoever comes next takes its place.
type semaphoreClaim struct {
	kv     KV
	prefix string
	o      *LockOptions
	asked  bool // whether there is a key of its own
}

// semaphoreHolders is what <prefix>/.lock holds.
type semaphoreHolders struct {
	Limit   int
	Holders map[string]bool
}

func (s *semaphoreClaim) base() string              { return strings.TrimSuffix(s.prefix, "/") + "/" }
func (s *semaphoreClaim) document() string          { return s.base() + ".lock" }
func (s *semaphoreClaim) own(session string) string { return s.base() + session }

// semaphoreState is what is below the prefix.
type semaphoreState struct {
	semaphoreHolders
	index uint64          // of the document, 0 if there is none
	alive map[string]bool // sessions that want a place or have one
}

func (s *semaphoreClaim) read(ctx context.Context, o ReadOptions) (semaphoreState, Meta, error) {
	var now semaphoreState
	pairs, meta, err := s.kv.held(ctx, s.base(), true, o)
	if err != nil {
		return now, meta, err
	}
	now.alive = make(map[string]bool, len(pairs))
	for i := range pairs {
		p := &pairs[i]
		switch {
		case p.Key == s.document():
			now.index = p.ModifyIndex
			if now.semaphoreHolders, err = parseHolders(p); err != nil {
				return now, meta, err
			}
		case p.Session != "" && p.Key == s.own(p.Session):
			now.alive[p.Session] = true
		}
	}
	maps.DeleteFunc(now.Holders, func(session string, _ bool) bool { return !now.alive[session] })
	return now, meta, nil
}

// parseHolders reads the document, which anyone may have written.
func parseHolders(p *api.KVPair) (h semaphoreHolders, err error) {
	if p.Flags != semaphoreFlag {
		return h, fmt.Errorf("%w: key %q is no semaphore's but holds something (its flags are %d); use another prefix", registry.ErrInvalid, p.Key, p.Flags)
	}
	if err := json.Unmarshal(p.Value, &h); err != nil {
		return h, fmt.Errorf("%w: key %q does not say who holds the semaphore: %w", registry.ErrInvalid, p.Key, err)
	}
	return h, nil
}

// try implements claim.
func (s *semaphoreClaim) try(ctx context.Context, session string, o ReadOptions) (bool, ReadOptions, error) {
	if !s.asked {
		mine, err := s.kv.Acquire(ctx, s.own(session), session, []byte(s.o.Name), PutOptions{Flags: semaphoreFlag})
		if err != nil {
			return false, o, err
		}
		s.asked = mine
	}
	now, meta, err := s.read(ctx, o)
	if err != nil {
		return false, o, err
	}
	o.Index, o.Wait = meta.Index, lockWait
	switch {
	case now.index != 0 && now.Limit != s.o.Holders:
		return false, o, fmt.Errorf("%w: semaphore %q is for %d holders, not %d; all who use it must say the same", registry.ErrInvalid, s.prefix, now.Limit, s.o.Holders)
	case !now.alive[session]:
		return false, o, fmt.Errorf("%w: %s: its key below %q is gone", ErrSessionEnded, session, s.prefix)
	case now.Holders[session]:
		return true, o, nil // an answer was lost
	case len(now.Holders) >= s.o.Holders:
		return false, o, nil
	}
	if now.Holders == nil {
		now.Holders = make(map[string]bool)
	}
	now.Holders[session] = true
	now.Limit = s.o.Holders
	taken, err := s.write(ctx, &now)
	// Another was faster: its write ends the next read.
	return taken, o, err
}

// write replaces the document if it is still what was read.
func (s *semaphoreClaim) write(ctx context.Context, now *semaphoreState) (bool, error) {
	b, err := json.Marshal(now.semaphoreHolders)
	if err != nil {
		return false, err
	}
	res, err := s.kv.CompareAndSwap(ctx, s.document(), b, now.index, PutOptions{Flags: semaphoreFlag})
	return res.Written, err
}

// holds implements claim.
func (s *semaphoreClaim) holds(ctx context.Context, session string, o ReadOptions) (bool, Meta, error) {
	now, meta, err := s.read(ctx, o)
	return now.Holders[session], meta, err
}

// release implements claim.
func (s *semaphoreClaim) release(ctx context.Context, session string) error {
	if !s.asked {
		return nil
	}
	for {
		now, _, err := s.read(ctx, ReadOptions{Consistency: Consistent})
		if err != nil {
			return err
		}
		if !now.Holders[session] {
			break
		}
		delete(now.Holders, session)
		var done bool
		if len(now.Holders) == 0 {
			done, err = s.kv.CompareAndDelete(ctx, s.document(), now.index)
		} else {
			done, err = s.write(ctx, &now)
		}
		if err != nil {
			return err
		}
		if done {
			break
		}
	}
	return s.kv.Delete(ctx, s.own(session))
}
