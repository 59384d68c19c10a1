package raftstore

import (
	"fmt"

	"github.com/hashicorp/raft"
)

// Keys under which raft keeps its term and vote.
var (
	keyTerm     = []byte("CurrentTerm")
	keyVoteTerm = []byte("LastVoteTerm")
)

// foundAlone makes a server that is to be a cluster of its own the founder of one, unless it is
// part of a cluster, has promised to become so, or is told of others that it may join. A test may
// give it other founders.
func (s *Store) foundAlone(o options) error {
	c := s.dir.charter()
	if o.cluster != "" && c.ClusterID == "" {
		to := charter{ClusterID: o.cluster}
		for _, srv := range o.servers {
			to.Founders = append(to.Founders, founder{string(srv.ID), string(srv.Address)})
		}
		_, err := s.dir.recharter(c, to)
		return err
	}
	if s.cfg.BootstrapExpect != 1 || len(s.cfg.Join) > 0 || !s.fresh || c.ClusterID != "" ||
		c.Promise != nil && c.Promise.Coordinator != s.self() {
		return nil
	}
	id := newUUID()
	if c.Promise != nil {
		id = c.Promise.ClusterID // others may have promised themselves to it, and will join
	}
	_, err := s.dir.recharter(c, charter{ClusterID: id, Founders: []founder{{s.self(), s.PeerAddress()}}})
	return err
}

// bootstrap writes the founders of a cluster to the empty log before raft starts.
//
// Raft's own BootstrapCluster refuses a directory in which it was itself interrupted,
// between the two things it writes: such a server could never start again.
// Nothing has happened there, as long as there is no log, no snapshot, no vote and
// no later term; so it is done again.
func (s *Store) bootstrap() error {
	c := s.dir.charter()
	if len(c.Founders) == 0 {
		return nil
	}
	if s.fresh {
		if err := s.stores.stable.SetUint64(keyTerm, 1); err != nil {
			return fmt.Errorf("bootstrap: %w", err)
		}
		err := s.stores.log.StoreLog(&raft.Log{
			Index: 1, Term: 1, Type: raft.LogConfiguration,
			Data: raft.EncodeConfiguration(raft.Configuration{Servers: c.founders()}),
		})
		if err != nil {
			return fmt.Errorf("bootstrap: %w", err)
		}
	}
	return s.bootstrapped(c)
}

// bootstrapLive is bootstrap while raft runs.
func (s *Store) bootstrapLive(c charter) error {
	if err := s.raft.BootstrapCluster(raft.Configuration{Servers: c.founders()}).Error(); err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	return s.bootstrapped(c)
}

// bootstrapped forgets the founders: they are in the log.
func (s *Store) bootstrapped(c charter) error {
	if _, err := s.dir.recharter(c, charter{ClusterID: c.ClusterID, Left: c.Left}); err != nil {
		return err
	}
	s.cfg.Log.Info("made a new cluster", "cluster", c.ClusterID, "servers", len(c.Founders))
	return nil
}

// isFresh reports whether nothing ever happened in the data directory: there is no log, no
// snapshot, no vote and no later term than a bootstrap writes.
func (s *Store) isFresh() (bool, error) {
	last, err := s.stores.log.LastIndex()
	if err != nil || last > 0 {
		return false, err
	}
	metas, err := s.snapshots.List()
	if err != nil || len(metas) > 0 {
		return false, err
	}
	for key, most := range map[string]uint64{string(keyTerm): 1, string(keyVoteTerm): 0} {
		if v, err := readUint(s.stores.stable, []byte(key)); err != nil || v > most {
			return false, err
		}
	}
	return true, nil
}

// readUint reads a number that may never have been set, which is "not found" to
// one store and 0 to another.
func readUint(s raft.StableStore, key []byte) (uint64, error) {
	v, err := s.GetUint64(key)
	if err != nil && err.Error() != "not found" {
		return 0, err
	}
	return v, nil
}
