package grpcserver

import (
	"math"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"herald/registry"
)

const (
	// firstPage is how many keys a streamed read begins with, as in etcd; each page after
	// it may be pageGrowth times as long, up to largestPage.
	firstPage   = 10
	pageGrowth  = 4
	largestPage = 2560
	// pieceBytes is how large the keys and values of one message may be together. One
	// key goes whole, however large.
	pieceBytes = 1 << 20
)

// RangeStream reads keys in pieces, which put together are the answer of Range: all are of
// the revision that the first was read at. A compaction of that revision meanwhile ends
// the stream with an error.
func (s *kvService) RangeStream(r *pb.RangeRequest, to grpc.ServerStreamingServer[pb.RangeStreamResponse]) error {
	if err := checkRangeStream(r); err != nil {
		return err
	}
	page := rangeRequest(r)
	page.SkipCount = !r.CountOnly
	first := int64(firstPage)
	if r.SortTarget != pb.RangeRequest_KEY {
		first = math.MaxInt64 // only all keys can be sorted
	}
	out := rangePieces{to: to}
	var now, read int64 // the revision when the stream began; how many keys were read
	for size := first; ; size = min(pageGrowth*size, largestPage) {
		page.Limit = size
		if r.Limit > 0 {
			page.Limit = min(size, r.Limit-read)
		}
		res, err := s.store.Range(to.Context(), page)
		if err != nil {
			return err
		}
		if now == 0 {
			s.counts.ranges.Add(1)
			now = res.Revision
			if page.Revision <= 0 {
				page.Revision = now
			}
			// What was current when the stream began is in this server's state.
			page.Consistency = registry.Stale
		}
		read += int64(len(res.KVs))
		if err := out.add(res.KVs); err != nil {
			return err
		}
		if res.More && read != r.Limit {
			page.Start = res.KVs[len(res.KVs)-1].Key + "\x00"
			continue
		}
		last := &pb.RangeResponse{Header: s.header(new(pb.ResponseHeader), now), More: res.More, Count: read}
		switch {
		case r.CountOnly:
			last.Count = res.Count
		case res.More:
			page.Start, page.CountOnly, page.SkipCount = string(r.Key), true, false
			all, err := s.store.Range(to.Context(), page)
			if err != nil {
				return err
			}
			last.Count = all.Count
		}
		return out.end(last)
	}
}

// checkRangeStream says what is wrong with a streamed read in itself. What would take all
// keys before the first can be told is not done in pieces, but for what etcd takes too: a
// target without an order, for which Range sorts ascending.
func checkRangeStream(r *pb.RangeRequest) error {
	if err := checkRange(r); err != nil {
		return err
	}
	byKey := r.SortTarget == pb.RangeRequest_KEY && r.SortOrder == pb.RangeRequest_ASCEND
	if r.SortOrder != pb.RangeRequest_NONE && !byKey {
		return status.Error(codes.Unimplemented, "herald: RangeStream answers in the order of the keys; sort with Range")
	}
	if r.MinModRevision != 0 || r.MaxModRevision != 0 || r.MinCreateRevision != 0 || r.MaxCreateRevision != 0 {
		return status.Error(codes.Unimplemented, "herald: RangeStream does not filter by revision; filter with Range")
	}
	return nil
}

// rangePieces sends keys in messages of bounded size. The last of them wait for what ends
// the stream, which goes with them.
type rangePieces struct {
	to      grpc.ServerStreamingServer[pb.RangeStreamResponse]
	waiting []registry.KeyValue
}

// add takes the keys of one page. It keeps them.
func (p *rangePieces) add(kvs []registry.KeyValue) error {
	if len(p.waiting) > 0 {
		if err := p.send(&pb.RangeResponse{Kvs: keyValues(p.waiting)}); err != nil {
			return err
		}
	}
	bytes, from := 0, 0
	for i := range kvs {
		n := len(kvs[i].Key) + len(kvs[i].Value)
		if bytes += n; bytes <= pieceBytes || i == from {
			continue
		}
		if err := p.send(&pb.RangeResponse{Kvs: keyValues(kvs[from:i])}); err != nil {
			return err
		}
		from, bytes = i, n
	}
	p.waiting = kvs[from:]
	return nil
}

// end sends what is left with last, which says how it all ended.
func (p *rangePieces) end(last *pb.RangeResponse) error {
	last.Kvs = keyValues(p.waiting)
	return p.send(last)
}

func (p *rangePieces) send(r *pb.RangeResponse) error {
	return p.to.Send(&pb.RangeStreamResponse{RangeResponse: r})
}
