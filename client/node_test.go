package client_test

import (
	"slices"
	"testing"
	"time"

	"herald/httpserver/api"
	"herald/registry"
	"herald/registry/catalog"
)

// TestNodeAfter reads a node with its checks, and waits for it to change: also where what changes is a service without checks.
func TestNodeAfter(t *testing.T) {
	c := connect(t, serve(t).url)
	ctx := t.Context()
	ask := func(after uint64) (catalog.NodeRecords, uint64) {
		t.Helper()
		records, index, err := c.NodeAfter(ctx, "n 9", after, time.Minute)
		if err != nil || index <= after {
			t.Fatalf("index %d after %d, error %v", index, after, err)
		}
		return records, index
	}
	records, index := ask(0)
	if records.Node.Name != "" || len(records.Instances)+len(records.Checks) != 0 {
		t.Fatalf("of no node: %+v", records)
	}
	write := func(r api.CatalogRegistration) {
		t.Helper()
		r.Node, r.Address = "n 9", "10.0.0.9"
		if err := c.Register(ctx, r, 0); err != nil {
			t.Fatal(err)
		}
	}
	write(api.CatalogRegistration{Check: &api.CheckRegistration{CheckID: "own", Name: "own", Status: "warning"}})
	records, index = ask(index)
	if records.Node.Name != "n 9" || len(records.Checks) != 1 || records.Checks[0].Status != registry.Warning || records.Checks[0].ServiceID != "" {
		t.Fatalf("with a check: %+v", records)
	}
	write(api.CatalogRegistration{Service: &api.ServiceRegistration{ID: "db1", Service: "db"}})
	records, index = ask(index)
	if len(records.Instances) != 1 || records.Instances[0].ID != "db1" {
		t.Fatalf("with a service: %+v", records)
	}
	write(api.CatalogRegistration{Check: &api.CheckRegistration{CheckID: "c", ServiceID: "db1", Status: "critical"}})
	records, index = ask(index)
	if i := slices.IndexFunc(records.Checks, func(c registry.Check) bool { return c.ID == "c" }); i < 0 || records.Checks[i].ServiceID != "db1" || records.Checks[i].Status != registry.Critical {
		t.Fatalf("with a check of the service: %+v", records)
	}
	if err := c.Deregister(ctx, api.CatalogDeregistration{Node: "n 9", ServiceID: "db1"}); err != nil {
		t.Fatal(err)
	}
	if records, _ = ask(index); len(records.Instances) != 0 || len(records.Checks) != 1 {
		t.Fatalf("without it: %+v", records)
	}
}
