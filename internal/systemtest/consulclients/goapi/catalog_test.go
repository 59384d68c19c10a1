package consulapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

func TestAgentService(t *testing.T) {
	c := server(t)
	svc := name(t, "web")
	reg := &api.AgentServiceRegistration{
		ID: svc + "-1", Name: svc, Port: 8080, Tags: []string{"v1", "blue"}, Address: "10.1.2.3", Meta: map[string]string{"k": "v"},
		Weights: &api.AgentWeights{Passing: 5, Warning: 2}, Check: &api.AgentServiceCheck{TTL: "30s"},
	}
	check(t, c.Agent().ServiceRegister(reg))
	check(t, c.Agent().UpdateTTL("service:"+svc+"-1", "ready", api.HealthPassing))
	found := func(tag string, passing bool) []*api.ServiceEntry {
		t.Helper()
		all, _, err := server(t).Health().Service(svc, tag, passing, nil)
		check(t, err)
		return all
	}
	eventually(t, "the service", func() error {
		if n := len(found("blue", true)); n != 1 {
			return fmt.Errorf("%d instances", n)
		}
		return nil
	})
	s := found("", false)[0]
	if s.Service.Port != 8080 || s.Service.Address != "10.1.2.3" || s.Service.Weights.Passing != 5 || s.Service.Meta["k"] != "v" || len(s.Checks) != 2 {
		t.Errorf("%+v with %d checks", s.Service, len(s.Checks))
	}
	equal(t, "with another tag", len(found("green", false)), 0)
	mine, err := c.Agent().Services()
	check(t, err)
	equal(t, "among the agent's", mine[svc+"-1"].Service, svc)
	filtered, err := c.Agent().ServicesWithFilter("Service == \"" + svc + "\"")
	check(t, err)
	equal(t, "filtered", len(filtered), 1)
	status, _, err := c.Agent().AgentHealthServiceByID(svc + "-1")
	check(t, err)
	equal(t, "health", status, api.HealthPassing)

	// What is registered once more, as it is, moves no index.
	_, meta, err := server(t).Health().Service(svc, "", false, nil)
	check(t, err)
	check(t, c.Agent().ServiceRegister(reg))
	check(t, c.Agent().UpdateTTL("service:"+svc+"-1", "ready", api.HealthPassing))
	_, again, err := server(t).Health().Service(svc, "", false, &api.QueryOptions{WaitIndex: meta.LastIndex, WaitTime: 500 * time.Millisecond})
	check(t, err)
	equal(t, "index", again.LastIndex, meta.LastIndex)

	check(t, c.Agent().EnableServiceMaintenance(svc+"-1", "upgrade"))
	eventually(t, "maintenance", func() error {
		if n := len(found("", true)); n != 0 {
			return fmt.Errorf("%d instances", n)
		}
		return nil
	})
	check(t, c.Agent().DisableServiceMaintenance(svc+"-1"))
	check(t, c.Agent().ServiceDeregister(svc+"-1"))
	eventually(t, "its end", func() error {
		if n := len(found("", false)); n != 0 {
			return fmt.Errorf("%d instances", n)
		}
		return nil
	})
}

func TestAgentSelf(t *testing.T) {
	c := server(t)
	self, err := c.Agent().Self()
	check(t, err)
	for _, field := range []string{"Datacenter", "NodeName", "NodeID", "Server", "Version"} {
		if self["Config"][field] == nil {
			t.Errorf("Config has no %s: %v", field, self["Config"])
		}
	}
	members, err := c.Agent().Members(false)
	if err != nil || len(members) == 0 {
		t.Errorf("members: %v, %v", members, err)
	}
	leader, err := c.Status().Leader()
	if err != nil || leader == "" {
		t.Errorf("leader: %q, %v", leader, err)
	}
	peers, err := c.Status().Peers()
	if err != nil || len(peers) == 0 {
		t.Errorf("peers: %v, %v", peers, err)
	}
	raft, err := c.Operator().RaftGetConfiguration(nil)
	if err != nil || len(raft.Servers) != len(peers) {
		t.Errorf("raft: %+v, %v", raft, err)
	}
	health, err := c.Operator().AutopilotServerHealth(nil)
	if err != nil || !health.Healthy {
		t.Errorf("autopilot: %+v, %v", health, err)
	}
}

