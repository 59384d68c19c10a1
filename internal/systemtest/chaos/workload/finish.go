package workload

import (
	"context"
	"errors"
	"fmt"
	"time"

	"herald/internal/systemtest/chaos/history"
	"herald/registry"
)

// listPage is how many keys are read at a time.
const listPage = 1000

// Finish ends all writing, takes down what every server holds then, waits until the
// clients that follow have seen it all, and ends them. Every server should be well when it
// is called. What is missing when ctx ends is an error, and is in the history as such; the
// clients end in any case.
func (r *Running) Finish(ctx context.Context) error {
	defer r.Stop()
	r.endWriting()
	r.writers.Wait()
	c := r.newClient()
	revisions, err := c.settle(ctx)
	if err != nil {
		return fmt.Errorf("workload: after writing ended: %w", err)
	}
	r.settled.revisions = revisions
	close(r.settled.done)
	var errs []error
	if r.cfg.runs(Acks) {
		for _, s := range r.servers {
			errs = append(errs, c.listAll(ctx, s, ackPrefix, revisions[registry.SpaceKV]))
		}
	}
	if r.cfg.runs(Hashes) {
		errs = append(errs, c.closingHashes(ctx))
	}
	close(r.caughtUp)
	seen := make(chan struct{})
	go func() {
		r.followers.Wait()
		close(seen)
	}()
	select {
	case <-seen:
	case <-ctx.Done():
		errs = append(errs, fmt.Errorf("the clients that follow have not seen everything: %w", ctx.Err()))
		r.endFollowing()
		<-seen
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("workload: closing reads: %w", err)
	}
	return nil
}

// settlement is where writing has ended.
type settlement struct {
	done      chan struct{} // closed when writing has ended and revisions is set
	revisions registry.Revisions
}

// lastOf is the revision of a space that writing ended at; ok is false while it goes on.
// Leases that run out may still raise it.
func (r *Running) lastOf(space registry.Space) (rev int64, ok bool) {
	select {
	case <-r.settled.done:
		return r.settled.revisions[space], true
	default:
		return 0, false
	}
}

// settle reads where every space stands. All that was written before is in it.
func (c *client) settle(ctx context.Context) (registry.Revisions, error) {
	var revisions registry.Revisions
	for space := range registry.Space(registry.NumSpaces) {
		for {
			s := c.anyone()
			try, cancel := context.WithTimeout(ctx, c.cfg.Patience)
			res, err := s.Store.Range(try, registry.RangeRequest{Space: space, KeyRange: registry.All(), CountOnly: true})
			cancel()
			if err == nil {
				revisions[space] = res.Revision
				break
			}
			if !sleep(ctx, 100*time.Millisecond) {
				return revisions, fmt.Errorf("no linearizable read of space %s succeeded: %w", space, err)
			}
		}
	}
	return revisions, nil
}

// listAll takes down a prefix as the server's own copy has it at a revision, as soon as the
// copy has come so far.
func (c *client) listAll(ctx context.Context, s *server, prefix string, rev int64) error {
	rec := history.Listed{Node: s.Name, Prefix: prefix, Rev: rev}
	fail := func(err error) error {
		rec.Cells, rec.Last, rec.Err = nil, true, err.Error()
		c.rec.Append(rec)
		return fmt.Errorf("server %s: %w", s.Name, err)
	}
	r := registry.RangeRequest{
		Space: registry.SpaceKV, KeyRange: registry.Prefix(prefix), Revision: rev, Limit: listPage, Consistency: registry.Stale,
	}
	for !rec.Last {
		try, cancel := context.WithTimeout(ctx, c.cfg.Patience)
		res, err := s.Store.Range(try, r)
		cancel()
		if err != nil {
			if errors.Is(err, registry.ErrCompacted) {
				return fail(err)
			}
			// It may not have caught up, or not be well yet.
			if !sleep(ctx, 100*time.Millisecond) {
				return fail(fmt.Errorf("has not caught up with revision %d: %w", rev, err))
			}
			continue
		}
		rec.Cells, rec.Last = make([]history.Cell, len(res.KVs)), !res.More
		for i := range res.KVs {
			rec.Cells[i] = history.Cell{Key: res.KVs[i].Key, Rev: res.KVs[i].ModRevision}
			r.Start = res.KVs[i].Key + "\x00"
		}
		c.rec.Append(rec)
	}
	return nil
}
