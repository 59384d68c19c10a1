package raftstore

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"herald/registry"
	"herald/registry/mvcc"
)

const (
	// forwardsInFlight is how many entries may be on their way to the leader.
	forwardsInFlight = 4
	// forwardGrace is how long the last of them may take when the store closes.
	forwardGrace = time.Second
	// keyWeight is how much of an entry a command fills that may return a key. A key is at
	// most a request long: those of one entry together are well below what a message
	// between servers may be.
	keyWeight = 64 << 10
)

// forwarder is to a follower's proposer what raft is to the leader's: it brings entries
// to the leader, in one call each, so that many callers share one there, too. An
// entry is one for the journey only; what its commands share the log with is for the
// leader's proposer to decide.
//
// The request is an entry, as the log has it. The answer is
//
//	uvarint  an index at which the state contains all of it
//	then, for each command, in order:
//	uvarint  length · 2, + 1 if it failed
//	bytes    the error or the result; of a revoke that missed some leases the result, which names them
type forwarder struct {
	s *Store
	// ctx ends what is on its way when the store closes.
	ctx    context.Context
	cancel context.CancelFunc
}

func newForward(s *Store) (*proposer, *forwarder) {
	f := &forwarder{s: s}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	p := newProposer(f, s.machine, s.cfg.ProposeTimeout, &Hooks{}, s.notLeader, func() error { return nil })
	p.flight = make(chan entryInFlight, forwardsInFlight)
	p.slots = make(chan struct{}, forwardsInFlight)
	p.explain = func(err error) error { return err } // it says so itself
	return p, f
}

// stop waits for what is on its way.
func (f *forwarder) stop(p *proposer) {
	grace := time.AfterFunc(forwardGrace, f.cancel)
	p.stop()
	grace.Stop()
	f.cancel()
}

// answerWeight is how much of an entry a transaction fills by what it may return: an answer that
// is too long for a message is nobody's, though all of the entry was done. One that
// returns a range fills an entry.
func answerWeight(t *registry.Txn) (weight int) {
	if t == nil {
		return 0
	}
	for _, ops := range [...][]registry.Op{t.Then, t.Else} {
		for i := range ops {
			switch op := &ops[i]; {
			case op.Put != nil && op.Put.PrevKV:
				weight += keyWeight
			case op.Range != nil && !op.Range.CountOnly:
				weight += rangeWeight(op.Range.KeyRange)
			case op.Delete != nil && op.Delete.PrevKV:
				weight += rangeWeight(op.Delete.KeyRange)
			case op.Txn != nil:
				weight += answerWeight(op.Txn)
			}
		}
	}
	return weight
}

func rangeWeight(kr registry.KeyRange) int {
	if kr.IsOne() {
		return keyWeight
	}
	return entryBytes
}

// Apply implements raftApplier.
func (f *forwarder) Apply(entry []byte, _ time.Duration) raft.ApplyFuture {
	call := &forwarded{done: make(chan struct{})}
	leads := f.s.leader(f.s.known.Load())
	r, ok := leads.(remoteLeader)
	if !ok {
		// This server leads now, or nobody does: each command is asked again.
		call.err = fmt.Errorf("%w: the leader has changed", registry.ErrUnavailable)
		if _, ok := leads.(nobody); ok {
			call.err = f.s.notLeader()
		}
		close(call.done)
		return call
	}
	go func() {
		defer close(call.done)
		call.result, call.err = f.send(f.ctx, r, entry)
	}()
	return call
}

// readsThePast reports whether a transaction reads an old revision.
func readsThePast(t *registry.Txn) bool {
	if t == nil {
		return false
	}
	for _, ops := range [...][]registry.Op{t.Then, t.Else} {
		for i := range ops {
			if op := &ops[i]; op.Range != nil && op.Range.Revision != 0 || op.Txn != nil && readsThePast(op.Txn) {
				return true
			}
		}
	}
	return false
}

