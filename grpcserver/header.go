package grpcserver

import (
	"crypto/sha256"
	"encoding/binary"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"herald/registry"
)

// memberID is the number that etcd's clients know a server by.
func memberID(server string) uint64 { return number("member", server) }

// clusterID is the number that etcd's clients know a cluster by.
func clusterID(cluster string) uint64 { return number("cluster", cluster) }

// number makes a number of an id, the same wherever it is asked for. It is never 0, which
// means nobody.
func number(kind, id string) uint64 {
	if id == "" {
		return 0
	}
	sum := sha256.Sum256([]byte(kind + "/" + id))
	return max(binary.BigEndian.Uint64(sum[:]), 1)
}

// header fills in the header of an answer that shows a revision.
func (c *core) header(h *pb.ResponseHeader, revision int64) *pb.ResponseHeader {
	h.ClusterId = c.clusterNumber()
	h.MemberId = c.member
	h.Revision = revision
	h.RaftTerm = c.cluster.Term()
	return h
}

// headerAt is a header that shows a revision.
func (c *core) headerAt(revision int64) *pb.ResponseHeader {
	return c.header(new(pb.ResponseHeader), revision)
}

// headerNow is a header with the revision that this server's state has.
func (c *core) headerNow() *pb.ResponseHeader {
	return c.header(new(pb.ResponseHeader), c.cluster.Status().Revisions[registry.SpaceKV])
}

// clusterNumber is the cluster's number, 0 while this server is part of none. It is
// looked up until it is known, and a cluster keeps it.
func (c *core) clusterNumber() uint64 {
	if n := c.clusterKnown.Load(); n != 0 {
		return n
	}
	n := clusterID(c.cluster.Status().ClusterID)
	c.clusterKnown.Store(n)
	return n
}
