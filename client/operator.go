package client

import (
	"context"
	"net/http"
	"net/url"

	"herald/httpserver/api"
)

// Operator is the part of the API that changes who the servers are, and saves and
// restores what they hold. Any server takes these calls, but Join and Leave, which
// are about the server at the first address.
type Operator struct{ c *Client }

// Operator returns the part of the API that changes the cluster.
func (c *Client) Operator() Operator { return Operator{c} }

// Join lets the server at the first address, which is part of no cluster, into the
// one that the server at a peer address is part of. registry.ErrMembership if it is
// part of one already.
func (o Operator) Join(ctx context.Context, address string) error {
	r := put("/v1/agent/join/"+address, nil, nil)
	r.local = true
	_, err := o.c.do(ctx, r)
	return err
}

// Leave takes the server at the first address out of its cluster. Its process goes
// on. registry.ErrMembership if it is the last that votes.
func (o Operator) Leave(ctx context.Context) error {
	r := put("/v1/agent/leave", nil, nil)
	r.local = true
	_, err := o.c.do(ctx, r)
	return err
}

// Remove takes a server out of the cluster by its id, alive or not.
// registry.ErrMemberNotFound, registry.ErrMembership.
func (o Operator) Remove(ctx context.Context, id string) error {
	_, err := o.c.do(ctx, call{method: http.MethodDelete, path: "/v1/operator/raft/peer", query: url.Values{"id": {id}}})
	return err
}

// Transfer hands leadership to a voter by its id, or with "" to the one that is
// closest behind. registry.ErrMemberNotFound, registry.ErrMembership.
func (o Operator) Transfer(ctx context.Context, id string) error {
	query := url.Values{}
	if id != "" {
		query.Set("id", id)
	}
	_, err := o.c.do(ctx, call{method: http.MethodPost, path: "/v1/operator/raft/transfer-leader", query: query})
	return err
}

// Health says how the cluster is. That it is not well is no error.
func (o Operator) Health(ctx context.Context) (api.AutopilotHealth, error) {
	var h api.AutopilotHealth
	rep, err := o.c.do(ctx, get("/v1/operator/autopilot/health", nil), http.StatusTooManyRequests)
	if err != nil {
		return h, err
	}
	return h, decode(rep, &h)
}
