package httpserver

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"herald/httpserver/api"
)

// modelRecord is a node, an instance or a check, as far as the model's operations make them
// differ.
type modelRecord struct {
	ID      string // of a node: its UUID; of the others what they are called on their node
	Text    string // a node's address, an instance's tag, a check's output
	Service string // an instance's service; of a check the one that its instance was of when it was written
	Of      string // the instance that a check is of
	Create  uint64
	Modify  uint64
}

// same says whether a write of the one leaves the other as it is.
func (r modelRecord) same(o modelRecord) bool {
	return r.ID == o.ID && r.Text == o.Text && r.Service == o.Service && r.Of == o.Of
}

// modelNode is a node with all that it has.
type modelNode struct {
	modelRecord
	instances, checks map[string]modelRecord
}

func (n modelNode) clone() modelNode {
	n.instances, n.checks = maps.Clone(n.instances), maps.Clone(n.checks)
	return n
}

// modelCatalog is plain maps that do to a catalog what the verbs of a transaction say.
type modelCatalog struct {
	nodes map[string]modelNode
	rev   uint64
}

// modelCatalogOp is an operation on the record of that kind.
type modelCatalogOp struct {
	kind, verb string
	node       string
	record     modelRecord
	index      uint64
}

// spelled is the operation as a client sends it.
func (op modelCatalogOp) spelled() map[string]any {
	r := op.record
	switch op.kind {
	case "Node":
		return map[string]any{"Node": map[string]any{"Verb": op.verb,
			"Node": map[string]any{"Node": op.node, "ID": r.ID, "Address": r.Text, "ModifyIndex": op.index}}}
	case "Service":
		return map[string]any{"Service": map[string]any{"Verb": op.verb, "Node": op.node,
			"Service": map[string]any{"ID": r.ID, "Service": r.Service, "Tags": []string{r.Text}, "ModifyIndex": op.index}}}
	}
	return map[string]any{"Check": map[string]any{"Verb": op.verb,
		"Check": map[string]any{"Node": op.node, "CheckID": r.ID, "ServiceID": r.Of, "Status": "passing", "Output": r.Text, "ModifyIndex": op.index}}}
}

// run carries out a transaction: the records that it answers with, or what is wrong with which operations.
func (m *modelCatalog) run(ops []modelCatalogOp) (results []modelRecord, failed []txnError) {
	nodes, wrote, pending := map[string]modelNode{}, false, uint64(1<<63+1)
	for name, n := range m.nodes {
		nodes[name] = n.clone()
	}
	for at, op := range ops {
		name := strings.ToLower(op.node)
		n, there := nodes[name]
		if !there {
			n = modelNode{instances: map[string]modelRecord{}, checks: map[string]modelRecord{}}
		}
		records, called, missing := n.instances, fmt.Sprintf("service %q on node %q", op.record.ID, op.node), !there
		switch op.kind {
		case "Node":
			records, called, missing = map[string]modelRecord{}, fmt.Sprintf("node %q", op.node), false
			if there {
				records[op.record.ID] = n.modelRecord
			}
		case "Check":
			records, called = n.checks, fmt.Sprintf("check %q on node %q", op.record.ID, op.node)
		}
		was, exists := records[op.record.ID]
		fail := func(what string) { failed = append(failed, txnError{at, what}) }
		switch op.verb {
		case "get":
			if !exists {
				fail(called + " doesn't exist")
				continue
			}
			results = append(results, was)
		case "set", "cas":
			service, serves := n.instances[op.record.Of]
			switch {
			case missing:
				fail("Missing node registration")
				continue
			case op.kind == "Check" && op.record.Of != "" && !serves:
				fail("Missing service registration")
				continue
			case op.verb == "cas" && (op.index == 0 && exists || op.index != 0 && (!exists || was.Modify != op.index)):
				fail("failed to set " + called + ", index is stale")
				continue
			}
			next := op.record
			if op.kind == "Check" {
				next.Service = service.Service
				if was.Of != next.Of {
					wrote = wrote || exists
					was, exists = modelRecord{}, false // its record is another's
				}
			}
			if next.Create = was.Create; !exists {
				next.Create = pending
			}
			if next.Modify = was.Modify; !exists || !was.same(next) {
				next.Modify, wrote = pending, true
			}
			results = append(results, next)
			if op.kind == "Node" {
				n.modelRecord = next
			} else {
				records[next.ID] = next
			}
			nodes[name] = n
		case "delete", "delete-cas":
			if op.verb == "delete-cas" && exists && was.Modify != op.index {
				fail("failed to delete " + called + ", index is stale")
				continue
			}
			wrote = wrote || exists
			switch op.kind {
			case "Node":
				delete(nodes, name)
			case "Service":
				delete(records, op.record.ID)
				maps.DeleteFunc(n.checks, func(_ string, c modelRecord) bool { return c.Of == op.record.ID })
			default:
				delete(records, op.record.ID)
			}
		}
	}
	if len(failed) > 0 {
		return nil, failed
	}
	if wrote {
		m.rev++
	}
	made := func(r *modelRecord) {
		if r.Create == pending {
			r.Create = m.rev
		}
		if r.Modify == pending {
			r.Modify = m.rev
		}
	}
	for i := range results {
		made(&results[i])
	}
	for name, n := range nodes {
		made(&n.modelRecord)
		for _, records := range []map[string]modelRecord{n.instances, n.checks} {
			for id, r := range records {
				made(&r)
				records[id] = r
			}
		}
		nodes[name] = n
	}
	m.nodes = nodes
	return results, nil
}

