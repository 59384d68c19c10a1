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

// bootstrap makes a cluster of the given servers, or of this one alone, unless
// this server is already part of one.
//
// Raft's own BootstrapCluster refuses a directory in which it was itself interrupted,
// between the two things it writes: such a server could never start again.
// Nothing has happened there, as long as there is no log, no snapshot, no vote and
// no later term; so it is done again.
func (s *Store) bootstrap(servers []raft.Server) error {
	fresh, err := s.fresh()
	if err != nil || !fresh {
		return err
	}
	if servers == nil {
		servers = []raft.Server{{ID: raft.ServerID(s.dir.id.NodeID), Address: s.transport.LocalAddr()}}
	}
	if err := s.stores.stable.SetUint64(keyTerm, 1); err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	err = s.stores.log.StoreLog(&raft.Log{
		Index: 1, Term: 1, Type: raft.LogConfiguration,
		Data: raft.EncodeConfiguration(raft.Configuration{Servers: servers}),
	})
	if err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	s.cfg.Log.Info("made a new cluster", "cluster", s.dir.id.ClusterID, "servers", len(servers))
	return nil
}

func (s *Store) fresh() (bool, error) {
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
