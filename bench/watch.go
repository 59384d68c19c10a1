package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	// writers are how many puts of a round are under way at most.
	writers = 64
	// watchersTimeout is how long it may take until all watchers of a round are there.
	watchersTimeout = time.Minute
	// deliveredTimeout is how long the last deliveries may take after the last put was answered. What has not come then counts
	// as lost.
	deliveredTimeout = time.Minute
	watchedPrefix    = "bench/watched/"
)

// watchWork is a load of watchers of one prefix, in which keys are put at a steady rate.
type watchWork struct {
	label    string
	watchers int
	rate     int // writes a second
	// ownKey has each watcher watch one key of its own. Otherwise each watches the whole prefix.
	ownKey bool
}

func (w watchWork) name() string { return w.label }

func (w watchWork) sizes(*settings) []int { return []int{w.watchers} }

func (w watchWork) prepare(context.Context, *cluster, *settings) error { return nil }

// groups are how many there are of watchers that see the same writes. Writes go to them in turn.
func (w watchWork) groups() int {
	if w.ownKey {
		return w.watchers
	}
	return 1
}

// fanOut is how many watchers see one write.
func (w watchWork) fanOut() int { return w.watchers / w.groups() }

// key is what watcher i watches if it watches one of its own, and what write i puts.
func (w watchWork) key(i int) string { return fmt.Sprintf("%s%08d", watchedPrefix, i%w.watchers) }

func (w watchWork) round(ctx context.Context, c *cluster, s *settings, _ int) (result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conns, err := c.connect(ctx, s.conns)
	if err != nil {
		return result{}, err
	}
	defer conns.close()
	idle, err := takeSample(c.pids())
	if err != nil {
		return result{}, err
	}

	book := newLedger(int(int64(w.rate) * int64(s.window) / int64(time.Second)))
	watching, err := w.watch(ctx, conns, s, book)
	if err != nil {
		return result{}, err
	}
	before, err := takeSample(c.pids())
	if err != nil {
		return result{}, err
	}
	start := book.now()
	written, err := w.write(ctx, conns, s, book, watching)
	if err != nil {
		return result{}, err
	}
	wrote := book.now()
	if _, err := watching.until(watching.delivered, int64(written*w.fanOut()), deliveredTimeout); err != nil {
		return result{}, err
	}
	after, err := takeSample(c.pids())
	if err != nil {
		return result{}, err
	}
	cancel()
	sum, err := watching.end()
	if err != nil {
		return result{}, err
	}
	missing, err := w.verify(book, written, watching.streams)
	if err != nil {
		return result{}, err
	}
	delivered := float64(sum.sinceSent.n)
	r := result{missing: missing}
	r.figures = append(r.figures,
		figure{"writes", "a second", float64(written) / seconds64(wrote-start)},
		figure{"deliveries", "a second", delivered / seconds64(max(sum.last.Load()-start, 1))},
		figure{"put to delivery p50", "ms", millis(sum.sinceSent.quantile(0.50))},
		figure{"put to delivery p99", "ms", millis(sum.sinceSent.quantile(0.99))},
		figure{"put to delivery max", "ms", millis(sum.sinceSent.longest)},
		figure{"answer to delivery p99", "ms", millis(sum.sinceAnswer.quantile(0.99))},
		figure{"memory without watchers", "MB", megabytes(idle.resident)},
		figure{"memory with watchers", "MB", megabytes(before.resident)},
	)
	r.figures = append(r.figures, before.figures(after, delivered, "delivery")...)
	r.figures = append(r.figures, figure{"lost", "deliveries", float64(missing)})
	if missing > 0 {
		r.note = fmt.Sprintf("%d deliveries had not come %v after the last write", missing, deliveredTimeout)
	}
	return r, nil
}

func seconds64(nanos int64) float64 { return time.Duration(nanos).Seconds() }

// write makes the writes of a round and returns how many. All are answered then.
func (w watchWork) write(ctx context.Context, conns connections, s *settings, book *ledger, watching *watching) (int, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	numbers := make(chan int)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for number := range numbers {
				if err := w.put(ctx, conns.of(i), s, book, number); err != nil {
					cancel(fmt.Errorf("write %d: %w", number, err))
				}
			}
		})
	}
	p := pacer{rate: w.rate, window: s.window, limit: len(book.writes), mayGo: func(i int) bool {
		return int64(i-s.ahead)*int64(w.fanOut()) < watching.delivered()
	}}
	written := p.run(ctx, numbers)
	close(numbers)
	wg.Wait()
	return written, context.Cause(ctx)
}

func (w watchWork) put(ctx context.Context, conn *clientv3.Client, s *settings, book *ledger, number int) error {
	book.writes[number].sent.Store(book.now())
	resp, err := conn.Put(ctx, w.key(number), valueOf(number, s.value))
	if err != nil {
		return err
	}
	book.writes[number].answered.Store(book.now())
	book.writes[number].revision.Store(resp.Header.Revision)
	return nil
}

// verify checks every watcher's deliveries against what was written, and returns how many are missing.
func (w watchWork) verify(book *ledger, written int, streams []*stream) (missing int, err error) {
	want := book.expected(written, w.groups())
	for i := range w.watchers {
		got := streams[i%len(streams)].receipts[i]
		n, err := got.check(want[i%w.groups()])
		if err != nil {
			return 0, fmt.Errorf("watcher %d: %w", i, err)
		}
		missing += n
	}
	return missing, nil
}
