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

// watchersTimeout is how long it may take until all watchers of a round are there.
const watchersTimeout = time.Minute

// watching is a round's watchers, spread over streams. The streams are used below clientv3, whose goroutine and buffer for
// each of ten thousand watchers would cost more than what is measured.
//
// It owns a goroutine for each stream, until end.
type watching struct {
	streams []*stream
	created atomic.Int64
	reading sync.WaitGroup
	ctx     context.Context // of the streams; the first failure ends it, and is its cause
	fail    context.CancelCauseFunc
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

// newWatching has no streams yet. The caller ends it.
func newWatching(ctx context.Context) *watching {
	all := new(watching)
	all.ctx, all.fail = context.WithCancelCause(ctx)
	return all
}

// watch makes all watchers, from the revision after the present one, and waits until they are there.
func (r *watchRound) watch(ctx context.Context) error {
	present, err := r.toWatch.of(0).Get(ctx, watchedPrefix)
	if err != nil {
		return err
	}
	streams := min(r.streams, r.watchers)
	for n := range streams {
		st := &stream{book: r.book, receipts: map[int]*receipt{}}
		var requests []*pb.WatchRequest
		for i := n; i < r.watchers; i += streams {
			st.receipts[i] = new(receipt)
			requests = append(requests, r.request(i, present.Header.Revision+1))
		}
		if err := r.watching.open(st, r.toWatch.of(n), requests); err != nil {
			return fmt.Errorf("make watchers: %w", err)
		}
	}
	there, err := r.watching.until(r.watching.created.Load, int64(r.watchers), watchersTimeout)
	if err == nil && there < int64(r.watchers) {
		err = fmt.Errorf("only %d of %d watchers are there after %v", there, r.watchers, watchersTimeout)
	}
	return err
}

// open begins a stream and asks for its watchers.
func (all *watching) open(st *stream, conn *clientv3.Client, requests []*pb.WatchRequest) error {
	api, err := pb.NewWatchClient(conn.ActiveConnection()).Watch(all.ctx)
	if err != nil {
		return err
	}
	all.streams = append(all.streams, st)
	all.reading.Go(func() { all.read(st, api) })
	for _, r := range requests {
		if err := api.Send(r); err != nil {
			return err
		}
	}
	return nil
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
		if !pause(all.ctx, time.Millisecond) {
			return n, context.Cause(all.ctx)
		}
	}
}

// end ends the streams and waits for them. It returns why they failed, if they did.
func (all *watching) end() error {
	all.fail(nil) // of which the cause is context.Canceled, unless there was one before
	all.reading.Wait()
	if err := context.Cause(all.ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// sum is what all streams saw. They have ended.
func (all *watching) sum() *stream {
	sum := new(stream)
	for _, st := range all.streams {
		sum.sinceSent.merge(&st.sinceSent)
		sum.sinceAnswer.merge(&st.sinceAnswer)
		sum.last.Store(max(sum.last.Load(), st.last.Load()))
	}
	return sum
}
