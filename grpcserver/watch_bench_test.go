package grpcserver

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"

	"herald/registry"
	"herald/registry/plugin"
	"herald/registry/storetest"
)

// drain is the server's end of a stream whose client and network cost nothing. It counts
// the responses with events.
type drain struct {
	grpc.ServerStream
	ctx   context.Context
	codec codec
	asks  chan *pb.WatchRequest
	made  chan struct{}
	sent  *atomic.Int64
	all   int64 // how many responses there are to be until done is told
	done  chan struct{}
}

func (d *drain) Context() context.Context { return d.ctx }

func (d *drain) Send(r *pb.WatchResponse) error { return d.SendMsg(r) }

func (d *drain) Recv() (*pb.WatchRequest, error) {
	r := new(pb.WatchRequest)
	return r, d.RecvMsg(r)
}

func (d *drain) RecvMsg(m any) error {
	select {
	case r := <-d.asks:
		m.(*pb.WatchRequest).RequestUnion = r.RequestUnion
		return nil
	case <-d.ctx.Done():
		return d.ctx.Err()
	}
}

func (d *drain) SendMsg(m any) error {
	data, err := d.codec.Marshal(m)
	if err != nil {
		return err
	}
	data.Free()
	if _, ok := m.(*pb.WatchResponse); ok {
		d.made <- struct{}{}
	} else if d.sent.Add(1)%d.all == 0 {
		d.done <- struct{}{}
	}
	return nil
}

// BenchmarkWatchFanOut is one put that so many watches see. What it costs is by put: divide by the
// watches for one response.
func BenchmarkWatchFanOut(b *testing.B) {
	for _, c := range []struct{ streams, each int }{{1, 1000}, {1000, 1}, {1, 10_000}, {10_000, 1}} {
		b.Run(fmt.Sprintf("streams=%d/watches=%d", c.streams, c.each), func(b *testing.B) {
			store := storetest.Open()
			defer store.Close()
			core := newCore(DefaultConfig(), &plugin.Host{Store: store, Cluster: store})
			service := &watchService{core: core}
			ctx, cancel := context.WithCancel(context.Background())
			var streams sync.WaitGroup
			defer core.background.Wait()
			defer streams.Wait()
			defer cancel()

			var sent atomic.Int64
			made, done := make(chan struct{}), make(chan struct{}, 1)
			create := &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: watchPrefix("k")}}
			for range c.streams {
				d := &drain{
					ctx: ctx, codec: newCodec(), asks: make(chan *pb.WatchRequest), made: made,
					sent: &sent, all: int64(c.streams * c.each), done: done,
				}
				streams.Go(func() { _ = service.Watch(d) })
				for range c.each {
					d.asks <- create
					<-made
				}
			}
			value := make([]byte, 256)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := registry.Put(ctx, store, registry.PutRequest{Key: "k1", Value: value}); err != nil {
					b.Fatal(err)
				}
				<-done
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*c.streams*c.each), "ns/response")
		})
	}
}
