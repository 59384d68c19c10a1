package peer_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"herald/raftstore/peer"
)

// BenchmarkCall makes small calls over loopback TCP, both ends in this process: how many
// callers share the connection is what decides how many calls share a write.
func BenchmarkCall(b *testing.B) {
	for _, callers := range []int{1, 8, 64, 512} {
		for m, name := range map[peer.Method]string{methodEcho: "goroutine", methodInline: "inline"} {
			b.Run(fmt.Sprintf("%s/callers=%d", name, callers), func(b *testing.B) {
				a, to := tcpPair(b)
				req := make([]byte, 64)
				ctx, cancel := context.WithCancel(b.Context())
				defer cancel()
				b.ReportAllocs()
				var left atomic.Int64
				left.Store(int64(b.N))
				var all sync.WaitGroup
				b.ResetTimer()
				for range callers {
					all.Go(func() {
						for left.Add(-1) >= 0 {
							if _, err := a.Call(ctx, to, m, req); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				all.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
			})
		}
	}
}

// BenchmarkLargeCall moves a megabyte a call.
func BenchmarkLargeCall(b *testing.B) {
	a, to := tcpPair(b)
	req := make([]byte, 1<<20)
	b.SetBytes(2 << 20)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Call(b.Context(), to, methodEcho, req); err != nil {
			b.Fatal(err)
		}
	}
}
