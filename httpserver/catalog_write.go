package httpserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"herald/httpserver/api"
	"herald/registry"
	"herald/registry/catalog"
)

// catalogRegister is PUT /v1/catalog/register: a node, and with it an instance and
// checks, written as they are and run by nobody. The records are permanent
// unless they end with a lease, which ?lease= names or ?ttl= makes.
func (s *surface) catalogRegister(q *request) error {
	var body api.CatalogRegistration
	if err := s.readJSON(q, &body, true); err != nil {
		return err
	}
	if err := s.checkDatacenter(body.Datacenter); err != nil {
		return err
	}
	lease, err := q.attachment()
	if err != nil {
		return err
	}
	ctx := q.caller(registry.ReasonClient)
	x, _, err := s.fresh(ctx, modeDefault)
	if err != nil {
		return err
	}
	r, err := newRegistration(&body, x)
	if err != nil {
		return err
	}
	t := r.txn(lease.id)
	// What has to hold comes first: r.explain goes by its place.
	t.Then = slices.Insert(t.Then, len(r.requires), lease.with()...)
	res, err := s.store.Txn(ctx, t)
	if err != nil {
		return lease.missing(r.explain(err))
	}
	lease.tell(q)
	return s.wrote(ctx, q, res)
}

// wrote answers a write to the catalog once a read through this process sees it.
func (s *surface) wrote(ctx context.Context, q *request, res registry.TxnResult) error {
	if _, err := s.contains(ctx, res.Revisions[registry.SpaceCatalog]); err != nil {
		return err
	}
	return q.bool(true)
}

// registration is what a CatalogRegistration comes to.
type registration struct {
	node     registry.Node
	ownID    string // the node's ID as the registration gave it
	keepNode bool   // leaves a node that is there as it is
	instance *registry.Instance
	checks   []registry.Check
	// moved are the checks' records under services they were of before.
	moved []registry.Op
	// requires says which check each leading operation of the transaction is for.
	requires []registry.Check
}

