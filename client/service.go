package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"herald/httpserver/api"
	"herald/registry"
	"herald/registry/catalog"
)

// Services returns every service of the catalog, with the union of its tags.
func (c *Client) Services(ctx context.Context, o ReadOptions) (map[string][]string, Meta, error) {
	var services map[string][]string
	meta, err := c.read(ctx, o.call("/v1/catalog/services", nil), &services)
	return services, meta, err
}

// InstanceOptions selects instances of a service.
type InstanceOptions struct {
	ReadOptions
	// Passing leaves out every instance of which a check, or one of its node's, is
	// not passing.
	Passing bool
	// Tags must all be there, in any case.
	Tags []string
	// NodeMeta must all be there on the node.
	NodeMeta map[string]string
}

// Instances returns the instances of a service with their nodes and checks. A
// service that is not there has none.
func (c *Client) Instances(ctx context.Context, service string, o InstanceOptions) ([]api.ServiceEntry, Meta, error) {
	query := url.Values{}
	if o.Passing {
		query.Set("passing", "1")
	}
	for _, t := range o.Tags {
		query.Add("tag", t)
	}
	for k, v := range o.NodeMeta {
		query.Add("node-meta", k+":"+v)
	}
	var entries []api.ServiceEntry
	meta, err := c.read(ctx, o.call("/v1/health/service/"+service, query), &entries)
	return entries, meta, err
}

// Nodes returns every node of the catalog.
func (c *Client) Nodes(ctx context.Context, o ReadOptions) ([]api.Node, Meta, error) {
	var nodes []api.Node
	meta, err := c.read(ctx, o.call("/v1/catalog/nodes", nil), &nodes)
	return nodes, meta, err
}

// Register writes a node, and with it an instance and checks, into the catalog. They
// end with lease; with 0 they stay until they are deregistered.
func (c *Client) Register(ctx context.Context, r api.CatalogRegistration, lease registry.LeaseID) error {
	query := url.Values{}
	if lease != 0 {
		query.Set("lease", api.LeaseID(lease).String())
	}
	return c.write(ctx, "/v1/catalog/register", query, r)
}

// Deregister removes a node, an instance or a check from the catalog.
func (c *Client) Deregister(ctx context.Context, d api.CatalogDeregistration) error {
	return c.write(ctx, "/v1/catalog/deregister", nil, d)
}

// Advertise brings the catalog's records of want's node in line with want: what
// differs is written, attached to lease, and what want lacks is deleted.
// registry.ErrNodeTaken if another node has the name; registry.ErrInvalid if the
// servers are of another datacenter than Config.Datacenter.
func (c *Client) Advertise(ctx context.Context, lease registry.LeaseID, want catalog.NodeRecords) error {
	return c.write(ctx, "/v1/catalog/advertise", nil, api.Advertisement{
		Lease: api.LeaseID(lease), Datacenter: c.datacenter, Node: want.Node, Instances: want.Instances, Checks: want.Checks,
	})
}

// AdvertiseChanges changes what Advertise wrote last under the same lease, and leaves
// the rest as it is. registry.ErrNotAdvertised if the node's record is not what it was
// then, or if the server is of a version that does not know changes: Advertise is to be
// asked. It is sent once: a second try could write on top of changes that came later.
func (c *Client) AdvertiseChanges(ctx context.Context, lease registry.LeaseID, changes catalog.NodeChanges) error {
	doc := api.AdvertisedChanges{
		Lease: api.LeaseID(lease), Datacenter: c.datacenter, Node: changes.Node,
		Instances: changes.Instances, Checks: changes.Checks, GoneInstances: changes.GoneInstances,
	}
	for _, g := range changes.GoneChecks {
		doc.GoneChecks = append(doc.GoneChecks, api.GoneCheck(g))
	}
	body, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	_, err = c.do(ctx, put("/v1/catalog/advertise/changes", nil, body))
	var refused *Error
	if errors.As(err, &refused) && refused.Status == http.StatusNotFound && refused.Code == "" {
		return fmt.Errorf("%w: %w", registry.ErrNotAdvertised, err)
	}
	return err
}

// write sends a document that may be sent again.
func (c *Client) write(ctx context.Context, path string, query url.Values, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = c.do(ctx, put(path, query, body).again())
	return err
}

func (c *Client) read(ctx context.Context, r call, v any) (Meta, error) {
	rep, err := c.fetch(ctx, r, v)
	if err != nil {
		return Meta{}, err
	}
	return metaOf(rep.header), nil
}

// NodeAfter returns what the catalog has of a node, with the names, statuses and services of its checks, and the index of that: as soon as it is
// above after, or as it is once wait has passed. Of a node that is not there the record has no name.
func (c *Client) NodeAfter(ctx context.Context, node string, after uint64, wait time.Duration) (catalog.NodeRecords, uint64, error) {
	o := ReadOptions{Consistency: Stale, Index: after, Wait: wait}
	var found *api.CatalogNode
	of, err := c.read(ctx, o.call("/v1/catalog/node/"+node, nil), &found)
	if err != nil || found == nil {
		return catalog.NodeRecords{}, of.Index, err
	}
	var checks []api.HealthCheck
	o = ReadOptions{Consistency: Stale}
	meta, err := c.read(ctx, o.call("/v1/health/node/"+node, nil), &checks)
	if err != nil {
		return catalog.NodeRecords{}, 0, err
	}
	records := catalog.NodeRecords{Node: registry.Node{Name: found.Node.Node, ID: found.Node.ID, Address: found.Node.Address}}
	for id := range found.Services {
		records.Instances = append(records.Instances, registry.Instance{Node: found.Node.Node, ID: id})
	}
	for _, check := range checks {
		records.Checks = append(records.Checks, registry.Check{
			Node: check.Node, ID: check.CheckID, Name: check.Name, Status: registry.HealthStatus(check.Status), ServiceID: check.ServiceID,
		})
	}
	// The second answer may be from before the first, if another server gave it: what
	// has changed in between is then asked for at once.
	return records, min(of.Index, meta.Index), nil
}