// proposeAlone brings a command to the leader in an entry of its own.
func (r remoteLeader) proposeAlone(ctx context.Context, c *mvcc.Command) (mvcc.Result, error) {
	cmd := c.AppendTo(nil)
	if n, limit := mvcc.OwnBytes(cmd), r.s.cfg.MaxRequestBytes; n > limit {
		return mvcc.Result{}, fmt.Errorf("%w: %d bytes, the limit is %d", registry.ErrTooLarge, n, limit)
	}
	er, err := r.s.forwarder.send(ctx, r, appendCommand(appendEntryHeader(nil), 0, cmd))
	if err != nil {
		return mvcc.Result{}, err
	}
	return er.results[0], er.results[0].Err
}

func (f *forwarder) send(ctx context.Context, r remoteLeader, entry []byte) (*entryResult, error) {
	b, err := r.call(ctx, methodPropose, entry)
	if err != nil {
		return nil, err
	}
	index, results, err := decodeForwarded(b)
	if err != nil {
		// The leader has done it: this must not be an error after which it is asked again.
		return nil, fmt.Errorf("%w: the leader's answer: %v", registry.ErrTimeout, err)
	}
	n := 0
	if err := splitEntry(entry, func(uint64, []byte) error { n++; return nil }); err != nil || n != len(results) {
		return nil, fmt.Errorf("%w: the leader's answer is for %d commands, not %d", registry.ErrTimeout, len(results), n)
	}
	for i := range results {
		f.s.acknowledged.note(results[i].Revisions)
	}
	f.s.awaitOwn(ctx, index)
	return &entryResult{results: results}, nil
}

func decodeForwarded(b []byte) (index uint64, results []mvcc.Result, err error) {
	index, w := binary.Uvarint(b)
	if w <= 0 {
		return 0, nil, malformed("index")
	}
	for b = b[w:]; len(b) > 0; {
		head, w := binary.Uvarint(b)
		if w <= 0 || head>>1 > uint64(len(b)-w) {
			return 0, nil, malformed("result")
		}
		end := w + int(head>>1)
		var r mvcc.Result
		if head&1 != 0 {
			r.Err = decodeError(b[w:end])
		} else if r, err = mvcc.DecodeResult(b[w:end]); err != nil {
			return 0, nil, err
		} else if len(r.Missing) > 0 {
			r.Err = mvcc.NoSuchLeases(r.Missing)
		}
		results, b = append(results, r), b[end:]
	}
	return index, results, nil
}

// forwarded is one entry on its way.
type forwarded struct {
	done   chan struct{}
	result *entryResult
	err    error
}

// Error implements raft.Future.
func (c *forwarded) Error() error {
	<-c.done
	return c.err
}

// Response implements raft.ApplyFuture.
func (c *forwarded) Response() any { return c.result }

// Index implements raft.IndexFuture. Each command has an entry of its own in the log, which
// nobody asks for.
func (c *forwarded) Index() uint64 { return 0 }

// handleForwarded takes the commands of another server's clients.
func (s *Store) handleForwarded(ctx context.Context, l localLeader, req []byte) ([]byte, error) {
	var commands [][]byte
	err := splitEntry(req, func(_ uint64, cmd []byte) error {
		commands = append(commands, cmd)
		return nil
	})
	if err != nil {
		return nil, err
	}
	pending := make([]*proposal, len(commands))
	refused := make([]error, len(commands))
	for i, cmd := range commands {
		if _, refused[i] = command(cmd); refused[i] == nil {
			encode := func(b []byte) []byte { return append(b, cmd...) }
			pending[i], refused[i] = l.proposer.begin(ctx, encode, proposeOptions{limit: l.cfg.MaxRequestBytes})
		}
	}
	results := make([]byte, 0, 64*len(commands))
	var one []byte
	for i, pr := range pending {
		err := refused[i]
		var res mvcc.Result
		if err == nil {
			res, err = l.proposer.await(ctx, pr)
		}
		failed := uint64(0)
		if err != nil && len(res.Missing) == 0 { // what a revoke did counts, too
			if isStopped(err) {
				err = s.notHere()
			}
			one, failed = encodeError(err), 1
		} else {
			one = res.AppendTo(one[:0])
		}
		results = binary.AppendUvarint(results, uint64(len(one))<<1|failed)
		results = append(results, one...)
	}
	return append(binary.AppendUvarint(make([]byte, 0, len(results)+binary.MaxVarintLen64), s.machine.View().Applied()), results...), nil
}
