package raftstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"herald/registry"
)

// benchCluster is three servers in this process, on one disk, over TCP. The leader comes
// first.
func benchCluster(b *testing.B, adjust func(*Config)) []*Store {
	b.Helper()
	var servers []raft.Server
	var configs []Config
	for i := range 3 {
		// The address has to be known before the servers are: a port that is free now is
		// free a moment later on a machine that measures.
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		address := l.Addr().String()
		l.Close()
		cfg := DefaultConfig()
		cfg.DataDir = filepath.Join(b.TempDir(), "data")
		cfg.NodeID = fmt.Sprintf("id-%d", i)
		cfg.PeerAddress = address
		cfg.BootstrapExpect = 1
		if adjust != nil {
			adjust(&cfg)
		}
		configs = append(configs, cfg)
		servers = append(servers, raft.Server{ID: raft.ServerID(cfg.NodeID), Address: raft.ServerAddress(address)})
	}
	var stores []*Store
	for _, cfg := range configs {
		s, err := open(cfg, options{servers: servers, cluster: "bench"})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			if err := s.Close(); err != nil {
				b.Error(err)
			}
		})
		stores = append(stores, s)
	}
	for _, s := range stores {
		waitReady(b, s)
	}
	slices.SortStableFunc(stores, func(x, y *Store) int {
		_, first := x.leads()
		_, second := y.leads()
		switch {
		case first:
			return -1
		case second:
			return 1
		}
		return 0
	})
	return stores
}

// BenchmarkClusterPropose is durable puts of 256 bytes to three servers: to the leader, or
// to a follower that passes them on.
func BenchmarkClusterPropose(b *testing.B) {
	ctx := context.Background()
	value := make([]byte, 256)
	for to, name := range []string{"leader", "follower"} {
		for _, writers := range []int{1, 64, 512} {
			b.Run(fmt.Sprintf("%s/writers=%d", name, writers), func(b *testing.B) {
				s := benchCluster(b, nil)[to]
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

// BenchmarkClusterRead is linearizable reads of one key.
func BenchmarkClusterRead(b *testing.B) {
	ctx := context.Background()
	for from, name := range []string{"leader", "follower"} {
		for _, readers := range []int{1, 64, 512} {
			b.Run(fmt.Sprintf("%s/readers=%d", name, readers), func(b *testing.B) {
				s := benchCluster(b, nil)[from]
				fill(b, s, "k", 10_000)
				measure(b, readers, "reads", func(_, i int) error {
					_, err := s.Range(ctx, registry.RangeRequest{KeyRange: registry.One("k000777")})
					return err
				})
			})
		}
	}
}

// grantMany grants leases 1 to n.
func grantMany(b *testing.B, s *Store, n int, ttl func(id int) time.Duration) {
	b.Helper()
	const callers = 512
	var wg sync.WaitGroup
	for w := range callers {
		wg.Go(func() {
			for id := w + 1; id <= n; id += callers {
				if _, err := s.GrantLease(context.Background(), registry.LeaseID(id), ttl(id)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// BenchmarkClusterKeepAlive is keepalives of many leases.
func BenchmarkClusterKeepAlive(b *testing.B) {
	ctx := context.Background()
	const leases = 10_000
	for to, name := range []string{"leader", "follower"} {
		for _, callers := range []int{1, 64, 512} {
			b.Run(fmt.Sprintf("%s/callers=%d", name, callers), func(b *testing.B) {
				s := benchCluster(b, nil)[to]
				grantMany(b, s, leases, func(int) time.Duration { return time.Hour })
				measure(b, callers, "keepalives", func(_, i int) error {
					_, err := s.KeepAlive(ctx, registry.LeaseID(i%leases+1))
					return err
				})
			})
		}
	}
}

// BenchmarkMillionLeases has 1,000,000 leases alive on one leader, of which 100,000, each with a
// key, end at about the same time, while 16 writers go on. It reports how long the end took,
// from the first to the last of them, and the writers' latency meanwhile. One
// iteration takes minutes: run it with -benchtime 1x.
func BenchmarkMillionLeases(b *testing.B) {
	const all, dying = 1_000_000, 100_000
	ctx := context.Background()
	for range b.N {
		b.StopTimer()
		stores := benchCluster(b, func(c *Config) { c.Leases.CheckpointInterval = 0 })
		s := stores[0]
		start := time.Now()
		grantMany(b, s, all-dying, func(int) time.Duration { return 24 * time.Hour })
		b.ReportMetric(float64(all-dying)/time.Since(start).Seconds(), "grants/s")

		// The dying ones, with their keys. They are all renewed at the end, so that they
		// run out together; the time to live must outlast the granting.
		const ttl = time.Minute
		var wg sync.WaitGroup
		for w := range 512 {
			wg.Go(func() {
				for i := w; i < dying; i += 512 {
					id := registry.LeaseID(all + i)
					if _, err := s.GrantLease(ctx, id, ttl); err != nil {
						b.Error(err)
						return
					}
					if _, err := registry.Put(ctx, s, registry.PutRequest{Key: fmt.Sprintf("leased/%06d", i), Lease: id}); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		var renew sync.WaitGroup
		for w := range 64 {
			renew.Go(func() {
				for i := w; i < dying; i += 64 {
					if _, err := s.KeepAlive(ctx, registry.LeaseID(all+i)); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		renew.Wait()
		renewed := time.Now()
		if n := s.machine.View().Size().Leases; n < all {
			b.Fatalf("%d leases are alive, want %d", n, all)
		}

		w, err := s.Watch(ctx, registry.WatchRequest{KeyRange: registry.Prefix("leased/")})
		if err != nil {
			b.Fatal(err)
		}
		stop := make(chan struct{})
		var writers sync.WaitGroup
		took := make([][]time.Duration, 16)
		dyingNow := make(chan struct{})
		for c := range took {
			writers.Go(func() {
				value := make([]byte, 256)
				select {
				case <-dyingNow:
				case <-stop:
				}
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					at := time.Now()
					if _, err := registry.Put(ctx, s, registry.PutRequest{Key: fmt.Sprintf("bench/%d-%d", c, i%1000), Value: value}); err != nil {
						b.Error(err)
						return
					}
					took[c] = append(took[c], time.Since(at))
				}
			})
		}
		b.StartTimer()
		var first time.Time
		for gone := 0; gone < dying; {
			commits, err := w.Next(ctx)
			if err != nil {
				b.Fatal(err)
			}
			if first.IsZero() {
				first = time.Now()
				close(dyingNow)
			}
			for _, c := range commits {
				gone += len(c.Events)
			}
		}
		last := time.Now()
		b.StopTimer()
		close(stop)
		writers.Wait()
		w.Close()
		writes := slices.Concat(took...)
		if len(writes) == 0 {
			b.Fatal(errors.New("nothing was written while the leases ended"))
		}
		slices.Sort(writes)
		b.ReportMetric(last.Sub(first).Seconds(), "expiry-s")
		b.ReportMetric(last.Sub(renewed).Seconds()-ttl.Seconds(), "after-ttl-s")
		b.ReportMetric(float64(len(writes))/last.Sub(first).Seconds(), "puts/s-beside")
		b.ReportMetric(float64(writes[len(writes)*99/100])/1e6, "put-p99-ms")
		b.ReportMetric(float64(writes[len(writes)-1])/1e6, "put-max-ms")
	}
}
