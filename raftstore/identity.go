package raftstore

import "herald/raftstore/peer"

// identity is who this server is to the others.
func (s *Store) identity() peer.Identity {
	return peer.Identity{Cluster: s.dir.charter().ClusterID, Node: s.self()}
}
