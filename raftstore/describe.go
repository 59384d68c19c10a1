package raftstore

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/raft"

	"herald/raftstore/peer"
	"herald/registry"
	"herald/registry/wire"
)

// description is what a server says of itself. Who asks for one sends its own.
type description struct {
	ID, Name, Address, Version string
	Cluster                    string // "" while it is part of none
	Left                       bool   // not part of Cluster any more
	// Fresh, Expect and Promise matter while Cluster is "": that nothing ever happened in its
	// data directory, of how many servers it is to make a new cluster, and
	// to whom it has promised itself.
	Fresh   bool
	Expect  int
	Promise *promise

	Suffrage                            registry.Suffrage // "" if it is not in its own configuration
	Term, LastIndex, Committed, Applied uint64
	Leader, LeaderAddress               string // as far as it knows; "" for none
	// Lost is set while it does not take part in replication, since its disk hangs.
	Lost bool
	// Full is set while its disk has no room for commands.
	Full bool
	// Knows is where other servers are that it has heard of, while Cluster is "": those
	// that are to found a cluster may each know another of them.
	Knows []string
}

// maxKnows bounds description.Knows.
const maxKnows = 64

// The fields of an encoded description. A field that is not known is passed over, so a
// server can be described to an older one.
const (
	describeID = iota + 1
	describeName
	describeAddress
	describeVersion
	describeCluster
	describeLeft
	describeFresh
	describeExpect
	describePromise // message: cluster = 1, coordinator = 2, address = 3
	describeVoter   // in its own configuration: 1 as a non-voter, 2 as a voter
	describeTerm
	describeLastIndex
	describeCommitted
	describeApplied
	describeLeader
	describeLeaderAddress
	describeLost
	describeKnows // repeated
	describeFull
)

// maxExpect bounds how many servers may found a cluster; every change is acknowledged by most
// of them.
const maxExpect = 15

func (d *description) append(b []byte) []byte {
	b = wire.AppendString(b, describeID, d.ID)
	b = wire.AppendString(b, describeName, d.Name)
	b = wire.AppendString(b, describeAddress, d.Address)
	b = wire.AppendString(b, describeVersion, d.Version)
	b = wire.AppendString(b, describeCluster, d.Cluster)
	b = wire.AppendBool(b, describeLeft, d.Left)
	b = wire.AppendBool(b, describeFresh, d.Fresh)
	b = wire.AppendUint(b, describeExpect, uint64(d.Expect))
	if d.Promise != nil {
		b = wire.AppendMessage(b, describePromise, func(b []byte) []byte {
			b = wire.AppendString(b, 1, d.Promise.ClusterID)
			b = wire.AppendString(b, 2, d.Promise.Coordinator)
			return wire.AppendString(b, 3, d.Promise.Address)
		})
	}
	switch d.Suffrage {
	case registry.NonVoter:
		b = wire.AppendUint(b, describeVoter, 1)
	case registry.Voter:
		b = wire.AppendUint(b, describeVoter, 2)
	}
	b = wire.AppendUint(b, describeTerm, d.Term)
	b = wire.AppendUint(b, describeLastIndex, d.LastIndex)
	b = wire.AppendUint(b, describeCommitted, d.Committed)
	b = wire.AppendUint(b, describeApplied, d.Applied)
	b = wire.AppendString(b, describeLeader, d.Leader)
	b = wire.AppendString(b, describeLeaderAddress, d.LeaderAddress)
	for _, a := range d.Knows {
		b = wire.AppendString(b, describeKnows, a)
	}
	b = wire.AppendBool(b, describeFull, d.Full)
	return wire.AppendBool(b, describeLost, d.Lost)
}

