package raftstore

import (
	"context"
	"io"

	"github.com/hashicorp/raft"

	"herald/registry"
	"herald/registry/archive"
)

// SaveSnapshot is part of registry.Operator. It holds up nobody, however long w takes.
func (s *Store) SaveSnapshot(ctx context.Context, w io.Writer, stale bool) (registry.SnapshotInfo, error) {
	if err := s.enter(ctx); err != nil {
		return registry.SnapshotInfo{}, err
	}
	v := s.machine.View()
	if !stale {
		var err error
		if v, err = s.linearView(ctx); err != nil {
			return registry.SnapshotInfo{}, err
		}
	}
	may := func() error { return s.enter(ctx) }
	return archive.Write(&guardedWriter{w, may}, v, registry.SnapshotInfo{
		Version:   s.cfg.Version,
		ClusterID: s.identity().Cluster,
		NodeID:    s.self(),
		Created:   now(),
		Term:      s.termOf(v.Applied()),
	})
}

// termOf is the term of an entry that was applied, by the log or by a snapshot that took the
// entry's place.
func (s *Store) termOf(index uint64) uint64 {
	var l raft.Log
	if s.log.GetLog(index, &l) == nil {
		return l.Term
	}
	metas, err := s.snapshots.List()
	if err != nil {
		return 0
	}
	for _, m := range metas {
		if m.Index == index {
			return m.Term
		}
	}
	return 0
}
