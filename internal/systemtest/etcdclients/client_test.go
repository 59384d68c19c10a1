//go:build e2e

package etcdclients

import (
	"context"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// connect is etcd's Go client of some endpoints, closed when the test ends.
func connect(t *testing.T, endpoints ...string) *clientv3.Client {
	t.Helper()
	return connectWith(t, clientv3.Config{Endpoints: endpoints})
}

func connectWith(t *testing.T, c clientv3.Config) *clientv3.Client {
	t.Helper()
	c.DialTimeout = 10 * time.Second
	c.Logger = zap.NewNop() // it writes of every refusal otherwise
	client, err := clientv3.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// soon is a context for what is answered at once, on a busy machine too.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// put puts a key and returns the revision.
func put(t *testing.T, c clientv3.KV, key, value string, opts ...clientv3.OpOption) int64 {
	t.Helper()
	r, err := c.Put(soon(t), key, value, opts...)
	if err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
	return r.Header.Revision
}

// get reads one key: its value, and the revision of its last write; 0 if there is none.
func get(t *testing.T, c clientv3.KV, key string, opts ...clientv3.OpOption) (value string, mod int64) {
	t.Helper()
	r, err := c.Get(soon(t), key, opts...)
	if err != nil {
		t.Fatalf("get %s: %v", key, err)
	}
	if len(r.Kvs) == 0 {
		return "", 0
	}
	return string(r.Kvs[0].Value), r.Kvs[0].ModRevision
}
