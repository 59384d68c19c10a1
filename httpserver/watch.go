package httpserver

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"

	"herald/httpserver/api"
	"herald/registry"
	"herald/registry/catalog"
)

const watchPath = "/v1/watch"

// watch is GET /v1/watch: changes of a ?key=, of the keys below a ?prefix=, or of a
// ?service=, as server-sent events. Last-Event-ID, or ?index=, resumes behind what was
// received; without it what there is comes first.
func (s *surface) watch(q *request) error {
	o, err := parseReadOptions(&q.query)
	if err != nil {
		return err
	}
	// A client that connects anew sends the same ?index= as at first.
	if last := q.r.Header.Get("Last-Event-ID"); last != "" {
		if o.index, err = strconv.ParseUint(last, 10, 64); err != nil {
			return refusef(http.StatusBadRequest, "Invalid Last-Event-ID %q: want the id of an event of this stream", last)
		}
	}
	if err := q.conflicts("key", "prefix", "service"); err != nil {
		return err
	}
	after := int64(min(o.index, math.MaxInt64))
	if key := q.query.get("key"); key != "" {
		return s.watchKeys(q, registry.One(key), o.mode, after)
	}
	if prefix, ok := q.query.lookup("prefix"); ok {
		return s.watchKeys(q, registry.Prefix(prefix), o.mode, after)
	}
	if name := q.query.get("service"); name != "" {
		return s.watchService(q, name, o.mode, after)
	}
	return refuse(http.StatusBadRequest, "Missing what to watch: want ?key=, ?prefix= or ?service=")
}

// keyWatch is a stream of the changes of a range of keys.
type keyWatch struct {
	*stream
	s    *surface
	keys registry.KeyRange
	mode mode
	text bool
}

// watchKeys streams the changes of keys after a revision, or the keys and what comes
// then if that is 0.
func (s *surface) watchKeys(q *request, keys registry.KeyRange, m mode, after int64) error {
	k := &keyWatch{s: s, keys: keys, mode: m, text: q.query.has("text")}
	res, err := k.read(q.r.Context(), after == 0)
	if err != nil {
		return err
	}
	t, end, err := s.stream(q)
	if err != nil {
		return err
	}
	defer end()
	k.stream = t
	s.readHeaders(q.header(), m, index(res.Revision), res.Age)
	switch {
	case after == 0:
		err = k.state(res)
		after = res.Revision
	case after > res.Revision && m != modeStale: // this server may be behind
		after, err = k.reset("the id to resume from is above the store's: it is another store's, or this one's from before it was restored")
	}
	for err == nil {
		if err = k.follow(after); lost(err) {
			after, err = k.reset(err.Error())
		}
	}
	return t.outcome(err)
}

// lost says that what happened cannot be told from events any more.
func lost(err error) bool {
	return errors.Is(err, registry.ErrCompacted) || errors.Is(err, registry.ErrWatchReset)
}

// outcome is what became of a stream. That it is over is no error.
func (t *stream) outcome(err error) error {
	if t.ctx.Err() != nil {
		return nil
	}
	return err
}

// read reads the keys, or only at which revision the store is.
func (k *keyWatch) read(ctx context.Context, keys bool) (registry.RangeResult, error) {
	return k.s.read(ctx, k.mode, registry.RangeRequest{Space: registry.SpaceKV, KeyRange: k.keys, SkipCount: true, CountOnly: !keys})
}

// state adds all keys there are as one event.
func (k *keyWatch) state(res registry.RangeResult) error {
	return k.event("state", res.Revision, func(b []byte) []byte {
		b = append(b, '[')
		for i := range res.KVs {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendKV(b, &res.KVs[i], k.text)
		}
		return append(b, ']')
	})
}

// reset says that changes were missed, and then what there is. It returns from where
// the stream goes on.
func (k *keyWatch) reset(why string) (after int64, err error) {
	res, err := k.read(k.ctx, true)
	if err != nil {
		return 0, err
	}
	if err := k.document("reset", 0, api.WatchReset{Message: why, Index: index(res.Revision)}); err != nil {
		return 0, err
	}
	return res.Revision, k.state(res)
}

// follow streams what changes after a revision. It returns only with an error.
func (k *keyWatch) follow(after int64) error {
	w, err := k.s.store.Watch(k.ctx, registry.WatchRequest{Space: registry.SpaceKV, KeyRange: k.keys, StartRevision: after + 1})
	if err != nil {
		return err
	}
	defer w.Close()
	for {
		if err := k.flush(); err != nil {
			return err
		}
		ctx, cancel := k.quiet()
		commits, err := w.Next(ctx)
		cancel()
		switch {
		case err != nil && ctx.Err() != nil && k.ctx.Err() == nil:
			if err := k.heartbeat(max(after, w.Synced())); err != nil {
				return err
			}
		case err != nil:
			return err
		}
		for i := range commits {
			if err := k.commit(&commits[i]); err != nil {
				return err
			}
		}
	}
}

// commit adds the events of a commit. They have their id on the last: who has
// received only some of them is sent all of them again.
func (k *keyWatch) commit(c *registry.Commit) error {
	for i := range c.Events {
		id := int64(0)
		if i == len(c.Events)-1 {
			id = c.Revision
		}
		e := &c.Events[i]
		var err error
		if e.Type == registry.EventDelete {
			err = k.document("delete", id, api.KVDeleted{Key: e.KV.Key, ModifyIndex: index(c.Revision)})
		} else {
			err = k.event("put", id, func(b []byte) []byte { return appendKV(b, &e.KV, k.text) })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// watchService streams a service's instances, as /v1/health/service lists them,
// whenever they are not those that the client has.
func (s *surface) watchService(q *request, name string, m mode, after int64) error {
	sel := s.selection(q)
	var err error
	if sel.passing, err = q.passing(false); err != nil {
		return err
	}
	f, err := filterOf(q, &s.filters.entries)
	if err != nil {
		return err
	}
	topic := catalog.ServiceTopic(name)
	x, age, err := s.fresh(q.r.Context(), m)
	if err != nil {
		return err
	}
	t, end, err := s.stream(q)
	if err != nil {
		return err
	}
	defer end()
	s.readHeaders(q.header(), m, topicIndex(x, topic), age)
	if m != modeStale && after > x.Revision() && uint64(after) > topicIndex(x, topic) {
		at := topicIndex(x, topic)
		if err := t.document("reset", 0, api.WatchReset{Message: "the id to resume from is above the catalog's: it is another catalog's", Index: at}); err != nil {
			return err
		}
		after = 0
	}
	for {
		if rev := int64(topicIndex(x, topic)); rev > after {
			b := emptyList
			if svc := x.Service(name); svc != nil {
				b = svc.Memo(sel.key("health"), func() []byte { return mustJSON(sel.entries(view{s.datacenter}, svc, f)) })
			}
			if err := t.event("service", rev, func(to []byte) []byte { return append(to, b...) }); err != nil {
				return t.outcome(err)
			}
			after = rev
		}
		if err := t.flush(); err != nil {
			return t.outcome(err)
		}
		for {
			ctx, cancel := t.quiet()
			x, err = s.catalog.Wait(ctx, topic, after)
			cancel()
			if err == nil {
				break
			}
			if t.ctx.Err() != nil {
				return nil
			}
			if err := t.heartbeat(0); err != nil {
				return t.outcome(err)
			}
		}
	}
}
