package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// keyAt is the name of key i.
func keyAt(i int) string { return fmt.Sprintf("bench/key/%08d", i) }

// newRand makes a client's choices the same in each round, and for each peer.
func newRand(client int) *rand.Rand { return rand.New(rand.NewPCG(1, uint64(client))) }

// newValue is what is put: bytes that nothing could compress.
func newValue(size int) string {
	b := make([]byte, size)
	for i, r := 0, newRand(-1); i < size; i++ {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

// puts writes keys chosen at random.
func puts(s *settings) newAsker {
	value := newValue(s.value)
	return func(_ context.Context, conn *clientv3.Client, i int) (asker, error) {
		r := newRand(i)
		return func(ctx context.Context) error {
			_, err := conn.Put(ctx, keyAt(r.IntN(s.keys)), value)
			return err
		}, nil
	}
}

// preloaders are how many keys are put at once by preload.
const preloaders = 64

// preload puts every key.
func preload(ctx context.Context, c *cluster, s *settings) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	conns, err := c.connect(ctx, min(preloaders, s.conns))
	if err != nil {
		return err
	}
	defer conns.close()
	value := newValue(s.value)
	var wg sync.WaitGroup
	for w := range preloaders {
		wg.Go(func() {
			for i := w; i < s.keys; i += preloaders {
				if _, err := conns.of(w).Put(ctx, keyAt(i), value); err != nil {
					cancel(fmt.Errorf("put the keys that are to be read: %w", err))
					return
				}
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return settle(ctx, conns.of(0))
}

// settle lets a server be done with what it was filled with. etcd 3.4 copies the room that its last batch of puts took for
// each read, until two later batches have none in them, and nobody who reads only would cause any.
func settle(ctx context.Context, conn *clientv3.Client) error {
	const batches, apart = 3, 300 * time.Millisecond
	for range batches {
		if _, err := conn.Grant(ctx, leaseSeconds); err != nil {
			return fmt.Errorf("grant a lease: %w", err)
		}
		if !pause(ctx, apart) {
			return ctx.Err()
		}
	}
	return nil
}
