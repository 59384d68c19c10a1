package chaosdoor

import (
	"bytes"
	"context"
	"fmt"

	"herald/registry"
)

// stateHasher is what a store offers that can say how its state hashes.
type stateHasher interface {
	StateHash() (applied, hash uint64)
}

// context is what a call runs under.
func (r *request) context(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx = registry.WithCaller(ctx, r.Caller)
	if r.Timeout <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, r.Timeout)
}

// answer makes one call of the store.
func (d *Door) answer(ctx context.Context, req *request) *response {
	ctx, cancel := req.context(ctx)
	defer cancel()
	var resp response
	var err error
	store := d.host.Store
	switch {
	case req.Range != nil:
		resp.Range, err = store.Range(ctx, *req.Range)
	case req.Txn != nil:
		resp.Txn, err = store.Txn(ctx, *req.Txn)
	case req.Compact != nil:
		err = store.Compact(ctx, req.Compact.Space, req.Compact.Revision)
	case req.Lease != nil:
		resp.Lease, resp.Revisions, err = answerLease(ctx, store, req.Lease)
	case req.Leases:
		resp.Leases, err = store.ListLeases(ctx, req.Without...)
	case req.Status:
		resp.Status = d.host.Cluster.Status()
	case req.Members:
		resp.Members, err = d.host.Cluster.Members(ctx)
	case req.StateHash:
		if h, ok := store.(stateHasher); ok {
			resp.Applied, resp.Hash = h.StateHash()
		} else {
			err = fmt.Errorf("%w: this store has no hash of its state", registry.ErrInvalid)
		}
	case req.Operate != nil:
		err = d.operate(ctx, req.Operate, &resp)
	default:
		err = fmt.Errorf("%w: a call of nothing", registry.ErrInvalid)
	}
	resp.Err = encodeError(err)
	return &resp
}

func answerLease(ctx context.Context, s registry.Leases, c *leaseCall) (l registry.Lease, after registry.Revisions, err error) {
	switch c.Do {
	case "grant":
		l, err = s.GrantLease(ctx, c.ID, c.TTL)
	case "keepalive":
		l, err = s.KeepAlive(ctx, c.ID)
	case "revoke":
		after, err = s.RevokeLease(ctx, c.IDs...)
	case "describe":
		l, err = s.Lease(ctx, c.ID, c.Keys)
	default:
		err = fmt.Errorf("%w: lease call %q", registry.ErrInvalid, c.Do)
	}
	return l, after, err
}

func (d *Door) operate(ctx context.Context, c *operateCall, resp *response) error {
	o := d.host.Operator
	if o == nil {
		return fmt.Errorf("%w: this process has no operator", registry.ErrInvalid)
	}
	switch c.Do {
	case "join":
		return o.Join(ctx, c.On)
	case "leave":
		return o.Leave(ctx)
	case "remove":
		return o.Remove(ctx, c.On)
	case "transfer":
		return o.Transfer(ctx, c.On)
	case "save":
		var archive bytes.Buffer
		info, err := o.SaveSnapshot(ctx, &archive, c.Stale)
		resp.Archive, resp.Info = archive.Bytes(), info
		return err
	}
	return fmt.Errorf("%w: operator call %q", registry.ErrInvalid, c.Do)
}
