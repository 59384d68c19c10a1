package raftstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"herald/raftstore/peer"
	"herald/registry"
	"herald/registry/mvcc"
)

// What many callers of a follower write at once shares calls to the leader, and each gets
// its own outcome.
func TestForwardedTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		l := c.leader()
		settle()
		f, leader := c.stores[(l+1)%3], c.stores[l]
		var mu sync.Mutex
		calls, hold := 0, make(chan struct{})
		handle := leader.asLeader(leader.handleForwarded)
		leader.port.Handle(methodPropose, func(ctx context.Context, from peer.Identity, req []byte) ([]byte, error) {
			mu.Lock()
			calls++
			mu.Unlock()
			<-hold
			return handle(ctx, from, req)
		})
		const writers = 300
		var done sync.WaitGroup
		for i := range writers {
			done.Go(func() {
				p := registry.PutRequest{Key: fmt.Sprint("k", i), Value: []byte("v")}
				if i%3 == 0 {
					p.Lease = 99 // which there is not
				}
				res, err := registry.Put(t.Context(), f, p)
				switch {
				case i%3 == 0 && !errors.Is(err, registry.ErrLeaseNotFound):
					t.Errorf("put %d with an unknown lease: %v", i, err)
				case i%3 != 0 && (err != nil || res.Revision < 2):
					t.Errorf("put %d: %+v, %v", i, res, err)
				}
			})
		}
		synctest.Wait()
		close(hold)
		done.Wait()
		if calls > forwardsInFlight+2 {
			t.Errorf("%d calls for %d writes", calls, writers)
		}
		// The follower's own clients see what it acknowledged.
		res, err := f.Range(t.Context(), registry.RangeRequest{KeyRange: registry.Prefix("k"), CountOnly: true, Consistency: registry.Stale})
		if err != nil || res.Count != writers*2/3 {
			t.Errorf("%d keys, %v", res.Count, err)
		}
	})
}

// However many ask for much at once, each gets what it asked for: no answer becomes too long
// for a message.
func TestForwardedTogetherWithLongAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		l := c.leader()
		settle()
		f, leader := c.stores[(l+1)%3], c.stores[l]
		long := strings.Repeat("v", 1<<20)
		mustPut(t, leader, "long", long)
		hold := make(chan struct{})
		handle := leader.asLeader(leader.handleForwarded)
		leader.port.Handle(methodPropose, func(ctx context.Context, from peer.Identity, req []byte) ([]byte, error) {
			<-hold
			return handle(ctx, from, req)
		})
		const writers = 64 // more of it than a message may have
		var done sync.WaitGroup
		for i := range writers {
			done.Go(func() {
				res, err := f.Txn(t.Context(), registry.Txn{Then: []registry.Op{
					{Put: &registry.PutRequest{Key: fmt.Sprint("k", i)}},
					{Range: &registry.RangeRequest{KeyRange: registry.One("long")}},
				}})
				if err != nil {
					t.Errorf("writer %d: %v", i, err)
				} else if kvs := res.Results[1].Range.KVs; len(kvs) != 1 || len(kvs[0].Value) != len(long) {
					t.Errorf("writer %d read %d keys", i, len(kvs))
				}
			})
		}
		synctest.Wait()
		close(hold)
		done.Wait()
	})
}

// A request that is no entry of commands is refused whole, and nothing of it done.
func TestForwardedNonsense(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 1, nil)
		s := c.stores[c.leader()]
		good := putCommand("k").AppendTo(nil)
		entry := appendCommand(appendEntryHeader(nil), 0, good)
		for what, req := range map[string][]byte{
			"nothing": nil, "another format": {9}, "cut short": entry[:len(entry)-1],
			"a command and half of one": append(bytes.Clone(entry), entry[1:len(entry)-1]...),
		} {
			if b, err := s.handleForwarded(t.Context(), localLeader{s}, req); err == nil {
				t.Errorf("%s: answered %x", what, b)
			}
		}
		// One that makes no sense does not keep the others from what they do.
		entry = appendCommand(entry, 0, []byte{0xff})
		b, err := s.handleForwarded(t.Context(), localLeader{s}, entry)
		if err != nil {
			t.Fatal(err)
		}
		_, results, err := decodeForwarded(b)
		if err != nil || len(results) != 2 || results[0].Err != nil || results[0].Txn == nil || results[1].Err == nil {
			t.Errorf("%+v, %v", results, err)
		}
	})
}

func FuzzDecodeForwarded(f *testing.F) {
	ok := mvcc.Result{Txn: &registry.TxnResult{Succeeded: true}}
	b := ok.AppendTo(nil)
	f.Add(append([]byte{7, byte(len(b) << 1)}, b...))
	e := encodeError(registry.ErrTimeout)
	f.Add(append([]byte{7, byte(len(e)<<1 | 1)}, e...))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, results, err := decodeForwarded(b)
		if err != nil && results != nil && len(results) > len(b) {
			t.Errorf("%d results in %d bytes", len(results), len(b))
		}
	})
}

// Who reads the past waits for it alone: what others write meanwhile is answered.
func TestForwardedReadOfThePastHoldsUpNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		l := c.leader()
		settle()
		f, leader := c.stores[(l+1)%3], c.stores[l]
		rev := mustPut(t, leader, "k", "old")
		mustPut(t, leader, "k", "new")
		// The leader's answer to whatever reads the past takes long.
		const long = 2 * time.Second
		handle := leader.asLeader(leader.handleForwarded)
		leader.port.Handle(methodPropose, func(ctx context.Context, from peer.Identity, req []byte) ([]byte, error) {
			b, err := handle(ctx, from, req)
			_ = splitEntry(req, func(_ uint64, cmd []byte) error {
				if c, err := command(cmd); err == nil && readsThePast(c.Txn) {
					time.Sleep(long)
				}
				return nil
			})
			return b, err
		})
		var done sync.WaitGroup
		start := time.Now()
		for i := range 8 {
			done.Go(func() {
				past := registry.Op{Range: &registry.RangeRequest{KeyRange: registry.One("k"), Revision: rev}}
				res, err := f.Txn(t.Context(), registry.Txn{Then: []registry.Op{
					{Put: &registry.PutRequest{Key: fmt.Sprint("past", i)}}, {Txn: &registry.Txn{Then: []registry.Op{past}}},
				}})
				if err != nil {
					t.Error(err)
				} else if kvs := res.Results[1].Txn.Results[0].Range.KVs; len(kvs) != 1 || string(kvs[0].Value) != "old" {
					t.Errorf("the past: %+v", kvs)
				}
			})
		}
		for i := range 100 {
			done.Go(func() {
				mustPut(t, f, fmt.Sprint("k", i), "v")
				if took := time.Since(start); took >= long {
					t.Errorf("a put took %v", took)
				}
			})
		}
		done.Wait()
	})
}