func recordOfNode(n *api.Node) modelRecord {
	return modelRecord{ID: n.ID, Text: n.Address, Create: n.CreateIndex, Modify: n.ModifyIndex}
}

func recordOfService(s *api.NodeService) modelRecord {
	return modelRecord{ID: s.ID, Text: s.Tags[0], Service: s.Service, Create: s.CreateIndex, Modify: s.ModifyIndex}
}

// recordOfCheck leaves out the service, of which readers are told what it is by now.
func recordOfCheck(c *api.HealthCheck) modelRecord {
	return modelRecord{ID: c.CheckID, Text: c.Output, Of: c.ServiceID, Create: c.CreateIndex, Modify: c.ModifyIndex}
}

// read is the catalog as readers find it.
func (h *harness) readCatalog() map[string]modelNode {
	h.t.Helper()
	all := map[string]modelNode{}
	var nodes []api.Node
	h.get("/v1/catalog/nodes", &nodes)
	for i := range nodes {
		n := modelNode{recordOfNode(&nodes[i]), map[string]modelRecord{}, map[string]modelRecord{}}
		var services api.CatalogNodeServices
		h.get("/v1/catalog/node-services/"+nodes[i].Node, &services)
		for i := range services.Services {
			r := recordOfService(&services.Services[i])
			n.instances[r.ID] = r
		}
		var checks []api.HealthCheck
		h.get("/v1/health/node/"+nodes[i].Node, &checks)
		for i := range checks {
			if of := checks[i].ServiceID; checks[i].ServiceName != n.instances[of].Service {
				h.t.Errorf("check %s is of service %q, and its instance %s of %q", checks[i].CheckID, checks[i].ServiceName, of, n.instances[of].Service)
			}
			r := recordOfCheck(&checks[i])
			n.checks[r.ID] = r
		}
		all[nodes[i].Node] = n
	}
	return all
}

// readable is the catalog of the model as readers find it.
func (m *modelCatalog) readable() map[string]modelNode {
	all := map[string]modelNode{}
	for name, n := range m.nodes {
		n = n.clone()
		for id, c := range n.checks {
			c.Service = ""
			n.checks[id] = c
		}
		all[name] = n
	}
	return all
}