var validUUID = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// newRegistration checks a registration. x is the catalog as it stands: what
// follows from it is completed, and what must hold when the transaction is
// applied is required there again.
func newRegistration(body *api.CatalogRegistration, x *catalog.Index) (*registration, error) {
	if err := unsupportedIn(body); err != nil {
		return nil, err
	}
	switch {
	case body.Node == "":
		return nil, refuse(http.StatusInternalServerError, "Must provide node")
	case body.Address == "" && !body.SkipNodeUpdate:
		return nil, refuse(http.StatusInternalServerError, "Must provide address if SkipNodeUpdate is not set")
	case body.ID != "" && !validUUID.MatchString(body.ID):
		return nil, refusef(http.StatusInternalServerError, "Bad node ID: %q is not a UUID", body.ID)
	}
	r := &registration{keepNode: body.SkipNodeUpdate, ownID: strings.ToLower(body.ID), node: registry.Node{
		Name: body.Node, ID: strings.ToLower(body.ID), Address: body.Address,
		TaggedAddresses: body.TaggedAddresses, Meta: body.NodeMeta,
	}}
	was := x.Node(body.Node)
	if was != nil && r.node.ID == "" {
		r.node.ID = was.ID // a registration that does not name it does not take it away
	}
	if err := catalog.ValidateNode(r.node); err != nil {
		return nil, err
	}
	if err := r.addInstance(body); err != nil {
		return nil, err
	}
	checks := body.Checks
	if body.Check != nil {
		checks = append([]api.CheckRegistration{*body.Check}, checks...)
	}
	for i := range checks {
		if err := r.addCheck(&checks[i], was); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *registration) addInstance(body *api.CatalogRegistration) error {
	s := body.Service
	if s == nil {
		return nil
	}
	if s.Service == "" {
		return refuse(http.StatusInternalServerError, "Must provide service name (Service.Service) when service ID is provided")
	}
	i := registry.Instance{
		Node: body.Node, ID: s.ID, Service: s.Service, Tags: s.Tags, Address: s.Address, Port: s.Port,
		Meta: s.Meta, Weights: registry.DefaultWeights(), EnableTagOverride: s.EnableTagOverride, SocketPath: s.SocketPath,
	}
	if i.ID == "" {
		i.ID = s.Service
	}
	if s.Weights != nil {
		i.Weights = registry.Weights(*s.Weights)
	}
	for tag, a := range s.TaggedAddresses {
		if i.TaggedAddresses == nil {
			i.TaggedAddresses = map[string]registry.ServiceAddress{}
		}
		i.TaggedAddresses[tag] = registry.ServiceAddress(a)
	}
	r.instance = &i
	return catalog.ValidateInstance(i)
}

func (r *registration) addCheck(c *api.CheckRegistration, was *catalog.Node) error {
	if c.Node != "" && !strings.EqualFold(c.Node, r.node.Name) {
		return refusef(http.StatusInternalServerError, "Check %q is of node %q, and the registration is of node %q", c.CheckID, c.Node, r.node.Name)
	}
	out := registry.Check{
		Node: r.node.Name, ID: c.CheckID, Name: c.Name, Status: registry.HealthStatus(c.Status), Notes: c.Notes, Output: c.Output,
		ServiceID: c.ServiceID, ServiceName: c.ServiceName, Kind: c.Type,
	}
	if out.ID == "" {
		out.ID = c.Name
	}
	if out.ID == "" {
		return refuse(http.StatusInternalServerError, "Must provide a check's CheckID or Name")
	}
	if out.Status == "" {
		out.Status = registry.Critical
	}
	if !out.Status.Valid() {
		return refusef(http.StatusBadRequest, "Invalid check status: '%s': want passing, warning or critical", c.Status)
	}
	var err error
	if out.Interval, out.Timeout, err = checkTimes(c); err != nil {
		return err
	}
	if out.ServiceID != "" {
		out.ServiceName = r.serviceOf(out.ServiceID, out.ServiceName, was)
		if r.instance == nil || r.instance.ID != out.ServiceID {
			r.requires = append(r.requires, out)
		}
	}
	if err := catalog.ValidateCheck(out); err != nil {
		return err
	}
	r.moved = append(r.moved, movedFrom(&out, was)...)
	r.checks = append(r.checks, out)
	return nil
}

// serviceOf is the name of the service that an instance of the node is of.
func (r *registration) serviceOf(id, said string, was *catalog.Node) string {
	if r.instance != nil && r.instance.ID == id {
		return r.instance.Service
	}
	if was != nil {
		if i := was.Instance(id); i != nil {
			return i.Service
		}
	}
	return said
}

// movedFrom deletes the records that a check of that id has elsewhere on the node:
// a check's id is unique on its node, whatever it is of.
func movedFrom(c *registry.Check, was *catalog.Node) []registry.Op {
	var ops []registry.Op
	for _, serviceID := range holdersOf(c.ID, was) {
		if serviceID != c.ServiceID {
			ops = append(ops, catalog.DeleteCheck(was.Name, serviceID, c.ID)...)
		}
	}
	return ops
}

// holdersOf are the ids of the instances that have a check of that id, with "" for
// the node itself.
func holdersOf(checkID string, n *catalog.Node) []string {
	if n == nil {
		return nil
	}
	var ids []string
	for _, c := range n.Checks {
		if c.ID == checkID {
			ids = append(ids, "")
		}
	}
	for _, i := range n.Instances() {
		for _, c := range i.Checks {
			if c.ID == checkID {
				ids = append(ids, i.ID)
			}
		}
	}
	return ids
}

// checkTimes are the interval and timeout of a check, from itself or its definition.
func checkTimes(c *api.CheckRegistration) (interval, timeout time.Duration, err error) {
	var d struct{ Interval, Timeout json.RawMessage }
	if len(c.Definition) > 0 {
		if err := json.Unmarshal(c.Definition, &d); err != nil {
			return 0, 0, undecodable(c.Definition, err)
		}
	}
	if interval, err = duration("Interval", c.Interval, d.Interval); err != nil {
		return 0, 0, err
	}
	timeout, err = duration("Timeout", c.Timeout, d.Timeout)
	return interval, timeout, err
}

// duration reads a duration that is text or, where text is empty, JSON of either
// kind that clients send: text or nanoseconds.
func duration(field, text string, raw json.RawMessage) (time.Duration, error) {
	if text == "" && len(raw) > 0 {
		var n int64
		if json.Unmarshal(raw, &n) == nil {
			return time.Duration(n), nil
		}
		if err := json.Unmarshal(raw, &text); err != nil {
			return 0, refusef(http.StatusBadRequest, "Request decode failed: %s: want a duration such as \"10s\", have %s", field, raw)
		}
	}
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, refusef(http.StatusBadRequest, "Request decode failed: %s: want a duration such as \"10s\", have %q", field, text)
	}
	return d, nil
}

// txn is the transaction that writes a registration: first what has to hold, then
// the records.
func (r *registration) txn(lease registry.LeaseID) registry.Txn {
	var ops []registry.Op
	for _, c := range r.requires {
		ops = append(ops, registry.Op{Require: &registry.Compare{
			Space: registry.SpaceCatalog, KeyRange: registry.One(catalog.InstanceKey(c.Node, c.ServiceID)),
			Target: registry.CompareCreate, Result: registry.Greater, Int: 0,
		}})
	}
	ops = append(ops, r.nodeOp(lease))
	ops = append(ops, r.moved...)
	if r.instance != nil {
		ops = append(ops, catalog.PutInstance(*r.instance, lease))
	}
	for _, c := range r.checks {
		ops = append(ops, catalog.PutCheck(c, lease))
	}
	return registry.Txn{Then: ops}
}

