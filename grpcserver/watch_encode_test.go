package grpcserver

import (
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"herald/registry"
)

func mustMarshal(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// drawEvents draws the events of a commit, and the messages that stand for them in the order
// of the operations, without and with what was before.
func drawEvents(t *rapid.T) (events []registry.Event, messages []*mvccpb.Event, withPrev []*mvccpb.Event) {
	for range rapid.IntRange(1, 6).Draw(t, "events") {
		e := registry.Event{KV: drawKV(t), Seq: uint32(len(events))}
		m := &mvccpb.Event{Kv: message(&e.KV)}
		if rapid.Bool().Draw(t, "delete") {
			e.Type, m.Type = registry.EventDelete, mvccpb.Event_DELETE
		}
		p := proto.CloneOf(m)
		if rapid.Bool().Draw(t, "prev") {
			kv := drawKV(t)
			e.Prev, p.PrevKv = &kv, message(&kv)
		}
		events, messages, withPrev = append(events, e), append(messages, m), append(withPrev, p)
	}
	return rapid.Permutation(events).Draw(t, "by key"), messages, withPrev
}

// What is put together of encoded events is the message that it stands for.
func TestEventsAreWrittenLikeProtobuf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var cache eventCache
		answer, want := new(eventsAnswer), new(pb.WatchResponse)
		want.Header = proto.CloneOf(drawHeader(t, &answer.header))
		answer.id, answer.fragment = rapid.Int64().Draw(t, "id"), rapid.Bool().Draw(t, "fragment")
		want.WatchId, want.Fragment = answer.id, answer.fragment
		prev := rapid.Bool().Draw(t, "with prev")
		for range rapid.IntRange(0, 3).Draw(t, "commits") {
			events, messages, withPrev := drawEvents(t)
			e := cache.of(&registry.Commit{Revision: rapid.Int64().Draw(t, "revision"), Events: events}, prev)
			answer.events = append(answer.events, e.buffer)
			if prev {
				messages = withPrev
			}
			want.Events = append(want.Events, messages...)
		}
		data, err := newCodec().Marshal(answer)
		if err != nil {
			t.Fatal(err)
		}
		got := new(pb.WatchResponse)
		if err := proto.Unmarshal(data.Materialize(), got); err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(want, got) {
			t.Fatalf("wrote %v, want %v", got, want)
		}
	})
}

// Fragments are the whole, in order, each within the limit or of one event.
func TestFragments(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events, want, _ := drawEvents(t)
		limit := rapid.IntRange(1, 1500).Draw(t, "limit")
		var got []*mvccpb.Event
		for _, f := range encodeEvents(events, false).fragments(limit) {
			r := new(pb.WatchResponse)
			if err := proto.Unmarshal(f.ReadOnlyData(), r); err != nil {
				t.Fatal(err)
			}
			if len(r.Events) == 0 || len(r.Events) > 1 && f.Len() > limit {
				t.Fatalf("a fragment of %d events and %d bytes, the limit is %d", len(r.Events), f.Len(), limit)
			}
			got = append(got, r.Events...)
		}
		if !proto.Equal(&pb.WatchResponse{Events: want}, &pb.WatchResponse{Events: got}) {
			t.Fatalf("fragments hold %v, want %v", got, want)
		}
	})
}

// The cache answers for the commit that is asked for, and stays within its bounds.
func TestEventCache(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var cache eventCache
		var commits []registry.Commit
		for rev := range rapid.IntRange(1, 8).Draw(t, "commits") {
			events, _, _ := drawEvents(t)
			commits = append(commits, registry.Commit{Revision: int64(rev), Events: events})
			for n := range len(events) { // what watches of parts of it are handed
				commits = append(commits, registry.Commit{Revision: int64(rev), Events: events[n:]}, registry.Commit{Revision: int64(rev), Events: events[:n+1]})
			}
		}
		for range 100 {
			c := rapid.SampledFrom(commits).Draw(t, "commit")
			prev := rapid.Bool().Draw(t, "prev")
			got, want := cache.of(&c, prev), encodeEvents(c.Events, prev)
			if string(got.bytes) != string(want.bytes) {
				t.Fatalf("got %x, want %x", got.bytes, want.bytes)
			}
		}
	})
	var cache eventCache
	for rev := range int64(100) {
		c := registry.Commit{Revision: rev, Events: []registry.Event{{KV: registry.KeyValue{Key: "k", Value: make([]byte, 1<<20)}}}}
		if cache.of(&c, false) == nil {
			t.Fatal("nothing")
		}
	}
	if n := cache.bytes.Load(); n > cachedBytes || n < cachedBytes/2 {
		t.Errorf("%d bytes are kept, want up to %d", n, cachedBytes)
	}
}
