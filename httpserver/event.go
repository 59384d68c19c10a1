package httpserver

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"herald/httpserver/api"
	"herald/registry"
	"herald/registry/catalog"
)

const (
	// eventPrefix is where events are kept, in registry.SpaceSession, by their id.
	eventPrefix = "event/"
	// keptEvents is how many events are kept: each that is fired takes the oldest
	// beyond them away. Several fired at once may leave a few more until the next.
	keptEvents = 256
	// maxEventBytes bounds a payload. An event says that something is to be looked
	// at; what there is to be seen belongs into a key.
	maxEventBytes = 4 << 10
	// maxFilterBytes bounds each of its filters, which every list compiles.
	maxFilterBytes = 1 << 10
)

var events = registry.Prefix(eventPrefix)

// eventFire is PUT /v1/event/fire/<name>: an event for everyone, or for those whose
// node ?node= matches, who run a service that ?service= matches, with a tag that
// ?tag= matches.
func (s *surface) eventFire(q *request) error {
	name, err := q.need("Missing name")
	if err != nil {
		return err
	}
	if len(name) > catalog.MaxNameBytes {
		return because(registry.ErrInvalid, http.StatusBadRequest, "The event's name has %d bytes, and may have %d.", len(name), catalog.MaxNameBytes)
	}
	e := api.Event{
		ID: newUUID(), Name: name, Version: 1,
		NodeFilter: q.query.get("node"), ServiceFilter: q.query.get("service"), TagFilter: q.query.get("tag"),
	}
	if _, err := newAudience(&e); err != nil {
		return err
	}
	if e.Payload, err = s.readBody(q, s.cfg.MaxBodyBytes, "max_body_bytes"); err != nil {
		return err
	}
	if n := len(e.Payload); n > maxEventBytes {
		return because(registry.ErrTooLarge, http.StatusRequestEntityTooLarge,
			"The event's payload has %d bytes, and may have %d: put it under a key, and fire where it is.", n, maxEventBytes)
	}
	ctx := q.caller(registry.ReasonClient)
	value, err := json.Marshal(e)
	if err != nil {
		return err
	}
	had, err := s.store.Range(ctx, registry.RangeRequest{
		Space: registry.SpaceSession, KeyRange: events, KeysOnly: true, Consistency: registry.Stale,
	})
	if err != nil {
		return err
	}
	t := registry.Txn{Then: []registry.Op{{Put: &registry.PutRequest{Space: registry.SpaceSession, Key: eventPrefix + e.ID, Value: value}}}}
	slices.SortFunc(had.KVs, func(a, b registry.KeyValue) int { return cmp.Compare(a.CreateRevision, b.CreateRevision) })
	for i := range max(0, len(had.KVs)+1-keptEvents) {
		t.Then = append(t.Then, registry.Op{Delete: &registry.DeleteRequest{Space: registry.SpaceSession, KeyRange: registry.One(had.KVs[i].Key)}})
	}
	res, err := s.store.Txn(ctx, t)
	if err != nil {
		return err
	}
	e.LTime = index(res.Results[0].Put.Revision)
	return q.json(http.StatusOK, e)
}

// eventList is GET /v1/event/list: the events that concern the node of who is asked,
// the oldest first; with ?name= those of that name. It can block until there is
// another. The index is made of the last event's id, as clients make it to know which
// events they have seen.
func (s *surface) eventList(q *request) error {
	o, err := parseReadOptions(&q.query)
	if err != nil {
		return err
	}
	list, res, err := s.eventsFor(q.r.Context(), q, o.mode)
	if err != nil {
		return err
	}
	if o.index != 0 && o.index == eventIndex(list) {
		ctx, stop, err := s.blocking(q, &o)
		if err != nil {
			return err
		}
		defer stop()
		for o.index == eventIndex(list) {
			changed, err := s.rangeChanged(ctx, q, registry.SpaceSession, events, res.Revision+1)
			if err != nil {
				return err
			}
			if !changed {
				break
			}
			if list, res, err = s.eventsFor(q.r.Context(), q, o.mode); err != nil {
				return err
			}
		}
	}
	s.readHeaders(q.header(), o.mode, eventIndex(list), res.Age)
	return q.json(http.StatusOK, list)
}

// eventsFor returns the events that the request is to see, the oldest first.
func (s *surface) eventsFor(ctx context.Context, q *request, m mode) ([]api.Event, registry.RangeResult, error) {
	res, err := s.read(ctx, m, registry.RangeRequest{Space: registry.SpaceSession, KeyRange: events})
	if err != nil {
		return nil, res, err
	}
	slices.SortFunc(res.KVs, func(a, b registry.KeyValue) int { return cmp.Compare(a.CreateRevision, b.CreateRevision) })
	host := s.asker(q)
	node := s.catalog.Index().Node(host)
	name := q.query.get("name")
	list := []api.Event{}
	for i := range res.KVs {
		var e api.Event
		if err := json.Unmarshal(res.KVs[i].Value, &e); err != nil {
			return nil, res, fmt.Errorf("event %s: %w: %w", strings.TrimPrefix(res.KVs[i].Key, eventPrefix), registry.ErrCorrupt, err)
		}
		e.LTime = index(res.KVs[i].CreateRevision)
		if name != "" && e.Name != name {
			continue
		}
		a, err := newAudience(&e)
		if err != nil {
			return nil, res, err
		}
		if a.has(host, node) {
			list = append(list, e)
		}
	}
	return list, res, nil
}

// eventIndex is the index of a list of events: the two halves of the last one's id,
// combined. Clients compute it too.
func eventIndex(list []api.Event) uint64 {
	if len(list) == 0 {
		return 1
	}
	b, err := hex.DecodeString(strings.ReplaceAll(list[len(list)-1].ID, "-", ""))
	if err != nil || len(b) != 16 {
		return 1
	}
	return max(1, binary.BigEndian.Uint64(b)^binary.BigEndian.Uint64(b[8:]))
}

// audience is whom an event is for; a nil expression lets everyone pass.
type audience struct{ node, service, tag *regexp.Regexp }

func newAudience(e *api.Event) (audience, error) {
	var a audience
	if e.TagFilter != "" && e.ServiceFilter == "" {
		return a, refuse(http.StatusInternalServerError, "Cannot provide tag filter without service filter")
	}
	for _, f := range []struct {
		what, text string
		to         **regexp.Regexp
	}{{"node", e.NodeFilter, &a.node}, {"service", e.ServiceFilter, &a.service}, {"tag", e.TagFilter, &a.tag}} {
		if f.text == "" {
			continue
		}
		if len(f.text) > maxFilterBytes {
			return a, because(registry.ErrTooLarge, http.StatusBadRequest, "The event's %s filter has %d bytes, and may have %d.", f.what, len(f.text), maxFilterBytes)
		}
		re, err := regexp.Compile(f.text)
		if err != nil {
			return a, because(registry.ErrInvalid, http.StatusInternalServerError, "Invalid %s filter: %v", f.what, err)
		}
		*f.to = re
	}
	return a, nil
}

// has says whether a node is in the audience; n is nil if the catalog has no such node.
func (a *audience) has(name string, n *catalog.Node) bool {
	if a.node != nil && !a.node.MatchString(name) {
		return false
	}
	if a.service == nil {
		return true
	}
	if n == nil {
		return false
	}
	return slices.ContainsFunc(n.Instances(), func(i *catalog.Instance) bool {
		return a.service.MatchString(i.Service) && (a.tag == nil || slices.ContainsFunc(i.Tags, a.tag.MatchString))
	})
}
