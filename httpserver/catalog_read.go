package httpserver

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"time"

	"herald/httpserver/api"
	"herald/registry"
	"herald/registry/catalog"
)

// anything is the topic of an answer that more of the catalog goes into than one
// topic covers: it rises with every change.
var anything = catalog.Topic{Kind: math.MaxUint8}

// catalogTimeout bounds how long a read waits for the catalog to have what the store
// has. They are moments apart unless something is wrong.
const catalogTimeout = 10 * time.Second

// nothing is a range that no key is in: reading it tells a space's revision.
var nothing = registry.RangeRequest{
	Space: registry.SpaceCatalog, KeyRange: registry.KeyRange{Start: "b", End: "a"}, CountOnly: true,
}

// answer is the catalog as a query is to be answered from.
type answer struct {
	*catalog.Index
	revision uint64 // of what was asked
	age      time.Duration
}

// catalogRead returns the catalog as fresh as the query wants it, once what it
// asks for has changed since the index that the client has, or its wait is over.
// It sets the headers of the answer.
func (s *surface) catalogRead(q *request, topic catalog.Topic) (answer, error) {
	a, o, err := s.catalogWait(q, topic)
	if err != nil {
		return a, err
	}
	h := q.header()
	s.readHeaders(h, o.mode, a.revision, a.age)
	h[api.HeaderConsistency] = modeHeaders[o.mode]
	if o.cached {
		// The catalog is kept up to date as it changes: it is always at hand.
		h[api.HeaderCache] = []string{"HIT"}
		h["Age"] = zero
	}
	return a, nil
}

func (s *surface) catalogWait(q *request, topic catalog.Topic) (answer, readOptions, error) {
	o, err := parseReadOptions(&q.query)
	if err != nil {
		return answer{}, o, err
	}
	x, age, err := s.fresh(q.r.Context(), o.mode)
	if err != nil {
		return answer{}, o, err
	}
	revision := topicIndex(x, topic)
	if o.index == 0 || revision > o.index {
		return answer{x, revision, age}, o, nil
	}
	ctx, stop, err := s.blocking(q, &o)
	if err != nil {
		return answer{}, o, err
	}
	defer stop()
	after := int64(min(o.index, math.MaxInt64-1))
	if topic == anything {
		_, err = s.catalog.WaitRevision(ctx, after+1)
	} else {
		_, err = s.catalog.Wait(ctx, topic, after)
	}
	if err != nil && (ctx.Err() == nil || q.r.Context().Err() != nil) {
		return answer{}, o, err
	}
	// Who leads may have changed meanwhile, or nobody may lead any more.
	if x, age, err = s.fresh(q.r.Context(), o.mode); err != nil {
		return answer{}, o, err
	}
	revision = topicIndex(x, topic)
	if o.index <= index(x.Revision()) {
		// Nothing has changed since the client's index, which may be of another server: one
		// that has not seen the topic's last change says a later revision of it. To go back
		// to ours would have the client begin anew.
		revision = max(revision, o.index)
	}
	return answer{x, revision, age}, o, nil
}

func topicIndex(x *catalog.Index, topic catalog.Topic) uint64 {
	if topic == anything {
		return index(x.Revision())
	}
	return index(x.TopicRevision(topic))
}

// fresh returns the catalog as fresh as the mode asks for, and how old it may be. The
// leader knows what that is by itself; another server asks it for the revision, once
// for all who wait for the answer.
func (s *surface) fresh(ctx context.Context, m mode) (*catalog.Index, time.Duration, error) {
	if m == modeStale {
		if _, err := s.contains(ctx, 1); err != nil { // once there is anything
			return nil, 0, err
		}
		age := s.catalog.Age()
		return s.catalog.Index(), age, nil
	}
	res, err := s.read(ctx, m, nothing)
	if err != nil {
		return nil, 0, err
	}
	x, err := s.contains(ctx, res.Revision)
	return x, 0, err
}

// contains returns the catalog once it contains a revision of the store.
func (s *surface) contains(ctx context.Context, revision int64) (*catalog.Index, error) {
	if x := s.catalog.Index(); x.Revision() >= revision {
		return x, nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, catalogTimeout, errBehind)
	defer cancel()
	x, err := s.catalog.WaitRevision(ctx, revision)
	if err != nil && context.Cause(ctx) == errBehind {
		err = errBehind
	}
	return x, err
}

var errBehind = refuse(http.StatusServiceUnavailable, "The catalog has not caught up with the store in 10 s; look at the server's log.")

// catalogDatacenters is GET /v1/catalog/datacenters.
func (s *surface) catalogDatacenters(q *request) error {
	return q.json(http.StatusOK, []string{s.datacenter})
}

