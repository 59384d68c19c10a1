package raftstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"herald/raftstore/peer"
	"herald/registry"
	"herald/registry/wire"
)

// invitation is what the coordinator of a new cluster sends: to ask for a promise, and
// then to say that the cluster exists.
type invitation struct {
	promise
	Expect int
	Exists bool
}

// The fields of an encoded invitation.
const (
	inviteCluster = iota + 1
	inviteCoordinator
	inviteAddress
	inviteExpect
	inviteExists
)

func (i *invitation) append(b []byte) []byte {
	b = wire.AppendString(b, inviteCluster, i.ClusterID)
	b = wire.AppendString(b, inviteCoordinator, i.Coordinator)
	b = wire.AppendString(b, inviteAddress, i.Address)
	b = wire.AppendUint(b, inviteExpect, uint64(i.Expect))
	return wire.AppendBool(b, inviteExists, i.Exists)
}

func decodeInvitation(b []byte) (invitation, error) {
	var i invitation
	r := wire.NewReader(b)
	for r.Next() {
		switch r.Number() {
		case inviteCluster:
			i.ClusterID = r.String()
		case inviteCoordinator:
			i.Coordinator = r.String()
		case inviteAddress:
			i.Address = r.String()
		case inviteExpect:
			i.Expect = int(r.Small(maxExpect))
		case inviteExists:
			i.Exists = r.Bool()
		}
	}
	if r.Err() == nil && (i.ClusterID == "" || i.Coordinator == "") {
		r.Fail(fmt.Errorf("%w: an invitation without cluster or coordinator", registry.ErrInvalid))
	}
	return i, r.Err()
}

// inviteTimeout bounds one invitation, with the disk's time to record it.
const inviteTimeout = 3 * time.Second

// invite sends an invitation to all of these at once, and returns what those said that did
// not accept.
func (s *Store) invite(ctx context.Context, to []description, i invitation) error {
	ctx, cancel := context.WithTimeout(ctx, inviteTimeout)
	defer cancel()
	errs := make([]error, len(to))
	var wg sync.WaitGroup
	for n, d := range to {
		wg.Go(func() {
			if _, err := s.port.Call(ctx, peer.Target{Node: d.ID, Address: d.Address}, methodInvite, i.append(nil)); err != nil {
				errs[n] = fmt.Errorf("server %s: %w", d.label(), err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// handleInvite accepts an invitation, durably, or says why not.
func (s *Store) handleInvite(_ context.Context, from peer.Identity, req []byte) ([]byte, error) {
	i, err := decodeInvitation(req)
	if err != nil {
		return nil, err
	}
	if from.Node != i.Coordinator {
		return nil, fmt.Errorf("%w: an invitation of server %s came from server %s", registry.ErrInvalid, i.Coordinator, from.Node)
	}
	for {
		me := s.describe()
		c := s.dir.charter()
		to, err := c.accept(&me, i.promise, i.Expect)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", registry.ErrMembership, err)
		}
		if i.Exists && to.ClusterID == "" {
			to = charter{ClusterID: i.ClusterID}
		}
		if to.equal(&c) {
			return nil, nil
		}
		done, err := s.dir.recharter(c, to)
		if err != nil {
			return nil, err
		}
		if done {
			s.cfg.Log.Info("accepted an invitation to a new cluster", "cluster", i.ClusterID, "of", i.Coordinator, "exists", i.Exists)
			s.members.wake()
			return nil, nil
		}
	}
}
