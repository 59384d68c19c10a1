package raftstore

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"herald/registry"
)

func benchStore(b *testing.B, logStore string) *Store {
	cfg := DefaultConfig()
	cfg.DataDir = b.TempDir()
	cfg.PeerAddress = "127.0.0.1:0"
	cfg.Bootstrap = true
	cfg.LogStore = logStore
	s, err := Open(cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.WaitReady(ctx); err != nil {
		b.Fatal(err)
	}
	return s
}

// BenchmarkPropose is durable puts of 256 bytes, each acknowledged after it was synced.
func BenchmarkPropose(b *testing.B) {
	for _, kind := range []string{LogWAL, LogBoltDB} {
		for _, writers := range []int{1, 64, 512} {
			b.Run(fmt.Sprintf("%s/writers=%d", kind, writers), func(b *testing.B) {
				s := benchStore(b, kind)
				value := make([]byte, 256)
				var next atomic.Int64
				var wg sync.WaitGroup
				b.ReportAllocs()
				b.ResetTimer()
				for w := range writers {
					wg.Go(func() {
						for next.Add(1) <= int64(b.N) {
							p := registry.PutRequest{Key: fmt.Sprintf("key-%d", w), Value: value}
							if _, err := registry.Put(context.Background(), s, p); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
			})
		}
	}
}
