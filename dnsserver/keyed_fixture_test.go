package dnsserver

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"testing"

	"herald/dnsserver/skydns"
	"herald/registry"
)

// keySpace is a store that holds keys as they are, and never changes.
type keySpace struct {
	kvs []registry.KeyValue
	// read is closed when they have been read.
	read chan struct{}
}

func (s *keySpace) put(key, value string) {
	s.kvs = append(s.kvs, registry.KeyValue{Key: key, Value: []byte(value), CreateRevision: testRevision, ModRevision: testRevision, Version: 1})
}

func (s *keySpace) Range(context.Context, registry.RangeRequest) (registry.RangeResult, error) {
	slices.SortFunc(s.kvs, func(a, b registry.KeyValue) int { return cmp.Compare(a.Key, b.Key) })
	return registry.RangeResult{KVs: s.kvs, Revision: testRevision + 2, LastChange: testRevision + 1}, nil
}

func (s *keySpace) Watch(context.Context, registry.WatchRequest) (registry.Watcher, error) {
	return &onceRead{closed: s.read}, nil
}

// onceRead says when it is asked first.
type onceRead struct {
	silence
	closed chan struct{}
	once   sync.Once
}

func (w *onceRead) Next(ctx context.Context) ([]registry.Commit, error) {
	w.once.Do(func() { close(w.closed) })
	return w.silence.Next(ctx)
}

// tree is what the keys come to.
func (s *keySpace) tree(t testing.TB) *skydns.Tree {
	t.Helper()
	s.read = make(chan struct{})
	p, err := skydns.ParsePrefix(DefaultConfig().SkyDNSPrefix)
	if err != nil {
		t.Fatal(err)
	}
	f := skydns.NewFollower(s, p, quiet())
	ctx, cancel := context.WithCancel(context.Background())
	var following sync.WaitGroup
	following.Go(func() { _ = f.Follow(ctx) }) // ends with cancel
	<-s.read
	cancel()
	following.Wait()
	return f.Tree()
}