// catalogServices is GET /v1/catalog/services: every service with the union of its
// tags, or of those of the instances that ?node-meta= and ?filter= select.
func (s *surface) catalogServices(q *request) error {
	sel := s.selection(q)
	f, err := filterOf(q, &s.filters.instances)
	if err != nil {
		return err
	}
	topic := catalog.ServicesTopic
	if len(sel.meta) > 0 || f.LooksAt("ID", "Node", "Address", "TaggedAddresses", "NodeMeta") {
		topic = anything // nodes that change, too
	}
	x, err := s.catalogRead(q, topic)
	if err != nil {
		return err
	}
	return q.rendered(0, func(b []byte) []byte {
		b = append(b, '{')
		for svc := range x.Services() {
			tags, some := svc.Tags(), true
			if len(sel.meta) > 0 || f != nil {
				tags, some = sel.tagsOf(svc, func(i *catalog.Instance) bool {
					row := view{s.datacenter}.catalogService(i)
					return f.Match(&row)
				})
			}
			if !some {
				continue
			}
			if len(b) > 1 {
				b = append(b, ',')
			}
			b = append(appendString(b, svc.Name), ':')
			b = appendStrings(b, tags)
		}
		return append(b, '}')
	})
}

// tagsOf is the union of the tags of the selected instances that also takes; some is
// false if there are none.
func (sel *selection) tagsOf(svc *catalog.Service, also func(*catalog.Instance) bool) (tags []string, some bool) {
	seen := map[string]bool{}
	for _, i := range svc.Instances() {
		if !sel.node(i.Host) || !also(i) {
			continue
		}
		some = true
		for _, t := range i.Tags {
			if !seen[t] {
				seen[t] = true
				tags = append(tags, t)
			}
		}
	}
	return tags, some
}

func appendStrings(b []byte, list []string) []byte {
	b = append(b, '[')
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, v)
	}
	return append(b, ']')
}

// catalogService is GET /v1/catalog/service/<service>: its instances, flat.
func (s *surface) catalogService(q *request) error {
	sel := s.selection(q)
	f, err := filterOf(q, &s.filters.instances)
	if err != nil {
		return err
	}
	return s.ofService(q, "catalog", &sel, func(v view, svc *catalog.Service) any {
		list := []api.CatalogService{}
		for _, i := range sel.instances(svc) {
			list = append(list, v.catalogService(i))
		}
		return f.Select(list)
	})
}

// ofService answers about one service. The answer is rendered once for every
// version of the service.
func (s *surface) ofService(q *request, kind string, sel *selection, build func(view, *catalog.Service) any) error {
	name, err := q.need("Missing service name")
	if err != nil {
		return err
	}
	x, err := s.catalogRead(q, catalog.ServiceTopic(name))
	if err != nil {
		return err
	}
	svc := x.Service(name)
	if svc == nil {
		return q.jsonBytes(emptyList)
	}
	return q.memo(svc, sel.key(kind), func() []byte { return mustJSON(build(view{s.datacenter}, svc)) })
}

// mustJSON spells what the catalog holds, which are plain values.
func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

var emptyList = []byte("[]")

// catalogNodes is GET /v1/catalog/nodes.
func (s *surface) catalogNodes(q *request) error {
	sel := s.selection(q)
	f, err := filterOf(q, &s.filters.nodes)
	if err != nil {
		return err
	}
	x, err := s.catalogRead(q, catalog.NodesTopic)
	if err != nil {
		return err
	}
	list := []*api.Node{}
	for n := range x.Nodes() {
		if !sel.node(n) {
			continue
		}
		if out := (view{s.datacenter}).node(n); f.Match(out) {
			list = append(list, out)
		}
	}
	return q.json(http.StatusOK, nearest(list, sel.near, func(n **api.Node) string { return (*n).Node }))
}

// catalogNode is GET /v1/catalog/node/<node>: the node and its instances by id, of
// which ?filter= selects.
func (s *surface) catalogNode(q *request) error {
	f, err := filterOf(q, &s.filters.services)
	if err != nil {
		return err
	}
	n, err := s.nodeNamed(q)
	if err != nil {
		return err
	}
	if n == nil {
		return q.json(http.StatusOK, nil)
	}
	v := view{s.datacenter}
	out := api.CatalogNode{Node: v.node(n), Services: map[string]api.NodeService{}}
	for _, i := range n.Instances() {
		if svc := v.nodeService(i); f.Match(svc) {
			out.Services[i.ID] = *svc
		}
	}
	return q.json(http.StatusOK, out)
}

// catalogNodeServices is GET /v1/catalog/node-services/<node>: the same, as a list.
func (s *surface) catalogNodeServices(q *request) error {
	f, err := filterOf(q, &s.filters.services)
	if err != nil {
		return err
	}
	n, err := s.nodeNamed(q)
	if err != nil {
		return err
	}
	var out api.CatalogNodeServices
	if n != nil {
		v := view{s.datacenter}
		out = api.CatalogNodeServices{Node: v.node(n), Services: []api.NodeService{}}
		for _, i := range n.Instances() {
			out.Services = append(out.Services, *v.nodeService(i))
		}
		out.Services = f.Select(out.Services)
	}
	return q.json(http.StatusOK, out)
}

// nodeNamed reads the node that the request names, nil if there is none.
func (s *surface) nodeNamed(q *request) (*catalog.Node, error) {
	name, err := q.need("Missing node name")
	if err != nil {
		return nil, err
	}
	x, err := s.catalogRead(q, catalog.NodeTopic(name))
	if err != nil {
		return nil, err
	}
	return x.Node(name), nil
}
