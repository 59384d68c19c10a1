package client_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"herald/client"
)

func Example() {
	c, err := client.New(client.Config{Addresses: []string{"10.0.0.1:8500", "10.0.0.2:8500", "10.0.0.3:8500"}})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	if _, err := c.KV().Put(ctx, "app/db", []byte("10.0.0.9"), client.PutOptions{}); err != nil {
		log.Fatal(err)
	}
	kv, _, err := c.KV().Get(ctx, "app/db", client.ReadOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s = %s\n", kv.Key, kv.Value)
}

// Instances blocks with the index of the answer before, and so follows a service
// without polling.
func ExampleClient_Instances() {
	c, err := client.New(client.Config{Addresses: []string{"127.0.0.1:8500"}})
	if err != nil {
		log.Fatal(err)
	}
	o := client.InstanceOptions{Passing: true}
	for {
		entries, meta, err := c.Instances(context.Background(), "web", o)
		if err != nil {
			log.Fatal(err)
		}
		for _, e := range entries {
			address := e.Service.Address
			if address == "" {
				address = e.Node.Address
			}
			fmt.Printf("%s:%d\n", address, e.Service.Port)
		}
		o.Index = meta.Index
	}
}

func ExampleKV_Watch() {
	c, err := client.New(client.Config{Addresses: []string{"127.0.0.1:8500"}})
	if err != nil {
		log.Fatal(err)
	}
	for snapshot, err := range c.KV().Watch(context.Background(), "app/", client.ReadOptions{}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("index", snapshot.Index, "keys", len(snapshot.KVs))
	}
}

// A key that is put with a time to live is gone once nobody keeps its lease alive.
func ExampleKV_Put_ttl() {
	c, err := client.New(client.Config{Addresses: []string{"127.0.0.1:8500"}})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	res, err := c.KV().Put(ctx, "workers/7", []byte("busy"), client.PutOptions{TTL: 15 * time.Second})
	if err != nil {
		log.Fatal(err)
	}
	for range time.Tick(5 * time.Second) {
		if _, err := c.KeepAlive(ctx, res.Lease); err != nil {
			log.Fatal(err)
		}
	}
}