// drawCatalogOp is any operation, half of them with the index that the record has.
func drawCatalogOp(t *rapid.T, m *modelCatalog) modelCatalogOp {
	op := modelCatalogOp{
		kind: rapid.SampledFrom([]string{"Node", "Service", "Service", "Check", "Check"}).Draw(t, "kind"),
		verb: rapid.SampledFrom([]string{"set", "set", "set", "cas", "cas", "get", "delete", "delete-cas"}).Draw(t, "verb"),
		node: rapid.SampledFrom([]string{"n1", "n1", "n2"}).Draw(t, "node"),
	}
	n := m.nodes[op.node]
	op.record.Text = rapid.SampledFrom([]string{"a", "b"}).Draw(t, "text")
	var was modelRecord
	switch op.kind {
	case "Node":
		op.record.ID = "5b6a1d2e-0000-4000-8000-00000000000" + op.node[1:]
		was = n.modelRecord
	case "Service":
		op.record.ID = rapid.SampledFrom([]string{"s1", "s2"}).Draw(t, "instance")
		op.record.Service = rapid.SampledFrom([]string{"web", "web", "db"}).Draw(t, "service")
		was = n.instances[op.record.ID]
	case "Check":
		op.record.ID = rapid.SampledFrom([]string{"c1", "c2"}).Draw(t, "check")
		op.record.Of = rapid.SampledFrom([]string{"", "s1", "s2"}).Draw(t, "of")
		was = n.checks[op.record.ID]
	}
	if op.kind != "Node" && rapid.IntRange(0, 3).Draw(t, "case") == 0 {
		op.node = strings.ToUpper(op.node)
	}
	if op.index = was.Modify; rapid.Bool().Draw(t, "other index") {
		op.index = rapid.SampledFrom([]uint64{0, 1, m.rev, m.rev + 1, 1 << 63, math.MaxUint64}).Draw(t, "index")
	}
	return op
}

// TestTxnOfTheCatalogIsMaps holds random transactions of nodes, instances and checks against a
// model: which operations fail and why, what the others answer, and what is there afterwards, with its indexes.
func TestTxnOfTheCatalogIsMaps(t *testing.T) {
	h := open(t)
	rapid.Check(t, func(rt *rapid.T) {
		h.ok("PUT", "/v1/catalog/deregister", `{"Node":"n1"}`)
		h.ok("PUT", "/v1/catalog/deregister", `{"Node":"n2"}`)
		h.ok("PUT", "/v1/catalog/register", `{"Node":"probe","Address":"x"}`)
		var probe []api.Node
		h.get("/v1/catalog/nodes", &probe)
		h.ok("PUT", "/v1/catalog/deregister", `{"Node":"probe"}`)
		m := &modelCatalog{nodes: map[string]modelNode{}, rev: probe[0].ModifyIndex + 1}
		for range rapid.IntRange(1, 10).Draw(rt, "transactions") {
			var ops []modelCatalogOp
			var body []any
			for range rapid.IntRange(1, 6).Draw(rt, "operations") {
				op := drawCatalogOp(rt, m)
				ops, body = append(ops, op), append(body, op.spelled())
			}
			b, err := json.Marshal(body)
			if err != nil {
				rt.Fatal(err)
			}
			was := fmt.Sprint(m.nodes)
			want, failed := m.run(ops)
			a := h.do(http.MethodPut, "/v1/txn", string(b))
			var got struct {
				Results []struct {
					Node    *api.Node
					Service *api.NodeService
					Check   *api.HealthCheck
				}
				Errors []txnError
			}
			if err := json.Unmarshal([]byte(a.body), &got); err != nil {
				rt.Fatalf("%s: %d %s: %v", b, a.status, a.body, err)
			}
			if !slices.Equal(got.Errors, failed) || (a.status == http.StatusOK) != (len(failed) == 0) {
				rt.Fatalf("%s\nof %s\nanswers %d %s\nwant errors %+v", b, was, a.status, a.body, failed)
			}
			var results []modelRecord
			for i, r := range got.Results {
				switch {
				case r.Node != nil:
					results = append(results, recordOfNode(r.Node))
				case r.Service != nil:
					results = append(results, recordOfService(r.Service))
				case r.Check != nil:
					results = append(results, recordOfCheck(r.Check))
					want[min(i, len(want)-1)].Service = ""
				}
			}
			if !slices.Equal(results, want) {
				rt.Fatalf("%s\nof %s at %d\nanswers %s\nwant %+v", b, was, m.rev, a.body, want)
			}
			if there, should := h.readCatalog(), m.readable(); !reflect.DeepEqual(there, should) {
				rt.Fatalf("%s\nof %s at %d\nleaves %+v\nwant %+v", b, was, m.rev, there, should)
			}
		}
	})
}
