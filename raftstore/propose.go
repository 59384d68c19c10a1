package raftstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"herald/registry"
	"herald/registry/mvcc"
)

const (
	// entryBytes is where an entry is full. The last command to go in may exceed it.
	entryBytes = 1 << 20
	// entryCommands bounds how many commands one entry holds.
	entryCommands = 4096
	// entriesInFlight is how many entries may be on their way through raft. Two let
	// one be gathered and applied while another is synced; more only make them smaller.
	entriesInFlight = 2
	// queueLength is how many proposals may wait to be gathered; beyond it callers wait.
	queueLength = 8192
)

// The states of a proposal. Who moves it on owns it next: the caller that
// abandons it leaves it to the proposer, the proposer that ends it hands it to its caller.
const (
	queued    int32 = iota // the caller may abandon it: it then certainly has no effect
	taken                  // it is in an entry: the caller may abandon it, its effect unknown
	ended                  // the outcome is there
	abandoned              // nobody waits for it
)

// proposal is one command on its way into the log and back.
type proposal struct {
	buf    []byte // the encoded command
	fence  uint64
	weight int // see proposeOptions.weight
	// after, if set, is called once it is certain whether the command has taken effect,
	// which may be later than its caller returns. It must not block.
	after func()

	state  atomic.Int32
	ready  chan struct{} // one slot
	timer  *time.Timer
	result mvcc.Result
	err    error
}

// proposeOptions say how a command is proposed.
type proposeOptions struct {
	fence uint64 // the term the command is for, 0 for any (see entryFormat)
	limit int    // the largest encoding, in bytes of mvcc.OwnBytes
	after func() // see proposal.after; may be nil
	// weight is how many bytes the command fills of its entry beside its own.
	weight int
	// patient waits for the outcome until ctx ends, instead of for the store's timeout.
	patient bool
}

// raftApplier is what the proposer needs of raft. Its futures' responses are *entryResult.
type raftApplier interface {
	Apply(cmd []byte, timeout time.Duration) raft.ApplyFuture
}

// proposer gathers commands into entries. Whatever waits when an entry leaves goes
// with it, so that many callers share one sync of the disk; one that comes alone
// leaves at once. A follower has one more, whose entries go to the leader: see forwarder.
//
// Two goroutines: gather makes entries and hands them to raft, complete waits for
// them in order and answers. Both end after stop, when all in flight is answered.
type proposer struct {
	raft    raftApplier
	machine *machine
	timeout time.Duration
	hooks   *Hooks
	// notLeader says why this server cannot propose.
	notLeader func() error
	// admit says why no command is taken now, or nil.
	admit func() error
	// explain says what became of an entry for which raft has an error.
	explain func(error) error

	queue  chan *proposal
	flight chan entryInFlight // complete's work
	slots  chan struct{}      // one taken for each entry in flight

	// closed is set before gather empties the queue for the last time: who finds it unset
	// after queueing is answered.
	closed   atomic.Bool
	stopping chan struct{}
	stopOnce sync.Once
	finished chan struct{} // complete has returned: everyone was answered

	// pool is not global: its channels belong to this store (and, in tests, to
	// its synctest bubble).
	pool sync.Pool
}

type entryInFlight struct {
	proposals []*proposal
	future    raft.ApplyFuture
	at        time.Time
}

func newProposer(r raftApplier, m *machine, timeout time.Duration, hooks *Hooks, notLeader, admit func() error) *proposer {
	p := &proposer{
		raft:      r,
		machine:   m,
		timeout:   timeout,
		hooks:     hooks,
		notLeader: notLeader,
		admit:     admit,
		queue:     make(chan *proposal, queueLength),
		flight:    make(chan entryInFlight, entriesInFlight),
		slots:     make(chan struct{}, entriesInFlight),
		stopping:  make(chan struct{}),
		finished:  make(chan struct{}),
	}
	p.explain = p.explainRaft
	p.pool.New = func() any {
		pr := &proposal{ready: make(chan struct{}, 1), timer: time.NewTimer(time.Hour)}
		pr.timer.Stop()
		return pr
	}
	return p
}

// start starts the goroutines. They end after stop.
func (p *proposer) start() {
	go p.gather()
	go p.complete()
}

