package client

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"herald/httpserver/api"
	"herald/registry"
)

// GrantLease makes a lease; a ttl of registry.NoTTL never runs out. It is not
// repeated once it may have been carried out: a lease that nobody knows of runs out.
func (c *Client) GrantLease(ctx context.Context, ttl time.Duration) (registry.Lease, error) {
	body, err := json.Marshal(api.LeaseGrant{TTL: ttl.String()})
	if err != nil {
		return registry.Lease{}, err
	}
	return c.lease(ctx, put("/v1/lease/grant", nil, body))
}

// KeepAlive starts a lease's time to live anew. registry.ErrLeaseNotFound.
func (c *Client) KeepAlive(ctx context.Context, id registry.LeaseID) (registry.Lease, error) {
	return c.lease(ctx, put(leasePath("keepalive/", id), nil, nil).again())
}

// RevokeLease ends a lease and deletes what is attached to it.
// registry.ErrLeaseNotFound.
func (c *Client) RevokeLease(ctx context.Context, id registry.LeaseID) error {
	_, err := c.do(ctx, put(leasePath("revoke/", id), nil, nil))
	return err
}

// Lease describes a lease, with its keys. registry.ErrLeaseNotFound.
func (c *Client) Lease(ctx context.Context, id registry.LeaseID) (registry.Lease, error) {
	return c.lease(ctx, get(leasePath("", id), nil))
}

// Leases returns the ids of all leases, ascending.
func (c *Client) Leases(ctx context.Context) ([]registry.LeaseID, error) {
	var ids []api.LeaseID
	if _, err := c.fetch(ctx, get("/v1/leases", nil), &ids); err != nil {
		return nil, err
	}
	out := make([]registry.LeaseID, len(ids))
	for i, id := range ids {
		out[i] = registry.LeaseID(id)
	}
	return out, nil
}

func leasePath(verb string, id registry.LeaseID) string {
	return fmt.Sprintf("/v1/lease/%s%d", verb, id)
}

func (c *Client) lease(ctx context.Context, r call) (registry.Lease, error) {
	var l api.Lease
	if _, err := c.fetch(ctx, r, &l); err != nil {
		return registry.Lease{}, err
	}
	return l.Registry()
}
