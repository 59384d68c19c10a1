package httpserver

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"herald/httpserver/api"
	"herald/registry"
)

// coordinatePrefix is where coordinates are kept, in registry.SpaceSession, by their
// node. Herald measures none: they are those that a client which does sends.
const coordinatePrefix = "coordinate/"

// maxDimensions bounds a coordinate.
const maxDimensions = 64

func coordinateKey(node string) string { return coordinatePrefix + strings.ToLower(node) }

// coordinateDatacenters is GET /v1/coordinate/datacenters.
func (s *surface) coordinateDatacenters(q *request) error {
	return q.json(http.StatusOK, []api.CoordinateDatacenter{{Datacenter: s.datacenter, AreaID: "wan", Coordinates: []api.CoordinateEntry{}}})
}

// coordinateNodes is GET /v1/coordinate/nodes.
func (s *surface) coordinateNodes(q *request) error {
	list, err := s.coordinates(q, registry.Prefix(coordinatePrefix))
	if err != nil {
		return err
	}
	return q.json(http.StatusOK, list)
}

// coordinateNode is GET /v1/coordinate/node/<node>: 404 if it has none.
func (s *surface) coordinateNode(q *request) error {
	node, err := q.need("Missing node name")
	if err != nil {
		return err
	}
	list, err := s.coordinates(q, registry.One(coordinateKey(node)))
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return q.body(http.StatusNotFound, nil)
	}
	return q.json(http.StatusOK, list)
}

// coordinates reads the coordinates of the nodes that there are, once one in the range
// has changed since the index that the client has.
func (s *surface) coordinates(q *request, keys registry.KeyRange) ([]api.CoordinateEntry, error) {
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
	x, _, err := s.fresh(q.r.Context(), o.mode)
	if err != nil {
		return nil, err
	}
	segment, bySegment := q.query.lookup("segment")
	list := []api.CoordinateEntry{}
	for i := range res.KVs {
		var e api.CoordinateEntry
		if err := json.Unmarshal(res.KVs[i].Value, &e); err != nil {
			return nil, fmt.Errorf("coordinate of node %s: %w: %w", strings.TrimPrefix(res.KVs[i].Key, coordinatePrefix), registry.ErrCorrupt, err)
		}
		n := x.Node(e.Node)
		if n == nil || bySegment && e.Segment != segment {
			continue
		}
		e.Node = n.Name
		list = append(list, e)
	}
	s.readHeaders(q.header(), o.mode, idx, res.Age)
	q.header()[api.HeaderConsistency] = modeHeaders[o.mode]
	return list, nil
}

// coordinateUpdate is PUT /v1/coordinate/update: of a node in the catalog, whose
// coordinate goes when the lease ends that its record hangs from.
func (s *surface) coordinateUpdate(q *request) error {
	var e api.CoordinateEntry
	if err := s.readJSON(q, &e, false); err != nil {
		return err
	}
	if err := validCoordinate(&e); err != nil {
		return err
	}
	ctx := q.caller(registry.ReasonClient)
	x, _, err := s.fresh(ctx, modeDefault)
	if err != nil {
		return err
	}
	n := x.Node(e.Node)
	if n == nil {
		return because(registry.ErrNodeNotFound, http.StatusInternalServerError, "Unknown node %q: register it before its coordinate", e.Node)
	}
	value, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = registry.Put(ctx, s.store, registry.PutRequest{
		Space: registry.SpaceSession, Key: coordinateKey(n.Name), Value: value, Lease: n.Lease, IfChanged: true,
	})
	if err != nil {
		return err
	}
	return q.empty()
}

func validCoordinate(e *api.CoordinateEntry) error {
	c := e.Coord
	switch {
	case e.Node == "":
		return refuse(http.StatusBadRequest, "Missing Node: want the name of the node that the coordinate is of")
	case c == nil:
		return refuse(http.StatusBadRequest, "Missing Coord: want an object with Vec, Error, Adjustment and Height")
	case len(c.Vec) == 0 || len(c.Vec) > maxDimensions:
		return refusef(http.StatusBadRequest, "Coord.Vec has %d dimensions: want 1 to %d", len(c.Vec), maxDimensions)
	}
	return nil
}
