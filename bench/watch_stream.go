package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// watching is a round's watchers, spread over streams. The streams are used below clientv3, whose goroutine and buffer for
// each of ten thousand watchers would cost more than what is measured.
//
// It owns a goroutine for each stream, which ends with the context that they were made with.
type watching struct {
	streams []*stream
	created atomic.Int64
	reading sync.WaitGroup
	fail    context.CancelCauseFunc
	failed  context.Context
}

// stream is one of them. Its goroutine alone uses what is not atomic, until it has ended.
type stream struct {
	book        *ledger
	receipts    map[int]*receipt // by watcher
	sinceSent   histogram        // from the put's beginning to each delivery
	sinceAnswer histogram        // from its answer, 0 where the delivery came first
	delivered   atomic.Int64
	last        atomic.Int64 // when the last delivery was, as the ledger counts
}

// watch makes all watchers of a round, from the revision after the present one, and waits until they are there.
func (w watchWork) watch(ctx context.Context, conns connections, s *settings, book *ledger) (*watching, error) {
	present, err := conns.of(0).Get(ctx, watchedPrefix)
	if err != nil {
		return nil, err
	}
	all := new(watching)
	all.failed, all.fail = context.WithCancelCause(ctx)
	for n := range min(s.streams, w.watchers) {
		api, err := pb.NewWatchClient(conns.of(n).ActiveConnection()).Watch(ctx)
		if err != nil {
			return nil, err
		}
		st := &stream{book: book, receipts: map[int]*receipt{}}
		all.streams = append(all.streams, st)
		var requests []*pb.WatchRequest
		for i := n; i < w.watchers; i += min(s.streams, w.watchers) {
			st.receipts[i] = new(receipt)
			requests = append(requests, w.request(i, present.Header.Revision+1))
		}
		all.reading.Go(func() { all.read(st, api) })
		for _, r := range requests {
			if err := api.Send(r); err != nil {
				return nil, fmt.Errorf("make watchers: %w", err)
			}
		}
	}
	there, err := all.until(all.created.Load, int64(w.watchers), watchersTimeout)
	if err == nil && there < int64(w.watchers) {
		err = fmt.Errorf("only %d of %d watchers are there after %v", there, w.watchers, watchersTimeout)
	}
	return all, err
}

// request asks for watcher i. Its id is of our choosing, so that a delivery says whose it is.
func (w watchWork) request(i int, from int64) *pb.WatchRequest {
	create := &pb.WatchCreateRequest{
		Key: []byte(watchedPrefix), RangeEnd: []byte(clientv3.GetPrefixRangeEnd(watchedPrefix)),
		StartRevision: from, WatchId: int64(i) + 1,
	}
	if w.ownKey {
		create.Key, create.RangeEnd = []byte(w.key(i)), nil
	}
	return &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: create}}
}

// read takes deliveries until the stream ends.
func (all *watching) read(st *stream, api pb.Watch_WatchClient) {
	for {
		resp, err := api.Recv()
		switch {
		case err != nil:
			all.fail(fmt.Errorf("a stream of watchers ended: %w", err))
			return
		case resp.Canceled:
			all.fail(fmt.Errorf("watcher %d was ended: %s", resp.WatchId-1, resp.CancelReason))
			return
		case resp.Created:
			all.created.Add(1)
		}
		for _, e := range resp.Events {
			if err := st.take(int(resp.WatchId-1), e); err != nil {
				all.fail(fmt.Errorf("watcher %d was delivered %w", resp.WatchId-1, err))
				return
			}
		}
		st.delivered.Add(int64(len(resp.Events)))
	}
}

func (st *stream) take(watcher int, e *mvccpb.Event) error {
	now := st.book.now()
	r := st.receipts[watcher]
	if r == nil {
		return errors.New("something on a stream that it is not on")
	}
	number, err := st.book.find(e.Kv.Value)
	if err != nil {
		return err
	}
	if err := r.take(number, e.Kv.ModRevision); err != nil {
		return err
	}
	w := &st.book.writes[number]
	st.sinceSent.add(time.Duration(now - w.sent.Load()))
	answered := w.answered.Load()
	if answered == 0 {
		answered = now // the answer has yet to come
	}
	st.sinceAnswer.add(time.Duration(now - answered))
	st.last.Store(now)
	return nil
}

// delivered are how many deliveries have come.
func (all *watching) delivered() int64 {
	var n int64
	for _, st := range all.streams {
		n += st.delivered.Load()
	}
	return n
}

// until waits for a count to come to want, for timeout at most, and returns what it came to.
func (all *watching) until(count func() int64, want int64, timeout time.Duration) (int64, error) {
	for begin := time.Now(); ; {
		n := count()
		if n >= want || time.Since(begin) >= timeout {
			return n, nil
		}
		if !pause(all.failed, time.Millisecond) {
			return n, context.Cause(all.failed)
		}
	}
}

// end waits for the streams to end, whose context the caller has cancelled, and sums up what came.
func (all *watching) end() (*stream, error) {
	all.reading.Wait()
	if err := context.Cause(all.failed); !errors.Is(err, context.Canceled) {
		return nil, err
	}
	sum := new(stream)
	for _, st := range all.streams {
		sum.sinceSent.merge(&st.sinceSent)
		sum.sinceAnswer.merge(&st.sinceAnswer)
		sum.last.Store(max(sum.last.Load(), st.last.Load()))
	}
	return sum, nil
}
