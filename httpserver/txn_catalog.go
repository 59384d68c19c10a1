package httpserver

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strings"

	"herald/httpserver/api"
	"herald/registry"
	"herald/registry/catalog"
)

// txnNode is an operation on a node.
type txnNode struct {
	Verb string
	Node struct {
		ID, Node, Address     string
		TaggedAddresses, Meta map[string]string
		ModifyIndex           uint64
	}
}

// txnService is an operation on an instance of a node.
type txnService struct {
	Verb    string
	Node    string
	Service api.ServiceRegistration
}

// txnCheck is an operation on a check.
type txnCheck struct {
	Verb  string
	Check struct {
		api.CheckRegistration
		ModifyIndex uint64
	}
}

// txnNodeState is a node in the middle of a transaction. Revisions are pending where the
// transaction has written.
type txnNodeState struct {
	node      *catalog.Node // nil if there is none
	instances map[string]*catalog.Instance
	checks    map[string]*catalog.Check // by id, which is unique on its node
}

func (t *txnState) onNode(name string) *txnNodeState {
	name = catalog.NodeTopic(name).Name
	n := t.nodes[name]
	if n == nil {
		n = &txnNodeState{instances: make(map[string]*catalog.Instance), checks: make(map[string]*catalog.Check)}
		t.nodes[name] = n
	}
	return n
}

// addRecord takes in a record of the catalog that was read. One that cannot be read is as if it
// were not there.
func (t *txnState) addRecord(kv *registry.KeyValue) error {
	var err error
	switch kv.Key[0] {
	case 'n':
		var r registry.Node
		if r, err = catalog.DecodeNode(kv.Value); err == nil {
			t.onNode(r.Name).node = &catalog.Node{Node: r, CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision, Lease: kv.Lease}
		}
	case 's':
		var r registry.Instance
		if r, err = catalog.DecodeInstance(kv.Value); err == nil {
			t.onNode(r.Node).instances[r.ID] = &catalog.Instance{Instance: r, CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision, Lease: kv.Lease}
		}
	case 'c':
		var r registry.Check
		if r, err = catalog.DecodeCheck(kv.Value); err == nil {
			t.onNode(r.Node).checks[r.ID] = &catalog.Check{Check: r, CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision, Lease: kv.Lease}
		}
	}
	if errors.Is(err, registry.ErrCorrupt) {
		return nil
	}
	return err
}

// refused notes why an operation is not taken, as the endpoint that registers says it.
func (t *txnState) refused(err error) { t.fail("%s", err.Error()) }

func (t *txnState) tellRecord(kind string, created, modified int64, spell func(created, modified int64) any) {
	t.results = append(t.results, func(done *registry.TxnResult) (json.RawMessage, error) {
		return json.Marshal(map[string]any{kind: spell(made(created, registry.SpaceCatalog, done), made(modified, registry.SpaceCatalog, done))})
	})
}

func (t *txnState) tellNode(n *catalog.Node) {
	rec := n.Node
	t.tellRecord("Node", n.CreateRevision, n.ModRevision, func(created, modified int64) any {
		return t.view.node(&catalog.Node{Node: rec, CreateRevision: created, ModRevision: modified})
	})
}

func (t *txnState) tellInstance(i *catalog.Instance) {
	rec := i.Instance
	t.tellRecord("Service", i.CreateRevision, i.ModRevision, func(created, modified int64) any {
		return t.view.nodeService(&catalog.Instance{Instance: rec, CreateRevision: created, ModRevision: modified})
	})
}

func (t *txnState) tellCheck(c *catalog.Check, n *txnNodeState) {
	rec, service, tags := c.Check, c.ServiceName, []string(nil)
	if i := n.instances[c.ServiceID]; i != nil {
		service, tags = i.Service, i.Tags
	}
	t.tellRecord("Check", c.CreateRevision, c.ModRevision, func(created, modified int64) any {
		return healthCheck(&rec, service, tags, index(created), index(modified))
	})
}

// stale says whether a record that has an index is not the one that a client has seen: of
// index 0, that there is one.
func stale(there bool, have int64, want uint64) bool {
	if want == 0 {
		return there
	}
	return !there || want > math.MaxInt64 || have != int64(want)
}

func (t *txnState) runNode(op *txnNode) {
	name := op.Node.Node
	if name == "" {
		t.fail("Must provide node")
		return
	}
	n := t.onNode(name)
	var have int64
	if n.node != nil {
		have = n.node.ModRevision
	}
	switch op.Verb {
	case "get":
		if n.node == nil {
			t.fail("node %q doesn't exist", name)
			return
		}
		t.tellNode(n.node)
	case "cas", "set":
		if op.Verb == "cas" && stale(n.node != nil, have, op.Node.ModifyIndex) {
			t.fail("failed to set node %q, index is stale", name)
			return
		}
		t.setNode(n, op)
	case "delete-cas", "delete":
		if op.Verb == "delete-cas" && n.node != nil && stale(true, have, op.Node.ModifyIndex) {
			t.fail("failed to delete node %q, index is stale", name)
			return
		}
		t.ops = append(t.ops, catalog.DeleteNode(name)...)
		t.nodes[catalog.NodeTopic(name).Name] = nil
	default:
		t.fail("unknown node operation: %s", op.Verb)
	}
}

