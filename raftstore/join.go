package raftstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"herald/raftstore/peer"
	"herald/registry"
	"herald/registry/wire"
)

// admission is what a server asks of the leader: to be taken in, or to be known at its
// address.
type admission struct {
	ID, Address string
	// Join says that it is to be taken in if the cluster does not have it.
	Join bool
}

const (
	admissionID = iota + 1
	admissionAddress
	admissionJoin
)

func (a *admission) append(b []byte) []byte {
	b = wire.AppendString(b, admissionID, a.ID)
	b = wire.AppendString(b, admissionAddress, a.Address)
	return wire.AppendBool(b, admissionJoin, a.Join)
}

func decodeAdmission(b []byte) (admission, error) {
	var a admission
	r := wire.NewReader(b)
	for r.Next() {
		switch r.Number() {
		case admissionID:
			a.ID = r.String()
		case admissionAddress:
			a.Address = r.String()
		case admissionJoin:
			a.Join = r.Bool()
		}
	}
	if r.Err() == nil && (a.ID == "" || a.Address == "") {
		r.Fail(fmt.Errorf("%w: a server without id or address", registry.ErrInvalid))
	}
	return a, r.Err()
}

// askIn asks the leader to take this server in, or to know its address.
func (s *Store) askIn(ctx context.Context, leader peer.Target, join bool) error {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.ProposeTimeout)
	defer cancel()
	a := admission{ID: s.self(), Address: s.PeerAddress(), Join: join}
	_, err := s.port.Call(ctx, leader, methodJoin, a.append(nil))
	if errors.Is(err, peer.ErrNotSent) || errors.Is(err, peer.ErrLost) {
		return fmt.Errorf("%w: %w", registry.ErrUnavailable, err) // and may be asked again
	}
	return err
}

// handleJoin is what the leader does when it is asked so.
func (s *Store) handleJoin(ctx context.Context, from peer.Identity, req []byte) ([]byte, error) {
	a, err := decodeAdmission(req)
	if err == nil && a.ID != from.Node {
		err = fmt.Errorf("%w: server %s asked for server %s", registry.ErrInvalid, from.Node, a.ID)
	}
	if err != nil {
		return nil, err
	}
	admit := func(ctx context.Context, l localLeader, _ []byte) ([]byte, error) {
		return nil, l.admit(ctx, a, from.Cluster == "")
	}
	return s.asLeader(admit)(ctx, from, req)
}

// admit makes the configuration have a server, as one that does not vote yet if it is new. blank
// says that it comes without data.
func (l localLeader) admit(ctx context.Context, a admission, blank bool) error {
	me, in := l.configured(a.ID)
	if blank && in && me.Suffrage == raft.Voter {
		// Having forgotten what it voted for and what it has acknowledged, it could do both again.
		return fmt.Errorf("%w: server %s votes in this cluster, and comes back without its data: remove it from the cluster (herald members remove %s), and it will join as a new one",
			registry.ErrMembership, a.ID, a.ID)
	}
	// Nobody is helped by an address that leads nowhere, or to somebody else.
	d, err := l.askDescription(ctx, peer.Target{Node: a.ID, Address: a.Address})
	if err != nil {
		// It may be asked again: a server that has only just started may not be reached yet.
		return fmt.Errorf("%w: it does not reach server %s at the address that it gives, %s: if that lasts, correct its advertised peer address: %w",
			registry.ErrUnavailable, a.ID, a.Address, err)
	}
	if !in && a.Join && d.Name != "" {
		// A name that is taken would make it the replacement of the server that has it: see decide.
		for _, o := range l.askMembers(ctx) {
			if o.err == nil && o.said.Name == d.Name && o.said.ID != d.ID {
				return fmt.Errorf("%w: server %s is called %s already, and is alive: give each server a name of its own",
					registry.ErrMembership, o.said.ID, d.Name)
			}
		}
	}
	return l.readdress(ctx, a.ID, a.Address, a.Join)
}

