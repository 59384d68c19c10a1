package cli

import (
	"context"
	"errors"
	"testing"
	"time"

	"herald/client"
	"herald/httpserver"
	"herald/httpserver/api"
	"herald/registry/catalog"
	"herald/registry/plugin"
	"herald/registry/storetest"
)

// door is the HTTP API over a store in memory.
func door(t *testing.T) (url string, c *client.Client) {
	t.Helper()
	store, index, d := storetest.NewMemory(t), catalog.New(), httpserver.New()
	cfg := d.Config().(*httpserver.Config)
	cfg.Address, cfg.SessionTTLMin = "127.0.0.1:0", time.Second
	ctx, cancel := context.WithCancel(context.Background())
	err := d.Open(ctx, &plugin.Host{
		Node: "n1", Datacenter: "dc1", Server: true, Store: store, Cluster: store, Catalog: index, DrainTimeout: 5 * time.Second,
	})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	done := make(chan error, 2)
	go func() { done <- index.Follow(ctx, store) }()
	go func() { done <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("the server ended with %v", err)
			}
		}
	})
	url = "http://" + d.Addresses()[0].Address
	if c, err = client.New(client.Config{Addresses: []string{url}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if err := c.Register(t.Context(), api.CatalogRegistration{Node: "n1", Address: "127.0.0.1"}, 0); err != nil {
		t.Fatal(err)
	}
	return url, c
}

// put writes a key.
func put(t *testing.T, c *client.Client, key, value string) {
	t.Helper()
	if _, err := c.KV().Put(t.Context(), key, []byte(value), client.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}
