package raftstore

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"herald/registry"
)

// benchStore is a store with its defaults, on the file system of the tests' temporary
// directory: the figures mean something only if that is a disk.
func benchStore(b *testing.B, adjust func(*Config)) *Store {
	cfg := DefaultConfig()
	cfg.DataDir = filepath.Join(b.TempDir(), "data")
	cfg.PeerAddress = "127.0.0.1:0"
	cfg.BootstrapExpect = 1
	if adjust != nil {
		adjust(&cfg)
	}
	return openReady(b, cfg)
}

// measure runs op b.N times in all, by so many callers at once, and reports the rate,
// and the processor time of each, callers included.
func measure(b *testing.B, callers int, what string, op func(caller, i int) error) {
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ReportAllocs()
	used := cpuTime()
	b.ResetTimer()
	for c := range callers {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				if err := op(c, int(i)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), what+"/s")
	b.ReportMetric(float64((cpuTime()-used).Nanoseconds())/1000/float64(b.N), "cpu-µs/op")
}

// BenchmarkPropose is durable puts of 256 bytes, each acknowledged once it is synced.
func BenchmarkPropose(b *testing.B) {
	ctx := context.Background()
	value := make([]byte, 256)
	for _, kind := range []string{LogWAL, LogBoltDB} {
		for _, writers := range []int{1, 64, 512} {
			b.Run(fmt.Sprintf("%s/writers=%d", kind, writers), func(b *testing.B) {
				s := benchStore(b, func(c *Config) { c.LogStore = kind })
				keys := make([]string, 10_000)
				for i := range keys {
					keys[i] = fmt.Sprintf("bench/key-%06d", i)
				}
				measure(b, writers, "puts", func(_, i int) error {
					_, err := registry.Put(ctx, s, registry.PutRequest{Key: keys[i*7919%len(keys)], Value: value})
					return err
				})
			})
		}
	}
}

// BenchmarkRead is reads of one key.
func BenchmarkRead(b *testing.B) {
	ctx := context.Background()
	for _, kind := range []registry.Consistency{registry.Linearizable, registry.Stale} {
		for _, readers := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/readers=%d", [...]string{"linearizable", "stale"}[kind], readers), func(b *testing.B) {
				s := benchStore(b, nil)
				fill(b, s, "k", 10_000)
				measure(b, readers, "reads", func(_, i int) error {
					_, err := s.Range(ctx, registry.RangeRequest{KeyRange: registry.One("k000777"), Consistency: kind})
					return err
				})
			})
		}
	}
}

// BenchmarkKeepAlive is keepalives of one of many leases.
func BenchmarkKeepAlive(b *testing.B) {
	ctx := context.Background()
	s := benchStore(b, nil)
	const leases = 10_000
	grantMany(b, s, leases, func(int) time.Duration { return time.Hour })
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			measure(b, callers, "keepalives", func(_, i int) error {
				_, err := s.KeepAlive(ctx, registry.LeaseID(i%leases+1))
				return err
			})
		})
	}
}

// BenchmarkSnapshotRestore takes a snapshot of a million keys (32 bytes, 128 bytes of value)
// while writes go on, and starts from it. It reports how long both take, the slowest
// batch that was applied meanwhile, and the slowest write.
func BenchmarkSnapshotRestore(b *testing.B) {
	const keys, perTxn = 1_000_000, 500
	ctx := context.Background()
	for range b.N {
		b.StopTimer()
		var worstApply atomic.Int64
		cfg := DefaultConfig()
		cfg.DataDir = filepath.Join(b.TempDir(), "data")
		cfg.PeerAddress = "127.0.0.1:0"
		cfg.BootstrapExpect = 1
		cfg.SnapshotBytes = 1 << 40
		cfg.HistoryCommits = 1
		cfg.TrailingEntries = 1
		cfg.Hooks.Applied = func(_ int, took time.Duration) {
			worstApply.Store(max(worstApply.Load(), int64(took)))
		}
		s := openReady(b, cfg)
		value := []byte(strings.Repeat("v", 128))
		for i := 0; i < keys; i += perTxn {
			ops := make([]registry.Op, perTxn)
			for j := range ops {
				ops[j].Put = &registry.PutRequest{Key: fmt.Sprintf("bench/%026d", i+j), Value: value}
			}
			if _, err := s.Txn(ctx, registry.Txn{Then: ops}); err != nil {
				b.Fatal(err)
			}
		}

		stop := make(chan struct{})
		var writers sync.WaitGroup
		var worstPut, puts atomic.Int64
		for w := range 4 {
			writers.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					start := time.Now()
					if _, err := registry.Put(ctx, s, registry.PutRequest{Key: fmt.Sprintf("bench/%026d", (i*7919+w)%keys), Value: value}); err != nil {
						b.Error(err)
						return
					}
					puts.Add(1)
					if took := int64(time.Since(start)); took > worstPut.Load() {
						worstPut.Store(took)
					}
				}
			})
		}
		worstApply.Store(0)
		b.StartTimer()
		start := time.Now()
		if err := s.raft.Snapshot().Error(); err != nil {
			b.Fatal(err)
		}
		took := time.Since(start)
		b.StopTimer()
		close(stop)
		writers.Wait()
		b.ReportMetric(took.Seconds(), "snapshot-s")
		b.ReportMetric(float64(puts.Load())/took.Seconds(), "puts/s-beside")
		b.ReportMetric(float64(worstApply.Load())/1e6, "worst-apply-ms")
		b.ReportMetric(float64(worstPut.Load())/1e6, "worst-put-ms")
		mustClose(b, s)

		b.StartTimer()
		start = time.Now()
		s = openReady(b, cfg)
		b.ReportMetric(time.Since(start).Seconds(), "restore-s")
		b.StopTimer()
		if got := s.machine.View().Size().Spaces[registry.SpaceKV].Keys; got != keys {
			b.Fatalf("%d keys restored, want %d", got, keys)
		}
		b.StartTimer()
	}
}
