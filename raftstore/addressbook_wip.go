package raftstore

import (
	"github.com/hashicorp/raft"

	"herald/raftstore/peer"
)

func (s *Store) addressOf(id raft.ServerID) (raft.ServerAddress, bool) {
	for _, srv := range s.raft.GetConfiguration().Configuration().Servers {
		if srv.ID == id {
			return srv.Address, true
		}
	}
	return "", false
}

func (s *Store) identity() peer.Identity {
	return peer.Identity{Cluster: s.dir.id.ClusterID, Node: s.self()}
}