// stop refuses what is not in an entry yet and waits until the rest is answered.
// Raft must be running still: it is raft that answers.
func (p *proposer) stop() {
	p.stopOnce.Do(func() {
		p.closed.Store(true)
		close(p.stopping)
	})
	<-p.finished
}

// propose brings a command into the log and returns what it did when it was
// applied. It returns when the timeout has passed (unless it is to be patient) or ctx
// has ended, too.
//
// after is called once, unless it is nil, when it is certain whether the command has
// taken effect; that may be after propose has returned.
func (p *proposer) propose(ctx context.Context, c *mvcc.Command, o proposeOptions) (mvcc.Result, error) {
	pr, err := p.begin(ctx, c.AppendTo, o)
	if err != nil {
		return mvcc.Result{}, err
	}
	return p.await(ctx, pr)
}

// begin queues a command, of which encode appends the encoding. Without error, it is to be
// awaited.
func (p *proposer) begin(ctx context.Context, encode func([]byte) []byte, o proposeOptions) (*proposal, error) {
	if err := p.admit(); err != nil {
		if o.after != nil {
			o.after()
		}
		return nil, err
	}
	pr := p.pool.Get().(*proposal)
	pr.after = o.after
	pr.buf = encode(pr.buf[:0])
	if n := mvcc.OwnBytes(pr.buf); n > o.limit {
		p.discard(pr)
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", registry.ErrTooLarge, n, o.limit)
	}
	pr.fence, pr.weight = o.fence, o.weight
	pr.state.Store(queued)
	if !o.patient {
		pr.timer.Reset(p.timeout)
	}

	select {
	case p.queue <- pr:
	default:
		if err := p.enqueueSlowly(ctx, pr); err != nil {
			p.discard(pr)
			return nil, err
		}
	}
	if p.closed.Load() && pr.state.CompareAndSwap(queued, abandoned) {
		return nil, registry.ErrStopped
	}
	return pr, nil
}

// await returns what a command did that was begun. It is called once.
func (p *proposer) await(ctx context.Context, pr *proposal) (mvcc.Result, error) {
	// No channel here is shared with other callers: a select locks them all.
	var cause error
	select {
	case <-pr.ready:
		return p.take(pr)
	case <-ctx.Done():
		cause = context.Cause(ctx)
	case <-pr.timer.C:
		cause = fmt.Errorf("not committed within %v", p.timeout)
	}
	switch {
	case pr.state.CompareAndSwap(queued, abandoned):
		// gather will find it abandoned and recycle it.
		return mvcc.Result{}, fmt.Errorf("%w: too much is waiting to be written: %w", registry.ErrUnavailable, cause)
	case pr.state.CompareAndSwap(taken, abandoned):
		return mvcc.Result{}, fmt.Errorf("%w: %w", registry.ErrTimeout, cause)
	default:
		<-pr.ready
		return p.take(pr)
	}
}

// enqueueSlowly waits for room in the queue.
func (p *proposer) enqueueSlowly(ctx context.Context, pr *proposal) error {
	select {
	case p.queue <- pr:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: too much is waiting to be written: %w", registry.ErrUnavailable, context.Cause(ctx))
	case <-pr.timer.C:
		return fmt.Errorf("%w: too much is waiting to be written", registry.ErrUnavailable)
	case <-p.stopping:
		return registry.ErrStopped
	}
}

// take returns the outcome of a proposal that has ended.
func (p *proposer) take(pr *proposal) (mvcc.Result, error) {
	r, err := pr.result, pr.err
	p.recycle(pr)
	r.Complete() // here, since it may take long: nobody else waits for this caller
	return r, err
}

// discard ends a proposal that has not entered the queue.
func (p *proposer) discard(pr *proposal) {
	if pr.after != nil {
		pr.after()
	}
	p.recycle(pr)
}

func (p *proposer) recycle(pr *proposal) {
	// Also for one that was abandoned: a tick left over would end the wait of the
	// next one, which may be patient and never set the timer.
	pr.timer.Stop()
	// One huge command should not hold its memory for ever.
	if cap(pr.buf) > 64<<10 {
		pr.buf = nil
	}
	pr.result, pr.err, pr.after = mvcc.Result{}, nil, nil
	p.pool.Put(pr)
}