func decodeDescription(b []byte) (description, error) {
	var d description
	r := wire.NewReader(b)
	for r.Next() {
		switch r.Number() {
		case describeID:
			d.ID = r.String()
		case describeName:
			d.Name = r.String()
		case describeAddress:
			d.Address = r.String()
		case describeVersion:
			d.Version = r.String()
		case describeCluster:
			d.Cluster = r.String()
		case describeLeft:
			d.Left = r.Bool()
		case describeFresh:
			d.Fresh = r.Bool()
		case describeExpect:
			d.Expect = int(r.Small(maxExpect))
		case describePromise:
			p := new(promise)
			m := wire.NewReader(r.Bytes())
			for m.Next() {
				switch m.Number() {
				case 1:
					p.ClusterID = m.String()
				case 2:
					p.Coordinator = m.String()
				case 3:
					p.Address = m.String()
				}
			}
			r.Fail(m.Err())
			d.Promise = p
		case describeVoter:
			d.Suffrage = [...]registry.Suffrage{"", registry.NonVoter, registry.Voter}[r.Small(2)]
		case describeTerm:
			d.Term = r.Uint()
		case describeLastIndex:
			d.LastIndex = r.Uint()
		case describeCommitted:
			d.Committed = r.Uint()
		case describeApplied:
			d.Applied = r.Uint()
		case describeLeader:
			d.Leader = r.String()
		case describeLeaderAddress:
			d.LeaderAddress = r.String()
		case describeLost:
			d.Lost = r.Bool()
		case describeFull:
			d.Full = r.Bool()
		case describeKnows:
			if a := r.String(); len(d.Knows) < maxKnows {
				d.Knows = append(d.Knows, a)
			}
		}
	}
	if r.Err() == nil && (d.ID == "" || d.Address == "") {
		r.Fail(fmt.Errorf("%w: a server without id or address", registry.ErrInvalid))
	}
	return d, r.Err()
}

// describe is this server. It does not block.
func (s *Store) describe() description {
	c := s.dir.charter()
	known := s.known.Load()
	d := description{
		ID: s.self(), Name: s.cfg.NodeName, Address: s.PeerAddress(), Version: s.cfg.Version,
		Cluster: c.ClusterID, Left: c.Left, Fresh: s.fresh, Expect: s.cfg.BootstrapExpect, Promise: c.Promise,
		Term: s.raft.CurrentTerm(), LastIndex: s.raft.LastIndex(), Committed: s.raft.CommitIndex(),
		Applied: s.machine.View().Applied(),
		Leader:  known.id, LeaderAddress: known.address,
		Lost: s.yielded.Load(), Full: s.log.full.Load(),
	}
	if me, ok := s.configured(s.self()); ok {
		d.Suffrage = suffrage(me)
	}
	if c.ClusterID == "" {
		d.Knows = s.members.book.addresses()
		d.Knows = d.Knows[:min(len(d.Knows), maxKnows)]
	}
	return d
}

// configured is a server in the latest configuration that this server's raft knows.
func (s *Store) configured(id string) (raft.Server, bool) {
	for _, srv := range s.raft.GetConfiguration().Configuration().Servers {
		if string(srv.ID) == id {
			return srv, true
		}
	}
	return raft.Server{}, false
}

func suffrage(srv raft.Server) registry.Suffrage {
	if srv.Suffrage == raft.Voter {
		return registry.Voter
	}
	return registry.NonVoter
}

// describeTimeout bounds one question.
const describeTimeout = 500 * time.Millisecond

// askDescription asks a server who it is, and remembers where it says it is.
func (s *Store) askDescription(ctx context.Context, to peer.Target) (description, error) {
	ctx, cancel := context.WithTimeout(ctx, describeTimeout)
	defer cancel()
	me := s.describe()
	b, err := s.port.Call(ctx, to, methodDescribe, me.append(nil))
	if err != nil {
		return description{}, err
	}
	d, err := decodeDescription(b)
	if err != nil {
		return description{}, fmt.Errorf("%w: the description of %v: %w", registry.ErrUnavailable, to, err)
	}
	if d.ID != s.self() {
		s.members.book.note(d.ID, d.Name, d.Address)
	}
	return d, nil
}

// handleDescribe answers askDescription. Who asks may be one that this server has not heard of.
func (s *Store) handleDescribe(_ context.Context, from peer.Identity, req []byte) ([]byte, error) {
	if d, err := decodeDescription(req); err == nil && d.ID == from.Node && d.ID != s.self() {
		s.members.book.note(d.ID, d.Name, d.Address)
	}
	me := s.describe()
	return me.append(nil), nil
}