func TestCatalog(t *testing.T) {
	c := server(t)
	node, svc := name(t, "node"), name(t, "db")
	_, err := c.Catalog().Register(&api.CatalogRegistration{
		Node: node, Address: "10.4.4.4", NodeMeta: map[string]string{"rack": "7"},
		Service: &api.AgentService{Service: svc, Port: 5432, Tags: []string{"primary"}},
		Checks:  api.HealthChecks{{Node: node, CheckID: "ping", Name: "ping", ServiceID: svc, Status: api.HealthWarning}},
	}, nil)
	check(t, err)
	b := server(t)
	services, _, err := b.Catalog().Services(nil)
	check(t, err)
	if tags := services[svc]; len(tags) != 1 || tags[0] != "primary" {
		t.Errorf("services: %v", services)
	}
	if _, ok := services["consul"]; !ok {
		t.Errorf("no consul among %v", services)
	}
	nodes, _, err := b.Catalog().Nodes(&api.QueryOptions{NodeMeta: map[string]string{"rack": "7"}})
	check(t, err)
	equal(t, "nodes of the rack", len(nodes), 1)
	nodes, _, err = b.Catalog().Nodes(&api.QueryOptions{Filter: "Node == \"" + node + "\""})
	check(t, err)
	equal(t, "nodes by filter", len(nodes), 1)
	one, _, err := b.Catalog().Node(node, nil)
	check(t, err)
	equal(t, "port", one.Services[svc].Port, 5432)
	found, _, err := b.Catalog().Service(svc, "primary", nil)
	check(t, err)
	equal(t, "address", found[0].Address, "10.4.4.4")
	checks, _, err := b.Health().Checks(svc, nil)
	check(t, err)
	equal(t, "status", checks.AggregatedStatus(), api.HealthWarning)
	state, _, err := b.Health().State(api.HealthWarning, nil)
	check(t, err)
	if len(state) == 0 {
		t.Error("nothing in warning")
	}
	passing, _, err := b.Health().Service(svc, "", true, nil)
	check(t, err)
	equal(t, "passing", len(passing), 0)
	several, _, err := b.Catalog().ServiceMultipleTags(svc, []string{"primary", "none"}, nil)
	if err != nil || len(several) != 0 {
		t.Errorf("with two tags, of which it has one: %v, %v", several, err)
	}
	on, _, err := b.Catalog().NodeServiceList(node, nil)
	if err != nil || len(on.Services) != 1 || on.Services[0].Service != svc || on.Node.Address != "10.4.4.4" {
		t.Errorf("the node's services: %+v, %v", on, err)
	}
	health, _, err := b.Health().ServiceMultipleTags(svc, []string{"primary"}, false, &api.QueryOptions{Filter: "Node.Meta.rack == \"7\""})
	if err != nil || len(health) != 1 || health[0].Checks.AggregatedStatus() != api.HealthWarning {
		t.Errorf("health: %+v, %v", health, err)
	}
	dcs, err := b.Catalog().Datacenters()
	if err != nil || len(dcs) != 1 {
		t.Errorf("datacenters: %v, %v", dcs, err)
	}
	_, err = b.Catalog().Deregister(&api.CatalogDeregistration{Node: node}, nil)
	check(t, err)
	if gone, _, err := c.Catalog().Node(node, nil); err != nil || gone != nil {
		t.Errorf("after its end: %v, %v", gone, err)
	}
}

func TestEvent(t *testing.T) {
	c := server(t)
	id, _, err := c.Event().Fire(&api.UserEvent{Name: name(t, "e"), Payload: []byte("p")}, nil)
	check(t, err)
	eventually(t, "the event", func() error {
		all, _, err := server(t).Event().List(name(t, "e"), nil)
		if err != nil || len(all) != 1 || all[0].ID != id || string(all[0].Payload) != "p" {
			return fmt.Errorf("%v, %v", all, err)
		}
		return nil
	})
}

