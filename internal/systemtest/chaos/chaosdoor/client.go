package chaosdoor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"herald/registry"
)

// errClosed is returned by a client that was closed.
var errClosed = fmt.Errorf("%w: the client is closed", registry.ErrStopped)

// maxIdle is how many connections a client keeps for later calls.
const maxIdle = 64

// dialTimeout bounds the making of a connection.
const dialTimeout = 2 * time.Second

// Client is a store in another process. Each call goes there once: one whose connection
// breaks before it was answered is registry.ErrTimeout, its outcome unknown; one that
// could not be sent is registry.ErrUnavailable. Its methods may be called by any number
// of goroutines.
type Client struct {
	address string

	mu       sync.Mutex
	closed   bool
	idle     []*link
	watchers map[*watcher]struct{}
	watching sync.WaitGroup
}

var _ registry.Store = (*Client)(nil)

// NewClient makes a client of the door at an address. It dials when it is first called.
func NewClient(address string) *Client {
	return &Client{address: address, watchers: make(map[*watcher]struct{})}
}

// Close ends the watchers and the idle connections. Calls under way finish.
func (c *Client) Close() {
	c.mu.Lock()
	c.closed = true
	for _, l := range c.idle {
		l.Close()
	}
	c.idle = nil
	for w := range c.watchers {
		w.end(registry.ErrWatchClosed)
	}
	c.mu.Unlock()
	c.watching.Wait()
}

// take returns a connection, an idle one if there is any.
func (c *Client) take(ctx context.Context) (*link, error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, errClosed
	}
	if n := len(c.idle); n > 0 {
		l := c.idle[n-1]
		c.idle = c.idle[:n-1]
		c.mu.Unlock()
		return l, nil
	}
	c.mu.Unlock()
	return c.dial(ctx)
}

func (c *Client) dial(ctx context.Context) (*link, error) {
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", c.address)
	if err != nil {
		return nil, fmt.Errorf("%w: not sent: %w", registry.ErrUnavailable, err)
	}
	return newLink(conn), nil
}

func (c *Client) give(l *link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.idle) >= maxIdle {
		l.Close()
		return
	}
	c.idle = append(c.idle, l)
}

// forgetIdle drops the idle connections: one of them turned out to be dead, and those
// to a process that is gone all are.
func (c *Client) forgetIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.idle {
		l.Close()
	}
	c.idle = nil
}

// call makes one call and waits for its answer, at most until ctx ends.
func (c *Client) call(ctx context.Context, req *request) (*response, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l, err := c.take(ctx)
	if err != nil {
		return nil, err
	}
	req.describe(ctx)
	stop := context.AfterFunc(ctx, func() { _ = l.SetDeadline(time.Unix(1, 0)) })
	var resp response
	if err = l.enc.Encode(req); err == nil {
		err = l.dec.Decode(&resp)
	}
	if err != nil || !stop() {
		l.Close()
	}
	switch {
	case err == nil && ctx.Err() == nil:
		c.give(l)
		return &resp, resp.Err.err()
	case err == nil: // answered all the same
		return &resp, resp.Err.err()
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%w: %w", registry.ErrTimeout, ctx.Err())
	default:
		c.forgetIdle()
		return nil, fmt.Errorf("%w: connection lost: %w", registry.ErrTimeout, err)
	}
}

// describe adds to a request what its context says.
func (r *request) describe(ctx context.Context) {
	r.Caller = registry.CallerFrom(ctx)
	if deadline, ok := ctx.Deadline(); ok {
		r.Timeout = max(time.Until(deadline), time.Nanosecond)
	}
}

// Range implements registry.Store.
func (c *Client) Range(ctx context.Context, r registry.RangeRequest) (registry.RangeResult, error) {
	resp, err := c.call(ctx, &request{Range: &r})
	if err != nil {
		return registry.RangeResult{}, readOnly(err)
	}
	return resp.Range, nil
}

// Txn implements registry.Store.
func (c *Client) Txn(ctx context.Context, t registry.Txn) (registry.TxnResult, error) {
	resp, err := c.call(ctx, &request{Txn: &t})
	if err != nil {
		return registry.TxnResult{}, err
	}
	return resp.Txn, nil
}

// Compact implements registry.Store.
func (c *Client) Compact(ctx context.Context, s registry.Space, rev int64) error {
	_, err := c.call(ctx, &request{Compact: &compactCall{s, rev}})
	return err
}