// readdress is admit without a look at whether the server is there.
func (l localLeader) readdress(ctx context.Context, server, address string, join bool) error {
	return l.reconfigure(ctx, func(servers []raft.Server) (change, error) {
		id, at := raft.ServerID(server), raft.ServerAddress(address)
		i := slices.IndexFunc(servers, func(srv raft.Server) bool { return srv.ID == id })
		switch {
		case i >= 0 && servers[i].Address == at:
			return nil, nil
		case i < 0 && !join:
			return nil, fmt.Errorf("%w: server %s", registry.ErrMemberNotFound, id)
		}
		// Raft wants each address once. Who had this one is not there any more.
		if o := slices.IndexFunc(servers, func(srv raft.Server) bool { return srv.Address == at }); o >= 0 {
			return move(servers[o], displaced(servers[o].ID)), nil
		}
		if i >= 0 {
			return move(servers[i], at), nil
		}
		l.cfg.Log.Info("taking in a server", "id", server, "address", address)
		return func(r *raft.Raft, timeout time.Duration) raft.IndexFuture {
			return r.AddNonvoter(id, at, 0, timeout)
		}, nil
	})
}

// displacedSuffix ends the address of a server that has lost its own to another, and has not
// said where it is. It resolves to nothing, anywhere, ever (RFC 2606).
const displacedSuffix = ".displaced.invalid:1"

func displaced(id raft.ServerID) raft.ServerAddress {
	return raft.ServerAddress(string(id) + displacedSuffix)
}

func isDisplaced(address string) bool { return strings.HasSuffix(address, displacedSuffix) }

// move changes a server's address and nothing else.
func move(srv raft.Server, at raft.ServerAddress) change {
	return func(r *raft.Raft, timeout time.Duration) raft.IndexFuture {
		if srv.Suffrage == raft.Voter {
			return r.AddVoter(srv.ID, at, 0, timeout)
		}
		return r.AddNonvoter(srv.ID, at, 0, timeout)
	}
}

// change asks raft for a change of the configuration.
type change func(r *raft.Raft, timeout time.Duration) raft.IndexFuture

// reconfigure makes the configuration what it should be, one change after another: decide is
// shown the servers and returns the next change, or nil when there is none. Nobody else
// changes the configuration meanwhile: only the leader can, and it does one at a time. What it
// is shown is committed: all of earlier terms is, once a tenure has begun, and a change of
// this one is waited for.
func (l localLeader) reconfigure(ctx context.Context, decide func([]raft.Server) (change, error)) error {
	for {
		select {
		case l.members.changing <- struct{}{}:
		case <-ctx.Done():
			return fmt.Errorf("%w: another change of the cluster is under way: %w", registry.ErrUnavailable, ctx.Err())
		}
		var next change
		term, leads := l.leads()
		err := l.notHere()
		if leads {
			next, err = decide(l.raft.GetConfiguration().Configuration().Servers)
			if now, leads := l.leads(); !leads || now != term {
				err = l.notHere() // and what it was shown may have been undone
			}
		}
		if err != nil || next == nil {
			<-l.members.changing
			return err
		}
		if err := l.members.await(ctx, next); err != nil {
			return err
		}
	}
}

// await carries out a change and waits for its end, or ctx's. The turn to change ends with
// the change.
func (m *membership) await(ctx context.Context, c change) error {
	done := make(chan error, 1)
	m.wg.Go(func() {
		defer func() { <-m.changing }()
		done <- c(m.s.raft, m.s.cfg.ProposeTimeout).Error()
	})
	select {
	case err := <-done:
		return membershipError(err)
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", registry.ErrTimeout, ctx.Err())
	}
}

// membershipError is an error of raft's in the words of registry.
func membershipError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress), errors.Is(err, raft.ErrEnqueueTimeout):
		return fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
	case errors.Is(err, raft.ErrLeadershipLost), errors.Is(err, raft.ErrRaftShutdown):
		return fmt.Errorf("%w: %w", registry.ErrTimeout, err)
	}
	return fmt.Errorf("%w: %w", registry.ErrMembership, err)
}