func (t *txnState) setNode(n *txnNodeState, op *txnNode) {
	next := registry.Node{
		Name: op.Node.Node, ID: strings.ToLower(op.Node.ID), Address: op.Node.Address,
		TaggedAddresses: op.Node.TaggedAddresses, Meta: op.Node.Meta,
	}
	if next.ID != "" && !validUUID.MatchString(next.ID) {
		t.fail("Bad node ID: %q is not a UUID", op.Node.ID)
		return
	}
	if n.node != nil && next.ID == "" {
		next.ID = n.node.ID // a registration that does not name it does not take it away
	}
	if err := catalog.ValidateNode(next); err != nil {
		t.refused(err)
		return
	}
	put := catalog.PutNode(next, 0)
	// One that an agent keeps alive stays the agent's.
	put.Put.KeepLease = n.node != nil
	t.ops = append(t.ops, put)
	was := n.node
	if was == nil || !bytes.Equal(catalog.EncodeNode(was.Node), put.Put.Value) {
		n.node = &catalog.Node{Node: next, CreateRevision: pending, ModRevision: pending}
		if was != nil {
			n.node.CreateRevision = was.CreateRevision
		}
	}
	t.tellNode(n.node)
}

func (t *txnState) runService(op *txnService) {
	n := t.onNode(op.Node)
	id := op.Service.ID
	if id == "" {
		id = op.Service.Service
	}
	was := n.instances[id]
	var have int64
	if was != nil {
		have = was.ModRevision
	}
	switch op.Verb {
	case "get":
		if was == nil {
			t.fail("service %q on node %q doesn't exist", id, op.Node)
			return
		}
		t.tellInstance(was)
	case "cas", "set":
		switch {
		case n.node == nil:
			t.fail("Missing node registration")
			return
		case op.Verb == "cas" && stale(was != nil, have, op.Service.ModifyIndex):
			t.fail("failed to set service %q on node %q, index is stale", id, op.Node)
			return
		}
		t.setInstance(n, was, op)
	case "delete-cas", "delete":
		switch {
		case op.Service.Service == "":
			t.fail("Must provide service name (Service.Service) when service ID is provided")
			return
		case op.Verb == "delete-cas" && was != nil && stale(true, have, op.Service.ModifyIndex):
			t.fail("failed to delete service %q on node %q, index is stale", id, op.Node)
			return
		}
		t.ops = append(t.ops, catalog.DeleteInstance(op.Node, id)...)
		delete(n.instances, id)
		for check, c := range n.checks {
			if c.ServiceID == id {
				delete(n.checks, check)
			}
		}
	default:
		t.fail("unknown service operation: %s", op.Verb)
	}
}

func (t *txnState) setInstance(n *txnNodeState, was *catalog.Instance, op *txnService) {
	r := registration{node: n.node.Node}
	body := api.CatalogRegistration{Node: n.node.Name, Service: &op.Service}
	if err := unsupportedIn(&body); err != nil {
		t.refused(err)
		return
	}
	if err := r.addInstance(&body); err != nil {
		t.refused(err)
		return
	}
	put := catalog.PutInstance(*r.instance, 0)
	t.ops = append(t.ops, put)
	next := was
	if was == nil || was.Lease != 0 || !bytes.Equal(catalog.EncodeInstance(was.Instance), put.Put.Value) {
		next = &catalog.Instance{Instance: *r.instance, CreateRevision: pending, ModRevision: pending}
		if was != nil {
			next.CreateRevision = was.CreateRevision
		}
		n.instances[next.ID] = next
	}
	t.tellInstance(next)
}

func (t *txnState) runCheck(op *txnCheck) {
	node, id := op.Check.Node, op.Check.CheckID
	if id == "" {
		id = op.Check.Name
	}
	n := t.onNode(node)
	was := n.checks[id]
	var have int64
	if was != nil {
		have = was.ModRevision
	}
	switch op.Verb {
	case "get":
		if was == nil {
			t.fail("check %q on node %q doesn't exist", id, node)
			return
		}
		t.tellCheck(was, n)
	case "cas", "set":
		switch {
		case n.node == nil:
			t.fail("Missing node registration")
			return
		case op.Check.ServiceID != "" && n.instances[op.Check.ServiceID] == nil:
			t.fail("Missing service registration")
			return
		case op.Verb == "cas" && stale(was != nil, have, op.Check.ModifyIndex):
			t.fail("failed to set check %q on node %q, index is stale", id, node)
			return
		}
		t.setCheck(n, was, op)
	case "delete-cas", "delete":
		if op.Verb == "delete-cas" && was != nil && stale(true, have, op.Check.ModifyIndex) {
			t.fail("failed to delete check %q on node %q, index is stale", id, node)
			return
		}
		if was != nil {
			t.ops = append(t.ops, catalog.DeleteCheck(node, was.ServiceID, id)...)
			delete(n.checks, id)
		}
	default:
		t.fail("unknown check operation: %s", op.Verb)
	}
}

func (t *txnState) setCheck(n *txnNodeState, was *catalog.Check, op *txnCheck) {
	r := registration{node: n.node.Node}
	if i := n.instances[op.Check.ServiceID]; i != nil {
		r.instance = &i.Instance
	}
	if err := r.addCheck(&op.Check.CheckRegistration, nil); err != nil {
		t.refused(err)
		return
	}
	c := r.checks[0]
	if was != nil && was.ServiceID != c.ServiceID {
		t.ops = append(t.ops, catalog.DeleteCheck(was.Node, was.ServiceID, was.ID)...)
		was = nil
	}
	put := catalog.PutCheck(c, 0)
	t.ops = append(t.ops, put)
	next := was
	if was == nil || was.Lease != 0 || !bytes.Equal(catalog.EncodeCheck(was.Check), put.Put.Value) {
		next = &catalog.Check{Check: c, CreateRevision: pending, ModRevision: pending}
		if was != nil {
			next.CreateRevision = was.CreateRevision
		}
		n.checks[c.ID] = next
	}
	t.tellCheck(next, n)
}
