package grpcserver

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"herald/registry"
)

// memberInterval is how often it is looked after what clients are told of the servers, beside
// at each change of that: who the servers are changes by itself.
const memberInterval = 5 * time.Second

// runMembers keeps what clients are told of the servers until ctx ends.
func (c *core) runMembers(ctx context.Context) {
	if c.cluster.WaitReady(ctx) != nil {
		return // the door or the store is closing
	}
	ctx = registry.WithCaller(ctx, registry.Caller{Identity: "etcd door", Reason: registry.ReasonSystem})
	c.follow(ctx, memberPrefix, memberInterval, c.keepMembers)
}

// keepMembers writes what this server says of itself, if that is not what is there, and on
// the leader deletes what is said of servers that are none. Mostly there is nothing to do, and
// nothing is written.
func (c *core) keepMembers(ctx context.Context) error {
	ms, err := c.members(ctx, registry.Stale)
	if err != nil {
		return err
	}
	st := c.cluster.Status()
	for _, m := range ms.all {
		if m.server == st.ID {
			if err := c.announce(ctx, st.ID); err != nil {
				return err
			}
		}
	}
	if len(ms.stale) == 0 || !st.IsLeader {
		return nil
	}
	return c.forget(ctx, ms)
}

// announce writes what this server says of itself.
func (c *core) announce(ctx context.Context, server string) error {
	record, err := json.Marshal(c.record)
	if err != nil {
		return err
	}
	key := memberKey(server)
	have, err := c.store.Range(ctx, registry.RangeRequest{Space: registry.SpaceSystem, KeyRange: registry.One(key), Consistency: registry.Stale})
	if err != nil || len(have.KVs) == 1 && bytes.Equal(have.KVs[0].Value, record) {
		return err
	}
	_, err = registry.Put(ctx, c.store, registry.PutRequest{Space: registry.SpaceSystem, Key: key, Value: record, IfChanged: true})
	return err
}

// forget deletes what is said of servers that are none. What was written since it was read
// stays.
func (c *core) forget(ctx context.Context, ms *members) error {
	var t registry.Txn
	for _, key := range ms.stale {
		t.Compare = append(t.Compare, registry.Compare{
			Space: registry.SpaceSystem, KeyRange: registry.One(key),
			Target: registry.CompareMod, Result: registry.Less, Int: ms.revision + 1,
		})
		t.Then = append(t.Then, registry.Op{Delete: &registry.DeleteRequest{Space: registry.SpaceSystem, KeyRange: registry.One(key)}})
	}
	_, err := c.store.Txn(ctx, t)
	return err
}
