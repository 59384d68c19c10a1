package grpcserver

import (
	"context"
	"errors"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"herald/registry"
)

// noWatch is the id of an answer that belongs to no watch.
const noWatch = -1

// Why a watch was refused, as etcd's clients know it.
const (
	reasonEmptyRange  = "mvcc: watcher range is empty"
	reasonDuplicateID = "mvcc: duplicate watch ID provided on the WatchStream"
)

// create makes a watch and says so, or why not.
func (s *watchStream) create(r *pb.WatchCreateRequest) error {
	request := watchRequest(r)
	if reason := s.refuses(r, request.KeyRange); reason != "" {
		return s.answer(&pb.WatchResponse{
			Header: s.headerNow(), WatchId: noWatch, Created: true, Canceled: true, CancelReason: reason,
		})
	}
	w := &watch{
		id: r.WatchId, start: r.StartRevision, prevKV: r.PrevKv, fragment: r.Fragment, notify: r.ProgressNotify, quiet: true,
	}
	request.Ready = func() { s.enqueue(w) }
	// The watcher is closed with the stream, which spares the store to look after the context.
	watcher, err := s.store.Watch(context.WithoutCancel(s.ctx), request)
	var compacted *registry.CompactedError
	if err != nil && !errors.As(err, &compacted) {
		return err
	}
	if w.id == 0 {
		w.id = s.newID()
	}
	created := &pb.WatchResponse{WatchId: w.id, Created: true}
	if compacted != nil {
		created.Header = s.headerNow()
		if err := s.answer(created); err != nil {
			return err
		}
		return s.answer(s.compacted(w.id, compacted.Lowest))
	}
	s.releaseHeld() // until it is seen where this one is
	w.watcher = watcher
	s.watches[w.id] = w
	s.calls.watches.Add(1)
	if w.notify {
		s.startTick()
	}
	// What this says is the revision after which the watch sees everything.
	created.Header = s.header(new(pb.ResponseHeader), watcher.StartedAt())
	if err := s.answer(created); err != nil {
		return err
	}
	s.enqueue(w)
	return nil
}

// watchRequest is what a client asks for as the store takes it.
func watchRequest(r *pb.WatchCreateRequest) registry.WatchRequest {
	keys := keyRange(r.Key, r.RangeEnd)
	if keys.Start == "" {
		keys.Start = "\x00"
	}
	return registry.WatchRequest{
		Space:         registry.SpaceKV,
		KeyRange:      keys,
		StartRevision: r.StartRevision,
		SkipPuts:      slices.Contains(r.Filters, pb.WatchCreateRequest_NOPUT),
		SkipDeletes:   slices.Contains(r.Filters, pb.WatchCreateRequest_NODELETE),
	}
}

// refuses says why a watch cannot be, "" if it can.
func (s *watchStream) refuses(r *pb.WatchCreateRequest, keys registry.KeyRange) string {
	switch {
	case r.StartRevision < 0:
		return rpctypes.ErrorDesc(rpctypes.ErrGRPCCompacted)
	case keys.Empty():
		return reasonEmptyRange
	case r.WatchId != 0 && s.watches[r.WatchId] != nil:
		return reasonDuplicateID
	}
	return ""
}

// newID is the next id that no watch of the stream has.
func (s *watchStream) newID() int64 {
	for s.watches[s.nextID] != nil {
		s.nextID++
	}
	s.nextID++
	return s.nextID - 1
}

// cancel ends a watch that the client no longer wants. That there is none is no error:
// the cancellation may have crossed the watch's own end.
func (s *watchStream) cancel(id int64) error {
	w := s.watches[id]
	if w == nil {
		return nil
	}
	s.forget(w)
	return s.answer(&pb.WatchResponse{Header: s.headerNow(), WatchId: id, Canceled: true})
}

// compacted says that a watch cannot go on, and from where another can. The header has no
// revision, as in etcd: there is none up to which the client has seen everything.
func (s *watchStream) compacted(id, lowest int64) *pb.WatchResponse {
	return &pb.WatchResponse{Header: s.header(new(pb.ResponseHeader), 0), WatchId: id, Canceled: true, CompactRevision: lowest}
}

// reasonReset is why a watch ends when the server's state was replaced.
const reasonReset = "herald: the store was restored from a snapshot; read everything again, then watch from there"

// ended tells a client that a watch has ended by itself, and why. What ends the whole
// stream is returned.
func (s *watchStream) ended(w *watch, err error) error {
	var compacted *registry.CompactedError
	switch {
	case errors.As(err, &compacted):
		s.forget(w)
		return s.answer(s.compacted(w.id, compacted.Lowest))
	case errors.Is(err, registry.ErrWatchReset):
		s.forget(w)
		// etcd has no such thing. Clients know what to do about a compaction: the same.
		now := s.headerNow()
		return s.answer(&pb.WatchResponse{
			Header: now, WatchId: w.id, Canceled: true, CompactRevision: max(now.Revision, 1), CancelReason: reasonReset,
		})
	}
	return err
}
