package httpserver

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"

	"herald/httpserver/api"
	"herald/registry"
	"herald/registry/catalog"
	"herald/registry/query"
)

var errNoQuery = refuse(http.StatusNotFound, "Query not found")

// queryList is GET /v1/query: every prepared query, by id.
func (s *surface) queryList(q *request) error {
	list, err := s.queries(q, query.All())
	if err != nil {
		return err
	}
	return q.json(http.StatusOK, list)
}

// queryGet is GET /v1/query/<id>, and with /execute or /explain after it, which take
// a name too, what the query stands for or would be executed as.
func (s *surface) queryGet(q *request) error {
	if name, ok := strings.CutSuffix(q.arg, "/execute"); ok {
		return s.queryExecute(q, name)
	}
	if name, ok := strings.CutSuffix(q.arg, "/explain"); ok {
		return s.queryExplain(q, name)
	}
	id, err := queryID(q)
	if err != nil {
		return err
	}
	list, err := s.queries(q, registry.One(query.Key(id)))
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return errNoQuery
	}
	return q.json(http.StatusOK, list)
}

// queries reads the queries of a range, once they have changed since the index that
// the client has.
func (s *surface) queries(q *request, keys registry.KeyRange) ([]api.PreparedQuery, error) {
	o, err := parseReadOptions(&q.query)
	if err != nil {
		return nil, err
	}
	r := registry.RangeRequest{Space: registry.SpaceSession, KeyRange: keys, WithLastChange: true}
	res, idx, err := s.rangeBlock(q, &o, func(ctx context.Context) (registry.RangeResult, uint64, error) {
		res, err := s.read(ctx, o.mode, r)
		return res, index(res.LastChange), err
	}, r.Space, keys)
	if err != nil {
		return nil, err
	}
	list := make([]api.PreparedQuery, 0, len(res.KVs))
	for i := range res.KVs {
		d, err := query.Decode(&res.KVs[i])
		if err != nil {
			return nil, err
		}
		list = append(list, api.PreparedQuery{Definition: d.Definition, CreateIndex: index(d.CreateRevision), ModifyIndex: index(d.ModRevision)})
	}
	s.readHeaders(q.header(), o.mode, idx, res.Age)
	q.header()[api.HeaderConsistency] = modeHeaders[o.mode]
	return list, nil
}

// queryExecute answers with the instances that a query stands for, in random order but
// for those near the node that it names. ?limit= bounds how many, ?near= names a node.
func (s *surface) queryExecute(q *request, name string) error {
	limit := 0
	if v := q.query.get("limit"); v != "" {
		n, err := strconv.ParseUint(v, 10, 31)
		if err != nil {
			return refusef(http.StatusBadRequest, "Invalid limit %q: want a number", v)
		}
		limit = int(n)
	}
	if v, ok := q.query.lookup("connect"); ok && v != "false" {
		return errNoConnect
	}
	d, a, o, err := s.findQuery(q, name)
	if err != nil {
		return err
	}
	near := q.query.get("near")
	if near == "" {
		near = d.Service.Near
	}
	instances := d.Execute(a.Index, query.Options{Near: s.nodeNear(q, near), Limit: limit, Shuffle: rand.Shuffle})
	h := q.header()
	out := api.PreparedQueryExecution{
		Service: d.Service.Service, Nodes: make([]api.ServiceEntry, 0, len(instances)), DNS: d.DNS, Datacenter: s.datacenter,
		Index: a.revision, KnownLeader: h[api.HeaderKnownLeader][0] == yes[0],
	}
	if o.mode == modeStale {
		out.LastContact = uint64(max(a.age, 0).Milliseconds())
	}
	v := view{s.datacenter}
	for _, i := range instances {
		out.Nodes = append(out.Nodes, v.entry(i))
	}
	return q.json(http.StatusOK, out)
}

// queryExplain answers with the query that a name stands for.
func (s *surface) queryExplain(q *request, name string) error {
	d, _, _, err := s.findQuery(q, name)
	if err != nil {
		return err
	}
	return q.json(http.StatusOK, api.PreparedQueryExplanation{Query: d.Definition})
}

// findQuery finds a query and the catalog to execute it on, and sets the headers of
// the answer. A template called by its id is none: it wants a name.
func (s *surface) findQuery(q *request, name string) (*query.Stored, answer, readOptions, error) {
	fail := func(err error) (*query.Stored, answer, readOptions, error) { return nil, answer{}, readOptions{}, err }
	o, err := parseReadOptions(&q.query)
	if err != nil {
		return fail(err)
	}
	ctx := q.r.Context()
	d, err := query.Find(ctx, func(ctx context.Context, r registry.RangeRequest) (registry.RangeResult, error) {
		return s.read(ctx, o.mode, r)
	}, name)
	switch {
	case err != nil:
		return fail(badQuery(err))
	case d == nil:
		return fail(errNoQuery)
	case query.IsID(name) && d.IsTemplate():
		return fail(refusef(http.StatusInternalServerError, "The prepared query %q is a template: ask for it by a name that begins with %q", name, d.Name))
	}
	x, age, err := s.fresh(ctx, o.mode)
	if err != nil {
		return fail(err)
	}
	a := answer{x, topicIndex(x, catalog.ServiceTopic(d.Service.Service)), age}
	s.readHeaders(q.header(), o.mode, a.revision, a.age)
	q.header()[api.HeaderConsistency] = modeHeaders[o.mode]
	return d, a, o, nil
}
