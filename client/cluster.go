package client

import (
	"context"

	"herald/httpserver/api"
)

// Members returns the servers of the cluster, and how it looks from the one asked.
func (c *Client) Members(ctx context.Context) (api.Members, error) {
	var m api.Members
	_, err := c.fetch(ctx, get("/v1/members", nil), &m)
	return m, err
}

// Leader returns the leader's peer address, "" if none is known or the server that was
// asked is not ready.
func (c *Client) Leader(ctx context.Context) (string, error) {
	var leader string
	_, err := c.fetch(ctx, get("/v1/status/leader", nil), &leader)
	return leader, err
}