// GrantLease implements registry.Leases.
func (c *Client) GrantLease(ctx context.Context, id registry.LeaseID, ttl time.Duration) (registry.Lease, error) {
	resp, err := c.lease(ctx, leaseCall{Do: "grant", ID: id, TTL: ttl})
	return resp.Lease, err
}

// KeepAlive implements registry.Leases.
func (c *Client) KeepAlive(ctx context.Context, id registry.LeaseID) (registry.Lease, error) {
	resp, err := c.lease(ctx, leaseCall{Do: "keepalive", ID: id})
	return resp.Lease, err
}

// RevokeLease implements registry.Leases.
func (c *Client) RevokeLease(ctx context.Context, ids ...registry.LeaseID) (registry.Revisions, error) {
	resp, err := c.lease(ctx, leaseCall{Do: "revoke", IDs: ids})
	return resp.Revisions, err
}

// Lease implements registry.Leases.
func (c *Client) Lease(ctx context.Context, id registry.LeaseID, keys bool) (registry.Lease, error) {
	resp, err := c.lease(ctx, leaseCall{Do: "describe", ID: id, Keys: keys})
	return resp.Lease, readOnly(err)
}

// lease returns an empty answer where none came.
func (c *Client) lease(ctx context.Context, call leaseCall) (*response, error) {
	resp, err := c.call(ctx, &request{Lease: &call})
	if resp == nil {
		resp = new(response)
	}
	return resp, err
}

// ListLeases implements registry.Leases.
func (c *Client) ListLeases(ctx context.Context, without ...registry.Space) ([]registry.LeaseID, error) {
	resp, err := c.call(ctx, &request{Leases: true, Without: without})
	if err != nil {
		return nil, readOnly(err)
	}
	return resp.Leases, nil
}

// readOnly is the error of a call that wrote nothing in any case: that its answer was
// lost leaves nothing unknown.
func readOnly(err error) error {
	var remote *remoteError
	if err == nil || errors.As(err, &remote) || !errors.Is(err, registry.ErrTimeout) {
		return err
	}
	return fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
}

// Status is registry.Cluster's Status of that process.
func (c *Client) Status(ctx context.Context) (registry.Status, error) {
	resp, err := c.call(ctx, &request{Status: true})
	if err != nil {
		return registry.Status{}, err
	}
	return resp.Status, nil
}

// Members is registry.Cluster's Members.
func (c *Client) Members(ctx context.Context) ([]registry.Member, error) {
	resp, err := c.call(ctx, &request{Members: true})
	if err != nil {
		return nil, err
	}
	return resp.Members, nil
}

// StateHash is how far that process has applied the log, and a checksum of the state it
// then had.
func (c *Client) StateHash(ctx context.Context) (applied, hash uint64, err error) {
	resp, err := c.call(ctx, &request{StateHash: true})
	if err != nil {
		return 0, 0, err
	}
	return resp.Applied, resp.Hash, nil
}

// Join, Leave, Remove and Transfer are registry.Operator's.
func (c *Client) Join(ctx context.Context, address string) error {
	return c.operate(ctx, operateCall{Do: "join", On: address})
}

// Leave is registry.Operator's.
func (c *Client) Leave(ctx context.Context) error {
	return c.operate(ctx, operateCall{Do: "leave"})
}

// Remove is registry.Operator's.
func (c *Client) Remove(ctx context.Context, id string) error {
	return c.operate(ctx, operateCall{Do: "remove", On: id})
}

// Transfer is registry.Operator's.
func (c *Client) Transfer(ctx context.Context, id string) error {
	return c.operate(ctx, operateCall{Do: "transfer", On: id})
}

// Save returns an archive as registry.Operator's SaveSnapshot writes it.
func (c *Client) Save(ctx context.Context, stale bool) ([]byte, registry.SnapshotInfo, error) {
	resp, err := c.call(ctx, &request{Operate: &operateCall{Do: "save", Stale: stale}})
	if err != nil {
		return nil, registry.SnapshotInfo{}, err
	}
	return resp.Archive, resp.Info, nil
}

func (c *Client) operate(ctx context.Context, call operateCall) error {
	_, err := c.call(ctx, &request{Operate: &call})
	return err
}