// fresh is the node if it does not exist when the registration is applied: what was
// taken over from a record that has gone meanwhile is then nobody's.
func (r *registration) fresh() registry.Node {
	n := r.node
	n.ID = r.ownID
	return n
}

// nodeOp writes the node. One that an agent keeps alive stays the agent's: its
// record keeps its lease unless another was asked for.
func (r *registration) nodeOp(lease registry.LeaseID) registry.Op {
	t := &registry.Txn{
		Compare: []registry.Compare{{
			Space: registry.SpaceCatalog, KeyRange: registry.One(catalog.NodeKey(r.node.Name)),
			Target: registry.CompareCreate, Int: 0,
		}},
		Then: []registry.Op{catalog.PutNode(r.fresh(), lease)},
	}
	if !r.keepNode {
		again := catalog.PutNode(r.node, lease)
		again.Put.KeepLease = lease == 0
		t.Else = []registry.Op{again}
	}
	return registry.Op{Txn: t}
}

// explain says which check a failed requirement was about.
func (r *registration) explain(err error) error {
	var re *registry.RequireError
	if errors.As(err, &re) && re.Op < len(r.requires) {
		c := r.requires[re.Op]
		return because(registry.ErrServiceNotFound, http.StatusInternalServerError,
			"Unknown service ID '%s' for check ID '%s'", c.ServiceID, c.ID)
	}
	return err
}

// catalogDeregister is PUT /v1/catalog/deregister. What is not there is gone already.
func (s *surface) catalogDeregister(q *request) error {
	var body api.CatalogDeregistration
	if err := s.readJSON(q, &body, true); err != nil {
		return err
	}
	if err := s.checkDatacenter(body.Datacenter); err != nil {
		return err
	}
	if err := unsupportedFields("", named{"PeerName", body.PeerName}, named{"Namespace", body.Namespace}, named{"Partition", body.Partition}); err != nil {
		return err
	}
	if body.Node == "" {
		return refuse(http.StatusInternalServerError, "Must provide node")
	}
	ctx := q.caller(registry.ReasonClient)
	var ops []registry.Op
	switch {
	case body.ServiceID != "":
		ops = catalog.DeleteInstance(body.Node, body.ServiceID)
	case body.CheckID != "":
		x, _, err := s.fresh(ctx, modeDefault)
		if err != nil {
			return err
		}
		for _, serviceID := range holdersOf(body.CheckID, x.Node(body.Node)) {
			ops = append(ops, catalog.DeleteCheck(body.Node, serviceID, body.CheckID)...)
		}
	default:
		ops = catalog.DeleteNode(body.Node)
	}
	if len(ops) == 0 {
		return q.bool(true)
	}
	res, err := s.store.Txn(ctx, registry.Txn{Then: ops})
	if err != nil {
		return err
	}
	return s.wrote(ctx, q, res)
}

// named is a field of a body that clients send and Herald has no use for.
type named struct {
	name  string
	value json.RawMessage
}

func unsupportedIn(r *api.CatalogRegistration) error {
	if err := unsupportedFields("", named{"Namespace", r.Namespace}, named{"Partition", r.Partition},
		named{"PeerName", r.PeerName}, named{"Locality", r.Locality}); err != nil {
		return err
	}
	if s := r.Service; s != nil {
		if err := unsupportedFields("Service.", named{"Kind", s.Kind}, named{"Proxy", s.Proxy}, named{"Connect", s.Connect},
			named{"Namespace", s.Namespace}, named{"Partition", s.Partition}, named{"PeerName", s.PeerName},
			named{"Locality", s.Locality}, named{"Ports", s.Ports}); err != nil {
			return err
		}
	}
	return nil
}

// unsupportedFields refuses the first field that says anything.
func unsupportedFields(within string, fields ...named) error {
	for _, f := range fields {
		var v any
		if len(f.value) > 0 && json.Unmarshal(f.value, &v) == nil && !saysNothing(v) {
			return because(registry.ErrInvalid, http.StatusBadRequest, "%s%s is not supported: leave it out", within, f.name)
		}
	}
	return nil
}

// saysNothing reports whether decoded JSON is empty all the way down, as the zero
// values are that clients send along. "default" is the name of what everybody has.
func saysNothing(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case float64:
		return v == 0
	case string:
		return v == "" || v == "default"
	case []any:
		return len(v) == 0
	case map[string]any:
		for _, e := range v {
			if !saysNothing(e) {
				return false
			}
		}
		return true
	}
	panic(fmt.Sprintf("decoded JSON of type %T", v))
}