func TestPreparedQuery(t *testing.T) {
	c := server(t)
	svc, node := name(t, "svc"), name(t, "node")
	_, err := c.Catalog().Register(&api.CatalogRegistration{Node: node, Address: "10.5.5.5", Service: &api.AgentService{Service: svc, Port: 1}}, nil)
	check(t, err)
	id, _, err := c.PreparedQuery().Create(&api.PreparedQueryDefinition{Name: name(t, "q"), Service: api.ServiceQuery{Service: svc}}, nil)
	check(t, err)
	res, _, err := server(t).PreparedQuery().Execute(name(t, "q"), nil)
	if err != nil || len(res.Nodes) != 1 || res.Nodes[0].Node.Node != node {
		t.Errorf("%+v, %v", res, err)
	}
	def := &api.PreparedQueryDefinition{ID: id, Name: name(t, "q2"), Service: api.ServiceQuery{Service: svc, OnlyPassing: true, Tags: []string{"none"}}}
	_, err = server(t).PreparedQuery().Update(def, nil)
	check(t, err)
	got, _, err := server(t).PreparedQuery().Get(id, nil)
	if err != nil || len(got) != 1 || got[0].Name != def.Name || !got[0].Service.OnlyPassing || len(got[0].Service.Tags) != 1 {
		t.Errorf("once it is updated: %+v, %v", got, err)
	}
	res, _, err = server(t).PreparedQuery().Execute(id, nil)
	if err != nil || len(res.Nodes) != 0 {
		t.Errorf("by a tag that is not there: %+v, %v", res, err)
	}
	all, _, err := server(t).PreparedQuery().List(nil)
	if err != nil || len(all) != 1 || all[0].ID != id {
		t.Errorf("all: %+v, %v", all, err)
	}
	_, err = server(t).PreparedQuery().Delete(id, nil)
	check(t, err)
	if _, _, err := server(t).PreparedQuery().Execute(id, nil); err == nil {
		t.Error("a query that is gone was executed")
	}
}

// What was there when a snapshot was saved is there again once it is restored, on every server; what came since is not.
func TestSnapshot(t *testing.T) {
	key := name(t, "k")
	_, err := server(t).KV().Put(&api.KVPair{Key: key, Value: []byte("then"), Flags: 7}, nil)
	check(t, err)
	r, meta, err := server(t).Snapshot().Save(nil)
	check(t, err)
	defer r.Close()
	saved, err := io.ReadAll(r)
	if err != nil || len(saved) == 0 || meta.LastIndex == 0 {
		t.Fatalf("%d bytes, %+v, %v", len(saved), meta, err)
	}
	_, err = server(t).KV().Put(&api.KVPair{Key: key, Value: []byte("since")}, nil)
	check(t, err)
	_, err = server(t).KV().Put(&api.KVPair{Key: key + "-since", Value: []byte("since")}, nil)
	check(t, err)
	broken := bytes.Clone(saved)
	broken[len(broken)/2] ^= 1
	if err := server(t).Snapshot().Restore(nil, bytes.NewReader(broken)); err == nil {
		t.Error("a snapshot of which a bit is wrong was restored")
	}
	check(t, server(t).Snapshot().Restore(nil, bytes.NewReader(saved)))
	for range 3 {
		eventually(t, "what was there then", func() error {
			c := server(t)
			then, _, err := c.KV().Get(key, nil)
			if err != nil || then == nil || string(then.Value) != "then" || then.Flags != 7 {
				return fmt.Errorf("%+v, %v", then, err)
			}
			since, _, err := c.KV().Get(key+"-since", nil)
			if err != nil || since != nil {
				return fmt.Errorf("what came since: %+v, %v", since, err)
			}
			return nil
		})
	}
}

// Every server is at coordinates, all of them none.
func TestCoordinates(t *testing.T) {
	dcs, err := server(t).Coordinate().Datacenters()
	check(t, err)
	nodes, _, err := server(t).Coordinate().Nodes(nil)
	if err != nil || len(nodes) != 0 {
		t.Errorf("of the nodes: %v (datacenters %v), %v", nodes, dcs, err)
	}
}

func TestErrors(t *testing.T) {
	_, err := server(t).KV().Put(&api.KVPair{Key: name(t, "big"), Value: make([]byte, 512<<10+1)}, nil)
	var status api.StatusError
	if !errors.As(err, &status) || status.Code != 413 {
		t.Errorf("%v, want 413", err)
	}
	_, _, err = server(t).Session().Create(&api.SessionEntry{TTL: "1s"}, nil)
	if !errors.As(err, &status) || status.Code != 500 {
		t.Errorf("%v, want 500", err)
	}
}
