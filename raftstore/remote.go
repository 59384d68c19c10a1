package raftstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"herald/raftstore/peer"
	"herald/registry"
	"herald/registry/mvcc"
)

// errLeaderChanged ends calls to a server that no longer leads.
var errLeaderChanged = errors.New("the leader has changed")

// ownWriteWait bounds how long a write of a follower's client waits for the follower's own state
// to contain it before it is acknowledged all the same: a follower that lags, whose disk
// is full or hangs, holds nobody up.
const ownWriteWait = 200 * time.Millisecond

// remoteLeader is another server that leads.
type remoteLeader struct {
	s     *Store
	known *knownLeader
}

// call asks something that must not be done twice.
func (r remoteLeader) call(ctx context.Context, method peer.Method, req []byte) ([]byte, error) {
	return r.exchange(ctx, method, req, registry.ErrTimeout)
}

// harmless asks something that may be asked again, whatever became of it.
func (r remoteLeader) harmless(ctx context.Context, method peer.Method, req []byte) ([]byte, error) {
	return r.exchange(ctx, method, req, registry.ErrUnavailable)
}

// exchange asks the leader. It ends when that server stops leading, too: one that is
// frozen answers nobody, and waiting for it would outlast its successor's election. lost is
// the error for an answer that does not come.
func (r remoteLeader) exchange(ctx context.Context, method peer.Method, req []byte, lost error) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, r.s.cfg.ProposeTimeout)
	defer cancel()
	ctx, change := context.WithCancelCause(ctx)
	defer change(nil)
	defer context.AfterFunc(r.known.over, func() { change(context.Cause(r.known.over)) })()

	b, err := r.s.port.Call(ctx, r.s.target(r.known.id, r.known.address), method, req)
	switch {
	case err == nil:
		return b, nil
	case errors.Is(err, peer.ErrNotSent):
		return nil, fmt.Errorf("%w: cannot reach the leader, server %s: %w", registry.ErrUnavailable, r.known.id, err)
	case errors.Is(err, peer.ErrLost):
		return nil, fmt.Errorf("%w: lost touch with the leader, server %s: %w", lost, r.known.id, err)
	}
	return nil, err
}

// propose sends a client's command with those of others, or alone if the others would have to wait
// for its answer: to read the past may mean to index a long history first.
func (r remoteLeader) propose(ctx context.Context, c *mvcc.Command) (mvcc.Result, error) {
	if readsThePast(c.Txn) {
		return r.proposeAlone(ctx, c)
	}
	return r.s.forward.propose(ctx, c, proposeOptions{limit: r.s.cfg.MaxRequestBytes, weight: answerWeight(c.Txn)})
}

// result decodes the answer to a write, once this server's own state contains it: its
// clients, its watchers and its catalog see what it acknowledged. An acknowledged write
// stays acknowledged, though, should that take long here.
func (r remoteLeader) result(ctx context.Context, b []byte) (mvcc.Result, error) {
	index, w := binary.Uvarint(b)
	if w <= 0 {
		// The leader has done it: this must not be an error after which it is asked again.
		return mvcc.Result{}, fmt.Errorf("%w: the leader's answer makes no sense", registry.ErrTimeout)
	}
	res, err := mvcc.DecodeResult(b[w:])
	if err != nil {
		return mvcc.Result{}, fmt.Errorf("%w: the leader's answer: %w", registry.ErrTimeout, err)
	}
	r.s.awaitOwn(ctx, index)
	return res, nil
}

// awaitOwn waits for a while until this server's own state contains an index.
func (s *Store) awaitOwn(ctx context.Context, index uint64) {
	if s.machine.View().Applied() < index {
		ctx, cancel := context.WithTimeout(ctx, ownWriteWait)
		defer cancel()
		_ = s.machine.waitApplied(ctx, index)
	}
}

func (r remoteLeader) grant(ctx context.Context, c *mvcc.Command) (registry.Lease, error) {
	b, err := r.call(ctx, methodGrant, c.AppendTo(nil))
	if err != nil {
		return registry.Lease{}, err
	}
	res, err := r.result(ctx, b)
	return res.Lease, err
}

// keepAliveAlone renews a lease of which the leader has to wait for something first.
func (r remoteLeader) keepAliveAlone(ctx context.Context, id registry.LeaseID) (registry.Lease, error) {
	b, err := r.harmless(ctx, methodKeepAlive, binary.AppendVarint(nil, int64(id)))
	if err != nil {
		return registry.Lease{}, err
	}
	res, err := mvcc.DecodeResult(b)
	return res.Lease, err
}

func (r remoteLeader) remaining(ctx context.Context, id registry.LeaseID) (time.Duration, error) {
	b, err := r.harmless(ctx, methodRemaining, binary.AppendVarint(nil, int64(id)))
	if err != nil {
		return 0, err
	}
	d, w := binary.Varint(b)
	if w <= 0 {
		return 0, malformed("remaining time")
	}
	return time.Duration(d), nil
}

func (r remoteLeader) readIndex(ctx context.Context) (uint64, error) {
	return r.s.remoteReads.join(ctx)
}

// askReadIndex asks the leader for the index that the reads of this server, all that wait,
// need. It is remoteReads's call.
func (s *Store) askReadIndex() (uint64, error) {
	known := s.known.Load()
	r, ok := s.leader(known).(remoteLeader)
	if !ok {
		return 0, s.notLeader()
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.HeartbeatTimeout)
	defer cancel()
	// The term is read after all who wait have asked: see readIndexFor.
	b, err := r.harmless(ctx, methodReadIndex, binary.AppendUvarint(nil, s.raft.CurrentTerm()))
	if err != nil {
		return 0, err
	}
	index, w := binary.Uvarint(b)
	if w <= 0 {
		return 0, malformed("read index")
	}
	return index, nil
}