// gather makes entries of what is queued and hands them to raft.
func (p *proposer) gather() {
	defer close(p.flight)
	for {
		var first *proposal
		select {
		case first = <-p.queue:
		case <-p.stopping:
			p.refuseQueued()
			return
		}
		// Whatever comes while all slots are taken goes with the next entry.
		select {
		case p.slots <- struct{}{}:
		case <-p.stopping:
			p.refuse(first)
			p.refuseQueued()
			return
		}
		proposals, data := p.entry(first)
		if len(proposals) == 0 {
			<-p.slots
			continue
		}
		at := time.Now()
		future := p.raft.Apply(data, 0)
		if p.hooks.Proposed != nil {
			p.hooks.Proposed(len(proposals), len(data))
		}
		p.flight <- entryInFlight{proposals, future, at}
	}
}

// entry makes an entry of first and of what else is waiting.
func (p *proposer) entry(first *proposal) ([]*proposal, []byte) {
	size, full := 1, 0
	proposals := make([]*proposal, 0, min(1+len(p.queue), entryCommands))
	for pr := first; pr != nil; {
		if pr.state.CompareAndSwap(queued, taken) {
			proposals = append(proposals, pr)
			size += len(pr.buf) + commandOverhead
			full += pr.weight
		} else {
			p.end(pr, mvcc.Result{}, nil)
		}
		pr = nil
		if size+full < entryBytes && len(proposals) < entryCommands {
			select {
			case pr = <-p.queue:
			default:
			}
		}
	}
	data := appendEntryHeader(make([]byte, 0, size))
	for _, pr := range proposals {
		data = appendCommand(data, pr.fence, pr.buf)
	}
	return proposals, data
}

// complete answers the proposals of each entry as raft answers for the entry.
func (p *proposer) complete() {
	defer close(p.finished)
	for f := range p.flight {
		err := f.future.Error()
		<-p.slots
		if err != nil {
			err = p.explain(err)
			for _, pr := range f.proposals {
				p.end(pr, mvcc.Result{}, err)
			}
			continue
		}
		// raft's error says how the log fared; the machine's is in the response.
		er := f.future.Response().(*entryResult)
		for i, pr := range f.proposals {
			switch {
			case er.err != nil:
				p.end(pr, mvcc.Result{}, fmt.Errorf("%w: %w", registry.ErrStopped, er.err))
			case errors.Is(er.results[i].Err, errFenced):
				p.end(pr, mvcc.Result{}, fmt.Errorf("%w: %w", registry.ErrUnavailable, errFenced))
			default:
				p.end(pr, er.results[i], er.results[i].Err)
			}
		}
		if er.err == nil {
			p.machine.recycle(er)
		}
		if p.hooks.Committed != nil {
			p.hooks.Committed(time.Since(f.at))
		}
	}
}

// explainRaft says what became of an entry that raft did not commit, as far as is known.
func (p *proposer) explainRaft(err error) error {
	switch {
	case errors.Is(err, raft.ErrNotLeader):
		return p.notLeader()
	case errors.Is(err, raft.ErrLeadershipTransferInProgress), errors.Is(err, raft.ErrEnqueueTimeout):
		return fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
	default:
		// Leadership was lost, or the append failed, with the entry perhaps in
		// some server's log: the next leader may yet commit it.
		return fmt.Errorf("%w: %w", registry.ErrTimeout, err)
	}
}

// end gives a proposal its outcome, or takes it back if nobody waits for it.
func (p *proposer) end(pr *proposal, r mvcc.Result, err error) {
	if pr.after != nil {
		pr.after()
		pr.after = nil
	}
	pr.result, pr.err = r, err
	if pr.state.CompareAndSwap(taken, ended) {
		pr.ready <- struct{}{}
		return
	}
	p.recycle(pr)
}

// refuse ends a proposal that is in no entry because the store is stopping.
func (p *proposer) refuse(pr *proposal) {
	pr.state.CompareAndSwap(queued, taken)
	p.end(pr, mvcc.Result{}, registry.ErrStopped)
}

func (p *proposer) refuseQueued() {
	for {
		select {
		case pr := <-p.queue:
			p.refuse(pr)
		default:
			return
		}
	}
}
