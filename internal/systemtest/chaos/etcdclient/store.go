package etcdclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/grpclog"

	"herald/registry"
)

// Store is a server's etcd door. Its methods may be called by any number of goroutines.
type Store struct{ client *clientv3.Client }

var _ registry.Store = (*Store)(nil)

// Frozen servers and cut cables are noticed by pings.
const (
	pingEvery   = 5 * time.Second // the most often that the door allows
	pingTimeout = 2 * time.Second
)

func init() {
	// What it would say is known: servers go away and come back.
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
}

// Open returns the store behind the etcd door at an address. Nobody has to be there yet.
func Open(address string) (*Store, error) {
	c, err := clientv3.New(clientv3.Config{
		Endpoints: []string{"http://" + address}, Logger: zap.NewNop(),
		DialKeepAliveTime: pingEvery, DialKeepAliveTimeout: pingTimeout,
	})
	if err != nil {
		return nil, fmt.Errorf("etcd client of %s: %w", address, err)
	}
	return &Store{c}, nil
}

// Close ends the client, and every watch and session of it.
func (s *Store) Close() {
	if err := s.client.Close(); err != nil && !errors.Is(err, context.Canceled) {
		slog.Debug("closing an etcd client", "error", err)
	}
}

// connected fails with registry.ErrUnavailable unless there is a connection to the server. The
// client itself waits for one with each request, and does not tell a request that never was
// sent from one whose answer was lost.
func (s *Store) connected(ctx context.Context) error {
	conn := s.client.ActiveConnection()
	for {
		switch state := conn.GetState(); state {
		case connectivity.Ready:
			return nil
		case connectivity.TransientFailure, connectivity.Shutdown:
			return fmt.Errorf("%w: not connected", registry.ErrUnavailable)
		default:
			conn.Connect()
			if !conn.WaitForStateChange(ctx, state) {
				return fmt.Errorf("%w: not connected: %w", registry.ErrUnavailable, ctx.Err())
			}
		}
	}
}

// Range implements registry.Store.
func (s *Store) Range(ctx context.Context, r registry.RangeRequest) (registry.RangeResult, error) {
	op, err := rangeOp(&r)
	if err != nil {
		return registry.RangeResult{}, err
	}
	if err := s.connected(ctx); err != nil {
		return registry.RangeResult{}, err
	}
	res, err := s.client.Do(ctx, op)
	if err != nil {
		return registry.RangeResult{}, said(err)
	}
	out := rangeResult(res.Get())
	if r.Consistency == registry.Stale {
		out.Age = anyAge
	}
	return out, nil
}

// anyAge is the age of what was read without asking the leader, which this API does not say:
// older than any run.
const anyAge = 1000 * time.Hour

// Txn implements registry.Store.
func (s *Store) Txn(ctx context.Context, t registry.Txn) (registry.TxnResult, error) {
	compares, then, otherwise, err := txnOps(&t)
	if err != nil {
		return registry.TxnResult{}, err
	}
	if err := s.connected(ctx); err != nil {
		return registry.TxnResult{}, err
	}
	res, err := s.client.Txn(ctx).If(compares...).Then(then...).Else(otherwise...).Commit()
	if err != nil {
		return registry.TxnResult{}, said(err)
	}
	return txnResult(res)
}

// Compact implements registry.Store.
func (s *Store) Compact(ctx context.Context, space registry.Space, rev int64) error {
	if space != registry.SpaceKV {
		return unknownHere("space %v", space)
	}
	if err := s.connected(ctx); err != nil {
		return err
	}
	_, err := s.client.Compact(ctx, rev)
	return said(err)
}

// unknownHere is the error of what etcd's API does not have.
func unknownHere(format string, args ...any) error {
	return fmt.Errorf("%w: etcd's API does not know "+format, append([]any{registry.ErrInvalid}, args...)...)
}