func malformed(what string) error {
	return fmt.Errorf("%w: the other server's %s makes no sense", registry.ErrUnavailable, what)
}

// handleCalls registers what other servers may ask of this one.
func (s *Store) handleCalls() {
	s.port.Handle(methodPropose, s.asLeader(s.handleForwarded))
	s.port.Handle(methodGrant, s.asLeader(s.handleGrant))
	s.port.Handle(methodKeepAlive, s.asLeader(s.handleKeepAlive))
	s.port.Handle(methodKeepAlives, s.asLeader(s.handleKeepAlives))
	s.port.Handle(methodRemaining, s.asLeader(s.handleRemaining))
	s.port.Handle(methodReadIndex, s.handleReadIndex)
	s.port.HandleStream(methodRestore, s.handleRestore)
	s.port.HandleInline(methodDescribe, s.handleDescribe)
	s.port.Handle(methodInvite, s.handleInvite)
	s.port.Handle(methodJoin, s.handleJoin)
	s.port.Handle(methodRemove, s.asLeader(s.handleRemove))
	s.port.Handle(methodPromote, s.asLeader(s.handlePromote))
	s.port.Handle(methodReaddress, s.asLeader(s.handleReaddress))
	s.port.Handle(methodTransfer, s.asLeader(s.handleTransfer))
	s.port.HandleInline(methodLeader, s.handleLeader)
	s.port.HandleInline(methodConfirm, s.handleConfirm)
	s.port.HandleInline(methodCommit, s.handleCommit)
}

// asLeader is a handler of calls that only the leader takes. They are not passed on
// further: who asked knows better by the time it asks again.
func (s *Store) asLeader(h func(context.Context, localLeader, []byte) ([]byte, error)) peer.Handler {
	return func(ctx context.Context, _ peer.Identity, req []byte) ([]byte, error) {
		if s.raft.State() != raft.Leader || s.yielded.Load() || s.open() != nil {
			return nil, s.notHere()
		}
		b, err := h(ctx, localLeader{s}, req)
		if isStopped(err) {
			return nil, s.notHere()
		}
		return b, err
	}
}

func isStopped(err error) bool { return errors.Is(err, registry.ErrStopped) }

// notHere is notLeader for another server, to which it is no news that this one stops.
func (s *Store) notHere() error {
	switch {
	case s.Err() != nil:
		return fmt.Errorf("%w: server %s failed: %w", registry.ErrTimeout, s.self(), s.Err())
	case s.open() != nil:
		return fmt.Errorf("%w: server %s is stopping", registry.ErrUnavailable, s.self())
	}
	return s.notLeader()
}

// command decodes a command that another server passes on. One that this version does not
// understand is refused here: in the log it would stop every server that does not.
func command(req []byte) (*mvcc.Command, error) {
	c, err := mvcc.DecodeCommand(req)
	if err == nil {
		err = c.Validate()
	}
	return &c, err
}

// answer encodes a write's result after an index at which the state contains it.
func (s *Store) answer(r *mvcc.Result) []byte {
	return r.AppendTo(binary.AppendUvarint(nil, s.machine.View().Applied()))
}

func (s *Store) handleGrant(ctx context.Context, l localLeader, req []byte) ([]byte, error) {
	c, err := command(req)
	if err == nil && c.Grant == nil {
		err = fmt.Errorf("%w: a grant without a lease", registry.ErrInvalid)
	}
	if err != nil {
		return nil, err
	}
	lease, err := l.grant(ctx, c)
	if err != nil {
		return nil, err
	}
	return s.answer(&mvcc.Result{Lease: lease}), nil
}

func leaseID(req []byte) (registry.LeaseID, error) {
	id, w := binary.Varint(req)
	if w <= 0 {
		return 0, fmt.Errorf("%w: no lease id", registry.ErrInvalid)
	}
	return registry.LeaseID(id), nil
}

func (s *Store) handleKeepAlive(ctx context.Context, l localLeader, req []byte) ([]byte, error) {
	id, err := leaseID(req)
	if err != nil {
		return nil, err
	}
	lease, err := l.keepAlive(ctx, id)
	if err != nil {
		return nil, err
	}
	res := mvcc.Result{Lease: lease}
	return res.AppendTo(nil), nil
}

func (s *Store) handleRemaining(ctx context.Context, l localLeader, req []byte) ([]byte, error) {
	id, err := leaseID(req)
	if err != nil {
		return nil, err
	}
	left, err := l.remaining(ctx, id)
	if err != nil {
		return nil, err
	}
	return binary.AppendVarint(nil, int64(left)), nil
}

// handleReadIndex takes the term of the server that asks, and answers with the index that a read
// which began before needs.
func (s *Store) handleReadIndex(ctx context.Context, from peer.Identity, req []byte) ([]byte, error) {
	return s.asLeader(func(ctx context.Context, l localLeader, req []byte) ([]byte, error) {
		term, w := binary.Uvarint(req)
		if w <= 0 {
			return nil, fmt.Errorf("%w: no term", registry.ErrInvalid)
		}
		index, err := l.readIndexFor(ctx, from.Node, term)
		if err != nil {
			return nil, err
		}
		return binary.AppendUvarint(nil, index), nil
	})(ctx, from, req)
}
