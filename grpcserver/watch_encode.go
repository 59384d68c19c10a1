package grpcserver

import (
	"cmp"
	"hash/maphash"
	"slices"
	"sync/atomic"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"

	"herald/registry"
)

// eventsAnswer is a WatchResponse with events, which were encoded before: many watches are
// told the same. It may be used again once it was sent.
type eventsAnswer struct {
	header   pb.ResponseHeader
	id       int64
	fragment bool
	events   []mem.Buffer // each any number of whole events
}

// answerHead is the memory of an answer but for its events. The transport has it until
// it is sent.
type answerHead struct {
	bytes  [headerSize + 16]byte
	pieces [2]mem.Buffer
}

// pieces implements pieced.
func (a *eventsAnswer) pieces() mem.BufferSlice {
	m := new(answerHead)
	head := appendHeader(m.bytes[:0], &a.header)
	head = appendUint(head, 2, uint64(a.id))
	if a.fragment {
		head = appendUint(head, 7, 1)
	}
	return append(append(m.pieces[:0], mem.SliceBuffer(head)), a.events...)
}

// encodedEvents are the events of one commit as they stand in a WatchResponse. They are
// immutable and shared.
type encodedEvents struct {
	bytes  []byte
	buffer mem.Buffer // bytes, as the transport takes them
	ends   []int      // where each event ends in bytes
}

// eventsField is the number of a WatchResponse's events.
const eventsField = 11

// encodeEvents encodes the events of a commit in the order of its operations, as etcd tells
// them.
func encodeEvents(events []registry.Event, prevKV bool) *encodedEvents {
	earlier := func(a, b registry.Event) int { return cmp.Compare(a.Seq, b.Seq) }
	if !slices.IsSortedFunc(events, earlier) {
		events = slices.SortedFunc(slices.Values(events), earlier)
	}
	size := 0
	for i := range events {
		size += fieldHead + sizeEvent(&events[i], prevKV)
	}
	e := &encodedEvents{bytes: make([]byte, 0, size), ends: make([]int, len(events))}
	for i := range events {
		e.bytes = appendEvent(e.bytes, &events[i], prevKV)
		e.ends[i] = len(e.bytes)
	}
	e.buffer = mem.SliceBuffer(e.bytes)
	return e
}

// sizeEvent is what appendEvent appends, but for the field's own head.
func sizeEvent(e *registry.Event, prevKV bool) int {
	n := sizeMessage(sizeKV(&e.KV))
	if e.Type == registry.EventDelete {
		n += sizeUint(uint64(mvccpb.Event_DELETE))
	}
	if prevKV && e.Prev != nil {
		n += sizeMessage(sizeKV(e.Prev))
	}
	return n
}

func sizeMessage(n int) int { return 1 + protowire.SizeBytes(n) }

// appendEvent appends an event as a field, a mvccpb.Event.
func appendEvent(b []byte, e *registry.Event, prevKV bool) []byte {
	b = protowire.AppendTag(b, eventsField, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(sizeEvent(e, prevKV)))
	if e.Type == registry.EventDelete {
		b = appendUint(b, 1, uint64(mvccpb.Event_DELETE))
	}
	b = appendKV(b, 2, &e.KV)
	if prevKV && e.Prev != nil {
		b = appendKV(b, 3, e.Prev)
	}
	return b
}

// fragments are the events in pieces of at most so many bytes, or one event.
func (e *encodedEvents) fragments(size int) []mem.Buffer {
	var all []mem.Buffer
	from := 0
	for i, end := range e.ends {
		if i == len(e.ends)-1 || e.ends[i+1]-from > size {
			all = append(all, mem.SliceBuffer(e.bytes[from:end]))
			from = end
		}
	}
	return all
}

const (
	// cachedCommits is how many commits' encodings are kept: as many as a watcher's
	// buffer holds, so that watchers which all lag by one still share.
	cachedCommits = 1024
	// cachedBytes bounds them together.
	cachedBytes = 16 << 20
)

// eventCache keeps encodings of commits for as long as several watches are likely to ask for
// them. Its zero value is empty, and it is safe for concurrent use. A place holds one
// commit, of those whose hash is that place's: old ones go as new ones come.
type eventCache struct {
	places [cachedCommits]atomic.Pointer[cachedEvents]
	bytes  atomic.Int64
}

// cachedEvents is an encoding and what it is of. Commits of a store are immutable, so that where their
// events are in memory is who they are, as long as something points there: this does.
type cachedEvents struct {
	encodedEvents
	first  *registry.Event
	count  int
	prevKV bool
}

var cacheSeed = maphash.MakeSeed()

// of returns the encoding of a commit's events.
func (c *eventCache) of(commit *registry.Commit, prevKV bool) *encodedEvents {
	first := &commit.Events[0]
	hash := maphash.String(cacheSeed, first.KV.Key) + uint64(commit.Revision)
	if prevKV {
		hash += cachedCommits / 2
	}
	place := &c.places[hash%cachedCommits]
	was := place.Load()
	if was != nil && was.first == first && was.count == len(commit.Events) && was.prevKV == prevKV {
		return &was.encodedEvents
	}
	is := &cachedEvents{encodedEvents: *encodeEvents(commit.Events, prevKV), first: first, count: len(commit.Events), prevKV: prevKV}
	c.keep(place, is)
	return &is.encodedEvents
}

// keep puts an encoding in its place, unless it is too large for what may be kept.
func (c *eventCache) keep(place *atomic.Pointer[cachedEvents], e *cachedEvents) {
	size := int64(len(e.bytes))
	if c.bytes.Add(size) > cachedBytes {
		c.bytes.Add(-size)
		e = nil
	}
	if old := place.Swap(e); old != nil {
		c.bytes.Add(-int64(len(old.bytes)))
	}
}
