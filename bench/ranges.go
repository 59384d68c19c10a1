package main

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// ranges reads keys chosen at random, of which all must be there.
func ranges(s *settings, opts ...clientv3.OpOption) newAsker {
	return func(_ context.Context, conn *clientv3.Client, i int) (asker, error) {
		r := newRand(i)
		return func(ctx context.Context) error {
			key := keyAt(r.IntN(s.keys))
			resp, err := conn.Get(ctx, key, opts...)
			if err != nil {
				return err
			}
			if len(resp.Kvs) != 1 || len(resp.Kvs[0].Value) != s.value {
				return fmt.Errorf("%d keys answer a read of %s, which was put with %d bytes", len(resp.Kvs), key, s.value)
			}
			return nil
		}, nil
	}
}

// mixed makes s.writes of a hundred requests puts, and the others linearizable reads.
func mixed(s *settings) newAsker {
	return func(ctx context.Context, conn *clientv3.Client, i int) (asker, error) {
		read, err := ranges(s)(ctx, conn, i)
		if err != nil {
			return nil, err
		}
		write, err := puts(s)(ctx, conn, i)
		if err != nil {
			return nil, err
		}
		r := newRand(i)
		return func(ctx context.Context) error {
			if r.IntN(100) < s.writes {
				return write(ctx)
			}
			return read(ctx)
		}, nil
	}
}
