package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	// writers are how many puts of a round are under way at most.
	writers = 64
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

func (w watchWork) door() door { return doorEtcd }

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

// watchRound is one round of a watchWork.
type watchRound struct {
	watchWork
	*settings
	cluster  *cluster
	toWatch  connections
	toWrite  connections // their own, as writers are seldom those who watch
	book     *ledger
	watching *watching

	idle, before, after sample // without watchers, with them, and once everything is delivered
	begun, ended        int64  // the writes, as the ledger counts
	written             int
}

func (w watchWork) round(ctx context.Context, c *cluster, s *settings, _ int) (result, error) {
	toWatch, err := c.connect(ctx, s.conns)
	if err != nil {
		return result{}, err
	}
	defer toWatch.close()
	toWrite, err := c.connect(ctx, min(writers, s.conns))
	if err != nil {
		return result{}, err
	}
	defer toWrite.close()
	r := &watchRound{
		watchWork: w, settings: s, cluster: c, toWatch: toWatch, toWrite: toWrite, watching: newWatching(ctx),
		book: newLedger(int(int64(w.rate) * int64(s.window) / int64(time.Second))),
	}
	err = r.load(ctx)
	// A stream that failed is why the rest did.
	if failed := r.watching.end(); failed != nil {
		err = failed
	}
	if err != nil {
		return result{}, err
	}
	missing, err := w.verify(r.book, r.written, r.watching.streams)
	if err != nil {
		return result{}, err
	}
	return r.result(missing), nil
}

// load makes the watchers, writes, and waits until everything is delivered or enough time has passed.
func (r *watchRound) load(ctx context.Context) (err error) {
	pids := r.cluster.pids()
	if r.idle, err = takeSample(pids); err != nil {
		return err
	}
	if err = r.watch(ctx); err != nil {
		return err
	}
	if r.before, err = takeSample(pids); err != nil {
		return err
	}
	r.begun = r.book.now()
	if r.written, err = r.write(ctx); err != nil {
		return err
	}
	r.ended = r.book.now()
	if _, err = r.watching.until(r.watching.delivered, int64(r.written*r.fanOut()), deliveredTimeout); err != nil {
		return err
	}
	r.after, err = takeSample(pids)
	return err
}

// write makes the writes and returns how many. All are answered then.
func (r *watchRound) write(ctx context.Context) (int, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	numbers := make(chan int)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for number := range numbers {
				if err := r.put(ctx, i, number); err != nil {
					cancel(fmt.Errorf("write %d: %w", number, err))
				}
			}
		})
	}
	p := pacer{rate: r.rate, window: r.window, limit: len(r.book.writes), mayGo: func(i int) bool {
		return int64(i-r.ahead)*int64(r.fanOut()) < r.watching.delivered()
	}}
	written := p.run(ctx, numbers)
	close(numbers)
	wg.Wait()
	return written, context.Cause(ctx)
}

func (r *watchRound) put(ctx context.Context, writer, number int) error {
	entry := &r.book.writes[number]
	entry.sent.Store(r.book.now())
	resp, err := r.toWrite.of(writer).Put(ctx, r.key(number), valueOf(number, r.value))
	if err != nil {
		return err
	}
	entry.answered.Store(r.book.now())
	entry.revision.Store(resp.Header.Revision)
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

func (r *watchRound) result(missing int) result {
	saw := r.watching.sum()
	delivered := float64(saw.sinceSent.n)
	made := result{missing: missing, figures: []figure{
		{"writes", "a second", float64(r.written) / time.Duration(r.ended-r.begun).Seconds()},
		{"deliveries", "a second", delivered / time.Duration(max(saw.last.Load()-r.begun, 1)).Seconds()},
		{"put to delivery p50", "ms", millis(saw.sinceSent.quantile(0.50))},
		{"put to delivery p99", "ms", millis(saw.sinceSent.quantile(0.99))},
		{"put to delivery max", "ms", millis(saw.sinceSent.longest)},
		{"answer to delivery p50", "ms", millis(saw.sinceAnswer.quantile(0.50))},
		{"answer to delivery p99", "ms", millis(saw.sinceAnswer.quantile(0.99))},
		{"answer to delivery max", "ms", millis(saw.sinceAnswer.longest)},
		{"memory without watchers", "MB", megabytes(r.idle.resident)},
		{"memory with watchers", "MB", megabytes(r.before.resident)},
	}}
	made.figures = append(made.figures, r.before.figures(r.after, delivered, "delivery")...)
	made.figures = append(made.figures, figure{"lost", "deliveries", float64(missing)})
	if missing > 0 {
		made.notes = append(made.notes, fmt.Sprintf("%d deliveries had not come %v after the last write", missing, deliveredTimeout))
	}
	return made
}
